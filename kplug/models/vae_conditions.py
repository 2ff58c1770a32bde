"""How a conditional autoencoder is told the class of each sample."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

NO_CLASSES = "With `conditional=True` the VAE needs the class of each sample: `fit(x, y)`, `predict([x, y])`."


class ClassConditions:
    """A `keras.Model` that, with `conditional=True`, takes targets for classes and puts them beside the data.

    What a member has: `conditional` and `num_classes`.
    """

    conditional: bool
    num_classes: int | None
    compute_dtype: Any

    @property
    def _num_conditions(self) -> int:
        return int(self.num_classes or 0) if self.conditional else 0

    def _split(self, inputs: Any) -> tuple[Any, Any]:
        if not isinstance(inputs, (list, tuple)):
            return inputs, None
        if not self.conditional or len(inputs) != 2:
            raise ValueError(
                "VAE takes data, or with `conditional=True` a pair of data and class numbers. "
                f"Received: {len(inputs)} inputs, conditional={self.conditional}"
            )
        return inputs[0], inputs[1]

    def _conditions(self, labels: Any, batch_size: Any) -> Any:
        """Return one-hot classes of shape `(batch_size, num_classes)`: zeros without labels, `None` if not told any."""
        if not self.conditional:
            return None
        if labels is None:
            return ops.zeros((batch_size, self._num_conditions), dtype=self.compute_dtype)
        if len(labels.shape) == 2 and labels.shape[1] == self.num_classes != 1:
            return ops.cast(labels, self.compute_dtype)
        return ops.one_hot(ops.cast(ops.reshape(labels, (-1,)), "int32"), self.num_classes, dtype=self.compute_dtype)

    def train_step(self, *arguments: Any) -> Any:
        return super().train_step(*arguments[:-1], self._with_classes(arguments[-1]))  # type: ignore[misc]

    def test_step(self, *arguments: Any) -> Any:
        return super().test_step(*arguments[:-1], self._with_classes(arguments[-1]))  # type: ignore[misc]

    def predict_step(self, *arguments: Any) -> Any:
        return super().predict_step(*arguments[:-1], self._with_classes(arguments[-1]))  # type: ignore[misc]

    def _with_classes(self, data: Any) -> Any:
        """Put a conditional model's targets beside the data, where `call` sees them."""
        if not self.conditional:
            return data
        x, y, sample_weight = keras.utils.unpack_x_y_sample_weight(data)
        if isinstance(x, (list, tuple)):
            return data
        if y is None:
            raise ValueError(NO_CLASSES)
        return (x, y), y, sample_weight
