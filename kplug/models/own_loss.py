"""What models that compute their own loss have in common."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import keras


class OwnLoss:
    """A `keras.Model` that computes its own loss: `compile` refuses another, and targets may be left out.

    A member calls `super().fit(**self._named(keras.Model.fit, x, y, args, kwargs))`.
    """

    def compile(self, optimizer: Any = "rmsprop", loss: Any = None, *args: Any, **kwargs: Any) -> None:
        """Configure the training as `keras.Model.compile` does, without a loss.

        Raises:
            ValueError: If a loss is given.
        """
        if loss is not None:
            raise ValueError(
                f"{type(self).__name__} computes its own loss. Compile it without one: `compile(optimizer)`. "
                f"Received: loss={loss!r}"
            )
        super().compile(optimizer, None, *args, **kwargs)  # type: ignore[misc]

    def compile_from_config(self, config: dict[str, Any]) -> None:
        """Compile a loaded model as the saved one was; Keras leaves that to whoever overrides `compile`."""
        self.compile(**keras.saving.deserialize_keras_object(config))
        if self.built:  # type: ignore[attr-defined]
            self.optimizer.build(self.trainable_variables)  # type: ignore[attr-defined]

    @staticmethod
    def _named(method: Callable, x: Any, y: Any, args: tuple, options: dict[str, Any]) -> dict[str, Any]:
        """Return a call's arguments by name, with a target where sample weights need one.

        Without a target Keras passes over the weights.
        """
        named = inspect.signature(method).bind(None, x, y, *args, **options).arguments
        del named["self"]
        named |= named.pop("kwargs", {})
        if y is None and named.get("sample_weight") is not None:
            named["y"] = x
        return named


class BatchMean(keras.losses.Loss):
    """The mean over the batch of values for each sample, with Keras' rules for weights and for several devices."""

    def __init__(self, name: str = "bound", dtype: Any = "float32") -> None:
        super().__init__(name=name, dtype=dtype)

    def call(self, y_true: Any, y_pred: Any) -> Any:
        del y_true
        return y_pred

    def of(self, values: Any, sample_weight: Any = None) -> Any:
        """Return the mean of values of shape `(batch_size,)`, weighted if weights of that many are given."""
        return self(values, values, sample_weight)
