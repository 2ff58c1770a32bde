"""What models that compute their own loss have in common."""

from __future__ import annotations

from typing import Any, ClassVar

import keras


class OwnLoss:
    """A `keras.Model` that computes its own loss: `compile` refuses another."""

    own_loss: ClassVar[str]
    """What the loss is, in words."""

    def compile(self: Any, optimizer: Any = "adam", loss: Any = None, *args: Any, **kwargs: Any) -> None:
        """Configure the training as `keras.Model.compile` does, without a loss.

        Raises:
            ValueError: If a loss is given.
        """
        if loss is not None:
            raise ValueError(
                f"{type(self).__name__} computes its own loss, {self.own_loss}. Compile it without one: "
                f"`compile(optimizer)`. Received: loss={loss!r}"
            )
        super().compile(optimizer, None, *args, **kwargs)  # type: ignore[misc]

    def compile_from_config(self: Any, config: dict[str, Any]) -> None:
        """Compile a loaded model as the saved one was; Keras leaves that to whoever overrides `compile`."""
        self.compile(**keras.saving.deserialize_keras_object(config))
        if self.built:
            self.optimizer.build(self.trainable_variables)
