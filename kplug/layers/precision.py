"""The dtype that layers compute in where half precision would not do."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

_LARGEST = {"float16": 65504.0}


def precise_dtype(layer: keras.layers.Layer) -> str:
    """Return the layer's own compute dtype, or float32 where that is less precise.

    Args:
        layer: A layer.

    Returns:
        The dtype's name.

    Example:

    >>> kplug.layers.precise_dtype(keras.layers.Dense(1, dtype="mixed_float16"))
    'float32'
    """
    return keras.backend.result_type(layer.compute_dtype, "float32")


def in_dtype(values: Any, dtype: str) -> Any:
    """Cast values to a dtype; what float16 has no room for becomes its largest number, not infinity."""
    largest = _LARGEST.get(dtype)
    return ops.cast(values if largest is None else ops.clip(values, -largest, largest), dtype)
