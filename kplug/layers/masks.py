"""Masks of sequences, made to fit the values that they leave out."""

from __future__ import annotations

from typing import Any

from keras import ops


def aligned(mask: Any, values: Any) -> Any:
    """Give a mask over the leading axes as many axes as the values have, so that the two broadcast.

    Args:
        mask: Tensor of shape `(batch_size, ...)`, with at most the axes of `values`.
        values: Tensor that begins with the same axes.

    Returns:
        The mask with axes of length 1 at its end.
    """
    return ops.reshape(mask, (*ops.shape(mask), *[1] * (len(values.shape) - len(mask.shape))))
