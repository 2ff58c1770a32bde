"""The dtype that layers compute in where half precision would not do."""

from __future__ import annotations

import keras


def precise_dtype(layer: keras.layers.Layer) -> str:
    """Return the layer's own compute dtype, or float32 where that is less precise."""
    return keras.backend.result_type(layer.compute_dtype, "float32")
