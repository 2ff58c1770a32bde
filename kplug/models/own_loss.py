"""What models that compute their own loss have in common."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any, ClassVar

import keras


class OwnLoss:
    """Makes a `keras.Model` one that computes its own loss: `compile` refuses another, and targets may be left out.

    It stands before `keras.Model` among the bases. Its component says so: `@kplug.component(own_loss=True)`.

    Example:

    ```python
    class Detector(kplug.models.OwnLoss, keras.Model):
        own_loss = "the negative log likelihood"

        def __init__(self, **kwargs):
            super().__init__(**kwargs)
            self.batch_mean = kplug.models.BatchMean("negative_log_likelihood")

        def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
            return self.batch_mean.of(-self.log_density(x), sample_weight)

        def fit(self, x=None, y=None, *args, **kwargs):
            return super().fit(**self.named_arguments(keras.Model.fit, x, y, args, kwargs))
    ```
    """

    own_loss: ClassVar[str] = ""
    """What the loss is, in words, for messages."""

    def compile(self: Any, optimizer: Any = "rmsprop", loss: Any = None, *args: Any, **kwargs: Any) -> None:
        """Configure the training as `keras.Model.compile` does, without a loss.

        Raises:
            ValueError: If a loss is given.
        """
        if loss is not None:
            raise ValueError(
                f"{type(self).__name__} computes its own loss{self.own_loss and f', {self.own_loss}'}. Compile it "
                f"without one: `compile(optimizer)`. Received: loss={loss!r}"
            )
        super().compile(optimizer, None, *args, **kwargs)  # type: ignore[misc]

    def compile_from_config(self: Any, config: dict[str, Any]) -> None:
        """Compile a loaded model as the saved one was; Keras leaves that to whoever overrides `compile`."""
        self.compile(**keras.saving.deserialize_keras_object(config))
        if self.built:
            self.optimizer.build(self.trainable_variables)

    @staticmethod
    def named_arguments(method: Callable, x: Any, y: Any, args: tuple, options: dict[str, Any]) -> dict[str, Any]:
        """Return the arguments of `fit` or `evaluate` by name, with a target where sample weights need one.

        Without a target Keras passes over the weights.

        Args:
            method: `keras.Model.fit` or `keras.Model.evaluate`.
            x: The samples.
            y: The targets, or `None`.
            args: Arguments by position after these.
            options: Arguments by name.
        """
        named = inspect.signature(method).bind(None, x, y, *args, **options).arguments
        del named["self"]
        named |= named.pop("kwargs", {})
        if y is None and named.get("sample_weight") is not None:
            named["y"] = x
        return named


class BatchMean(keras.losses.Loss):
    """The mean over the batch of values for each sample, with Keras' rules for weights and for several devices.

    Args:
        name: The loss's name.
        dtype: What it is computed in.

    Example:

    >>> mean = kplug.models.BatchMean("bound")
    >>> float(mean.of(np.array([1.0, 3.0]), np.array([1.0, 0.0])))
    0.5
    """

    def __init__(self, name: str = "bound", dtype: Any = "float32") -> None:
        super().__init__(name=name, dtype=dtype)

    def call(self, y_true: Any, y_pred: Any) -> Any:
        del y_true
        return y_pred

    def of(self, values: Any, sample_weight: Any = None) -> Any:
        """Return the mean of values of shape `(batch_size,)`, weighted if weights of that many are given."""
        return self(values, values, sample_weight)
