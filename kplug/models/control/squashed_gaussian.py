"""The distribution of bounded actions: a Gaussian through tanh, stretched to the bounds, with exact densities."""

from __future__ import annotations

import math
from typing import Any

import keras
import numpy as np
from keras import ops

from kplug.losses.likelihoods import sum_per_sample

_LOG_2 = math.log(2.0)
_HALF_LOG_2_PI = 0.5 * math.log(2 * math.pi)
_HALF_LOG_2_PI_E = 0.5 * math.log(2 * math.pi * math.e)


def log_tanh_slope(unsquashed: Any) -> Any:
    """Return `log(1 - tanh(u)^2)`, elementwise, which is what squashing takes off a log-density.

    In the form `2 (log 2 - |u| - softplus(-2 |u|))`, which is right to rounding for every u; the obvious form is
    minus infinity from |u| = 9 on in float32. Its gradient is `-2 tanh(u)`.

    Args:
        unsquashed: Values before tanh, of any shape.
    """
    size = ops.abs(unsquashed)
    return 2.0 * (_LOG_2 - size - ops.softplus(-2.0 * size))


def squash(unsquashed: Any, low: Any, high: Any) -> Any:
    """Return `low + (high - low) (1 + tanh(u)) / 2`, never beyond the bounds.

    Args:
        unsquashed: Values before tanh, of shape `(batch_size, action_dim)`.
        low: Lower bounds of shape `(action_dim,)`.
        high: Upper bounds.
    """
    return ops.clip(0.5 * (high + low) + 0.5 * (high - low) * ops.tanh(unsquashed), low, high)


def unsquash(actions: Any, low: Any, high: Any, margin: float = 0.0) -> Any:
    """Return the values before tanh of actions between the bounds: `log((a - low) / (high - a)) / 2`.

    An action on a bound, whose value would be infinite, counts as half a float's step away from it, or as the margin.

    Args:
        actions: Actions of shape `(batch_size, action_dim)`.
        low: Lower bounds of shape `(action_dim,)`.
        high: Upper bounds.
        margin: Share of the range that an action is taken to be away from a bound at least.
    """
    # The distances from the bounds are exact where it matters, which `1 - tanh` would not be.
    half_a_step = 0.5 * float(np.finfo(keras.backend.standardize_dtype(actions.dtype)).eps)
    least = max(margin, half_a_step) * (high - low)
    return 0.5 * (ops.log(ops.maximum(actions - low, least)) - ops.log(ops.maximum(high - actions, least)))


def squashed_log_density(unsquashed: Any, log_density: Any, low: Any, high: Any) -> Any:
    """Return the log-density of squashed actions, of shape `(batch_size,)`.

    Args:
        unsquashed: Values before tanh, of shape `(batch_size, action_dim)`.
        log_density: Their log-density, of shape `(batch_size,)`.
        low: Lower bounds of shape `(action_dim,)`.
        high: Upper bounds.
    """
    return log_density - sum_per_sample(log_tanh_slope(unsquashed) + ops.log(0.5 * (high - low)))


def standard_normal_log_density(noise: Any, log_std: Any) -> Any:
    """Return the log-density of `mean + exp(log_std) noise`, of shape `(batch_size,)`.

    Args:
        noise: Standard normal numbers of shape `(batch_size, action_dim)`.
        log_std: Log standard deviations of the same shape.
    """
    return -sum_per_sample(0.5 * ops.square(noise) + log_std + _HALF_LOG_2_PI)


def gaussian_entropy(log_std: Any) -> Any:
    """Return the entropy of diagonal Gaussians in nats: `sum_j log_std_j + log(2 pi e) / 2`, of shape `(batch_size,)`.

    Args:
        log_std: Log standard deviations of shape `(batch_size, action_dim)`.
    """
    return sum_per_sample(log_std + _HALF_LOG_2_PI_E)
