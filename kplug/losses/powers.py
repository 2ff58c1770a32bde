"""Powers whose gradients are finite everywhere."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from keras import ops


def times_power(values: Any, base: Any, exponent: float) -> Any:
    """Return `values * base ** exponent`, with finite gradients where the base is 0, in few operations.

    Args:
        values: Tensor of any shape.
        base: Tensor of the same shape, at least 0.
        exponent: At least 0.
    """
    if exponent == 0:
        return values
    if exponent == 1:
        return base * values
    if exponent == 2:
        return ops.square(base) * values
    half = keras.backend.standardize_dtype(base.dtype) == "float16"
    tiny = float(np.finfo("float16" if half else "float32").tiny)
    return ops.exp(exponent * ops.log(ops.maximum(base, tiny))) * values
