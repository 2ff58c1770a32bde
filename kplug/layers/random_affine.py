"""Random rotation, zoom and translation of images in one resampling."""

from __future__ import annotations

import math
from typing import Annotated, Any, Literal

import keras
from keras import ops
from pydantic import Field

from kplug.catalog.facts import component
from kplug.layers.precision import precise_dtype
from kplug.layers.seeded import SeededLayer

FillMode = Literal["constant", "nearest", "reflect", "wrap"]


@component(tasks=["image-classification", "image-generation"])
@keras.saving.register_keras_serializable(package="kplug")
class RandomAffine(SeededLayer):
    """Rotates, zooms and shifts each image of a batch by its own random amounts, in training only.

    One bilinear resampling does all three, so an image is blurred once, where Keras' `RandomRotation`, `RandomZoom` and
    `RandomTranslation` in a row blur it three times; and XLA can compile it, which it cannot those on TensorFlow.

    Use it for images whose label does not depend on a small turn, size or place. Keep `rotation` small where it does: a
    6 turned round is a 9.

    Args:
        rotation: Largest turn either way in degrees, from 0 to 180.
        zoom: Largest relative change of size either way, at least 0 and less than 1: 0.1 is 90 to 110 per cent.
        translation: Largest shift either way along each axis, as a share of the image's side.
        fill_mode: What is outside the image: `"constant"` (zeros), `"nearest"` (its border), `"reflect"` (its mirror
            image) or `"wrap"` (the image once more).
        seed: Whole number that makes the draws repeat, or `None`.
        **kwargs: Keras' own layer arguments (`name`, `dtype`, …).

    Call arguments:
        inputs: Images of shape `(batch_size, height, width, channels)`.
        training: The images change in training only.

    Returns:
        Images of the same shape.

    Raises:
        ValueError: If a parameter is out of range, or the inputs are no images.

    Example:

    >>> images = np.ones((2, 8, 8, 1), "float32")
    >>> kplug.RandomAffine(rotation=10, seed=0)(images, training=True).shape[1:] == (8, 8, 1)
    True
    """

    def __init__(
        self,
        rotation: Annotated[float, Field(ge=0, le=180)] = 10.0,
        zoom: Annotated[float, Field(ge=0, lt=1)] = 0.1,
        translation: Annotated[float, Field(ge=0, le=1)] = 0.1,
        fill_mode: FillMode = "constant",
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(seed=seed, **kwargs)
        if not 0 <= rotation <= 180:
            raise ValueError(f"`rotation` must lie between 0 and 180 degrees. Received: rotation={rotation}")
        if not 0 <= zoom < 1:
            raise ValueError(f"`zoom` must be at least 0 and less than 1. Received: zoom={zoom}")
        if not 0 <= translation <= 1:
            raise ValueError(f"`translation` must lie between 0 and 1. Received: translation={translation}")
        if fill_mode not in ("constant", "nearest", "reflect", "wrap"):
            raise ValueError(
                f"`fill_mode` must be 'constant', 'nearest', 'reflect' or 'wrap'. Received: fill_mode={fill_mode!r}"
            )
        self.rotation = rotation
        self.zoom = zoom
        self.translation = translation
        self.fill_mode = fill_mode

    def build(self, input_shape: Any) -> None:
        if len(input_shape) != 4 or None in input_shape[1:]:
            raise ValueError(
                "RandomAffine needs images of shape (batch_size, height, width, channels), of a known size. "
                f"Received inputs of shape {tuple(input_shape)}"
            )

    def call(self, inputs: Any, training: bool | None = None) -> Any:
        if not training or not (self.rotation or self.zoom or self.translation):
            return inputs
        dtype = precise_dtype(self)
        images = ops.cast(inputs, dtype)
        return ops.cast(_resampled(images, *self._places(images, dtype), self.fill_mode), self.compute_dtype)

    def _places(self, images: Any, dtype: str) -> tuple[Any, Any]:
        """Return the row and the column that each pixel is taken from, each of shape `(batch_size, height, width)`."""
        batch_size, height, width = ops.shape(images)[0], images.shape[1], images.shape[2]
        uniform = keras.random.uniform((4, batch_size, 1, 1), -1.0, 1.0, dtype=dtype, seed=self.seed_generator)
        angle = uniform[0] * (self.rotation * math.pi / 180)
        scale = 1 / (1 + uniform[1] * self.zoom)
        cos, sin = ops.cos(angle) * scale, ops.sin(angle) * scale
        # About the centre of the image.
        rows = ops.reshape(ops.arange(height, dtype=dtype), (-1, 1)) - (height - 1) / 2
        columns = ops.arange(width, dtype=dtype) - (width - 1) / 2
        from_row = cos * rows + sin * columns + uniform[2] * (self.translation * height) + (height - 1) / 2
        from_column = cos * columns - sin * rows + uniform[3] * (self.translation * width) + (width - 1) / 2
        return from_row, from_column

    def compute_output_shape(self, input_shape: Any) -> Any:
        return input_shape

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "rotation": self.rotation,
            "zoom": self.zoom,
            "translation": self.translation,
            "fill_mode": self.fill_mode,
        }


def _resampled(images: Any, rows: Any, columns: Any, fill_mode: str) -> Any:
    """Take each pixel from its place by bilinear interpolation. Gathers, unlike Keras' affine transform, run in XLA."""
    height, width, channels = images.shape[1:]
    flat = ops.reshape(images, (-1, height * width, channels))
    top, left = ops.floor(rows), ops.floor(columns)
    total = 0.0
    for row, row_weight in ((top, 1 - (rows - top)), (top + 1, rows - top)):
        for column, column_weight in ((left, 1 - (columns - left)), (left + 1, columns - left)):
            weight = row_weight * column_weight
            if fill_mode == "constant":
                inside = (row >= 0) & (row < height) & (column >= 0) & (column < width)
                weight = weight * ops.cast(inside, weight.dtype)
            place = _inside(row, height, fill_mode) * width + _inside(column, width, fill_mode)
            taken = ops.take_along_axis(flat, ops.reshape(place, (-1, height * width, 1)), axis=1)
            total = total + ops.reshape(weight, (-1, height * width, 1)) * taken
    return ops.reshape(total, ops.shape(images))


def _inside(places: Any, size: int, fill_mode: str) -> Any:
    """Return whole places along an axis as indices within it."""
    places = ops.cast(places, "int32")
    if fill_mode == "wrap":
        return ops.mod(places, size)
    if fill_mode == "reflect":
        folded = ops.mod(places, 2 * size)
        return ops.minimum(folded, 2 * size - 1 - folded)
    return ops.clip(places, 0, size - 1)
