"""Log-likelihoods of data under what a decoder puts out: one value per sample, in nats."""

from __future__ import annotations

import math
from typing import Any

from keras import ops


def bernoulli_log_likelihood(x: Any, logits: Any) -> Any:
    """Return `log p(x)` of independent Bernoulli variables, given their logits.

    Args:
        x: Data between 0 and 1, of shape `(batch_size, ...)`.
        logits: Logits of the same shape.

    Returns:
        The sum over all axes but the first, in nats, of shape `(batch_size,)`.
    """
    # x log p + (1 - x) log(1 - p), with p = sigmoid(logits).
    return sum_per_sample(x * logits - ops.softplus(logits))


def gaussian_log_likelihood(x: Any, mean: Any, scale: float = 1.0) -> Any:
    """Return `log p(x)` of independent Gaussian variables of one standard deviation, constants included.

    Args:
        x: Data of shape `(batch_size, ...)`.
        mean: Means of the same shape.
        scale: Standard deviation, greater than 0, in the data's unit.

    Returns:
        The sum over all axes but the first, in nats, of shape `(batch_size,)`.
    """
    constant = math.log(scale) + 0.5 * math.log(2 * math.pi)
    return -sum_per_sample(0.5 * ops.square((x - mean) / scale) + constant)


def sum_per_sample(values: Any) -> Any:
    """Sum over every axis but the first."""
    axes = tuple(range(1, len(values.shape)))
    return ops.sum(values, axis=axes) if axes else values
