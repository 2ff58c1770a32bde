"""Normal densities in the form in which a network puts out their parameters."""

from __future__ import annotations

import math
from typing import Any

from keras import ops

from kplug_bayes.variational.normal_prior import HALF_LOG_2_PI

SMALLEST_DEVIATION = 1e-15
"""Added to each standard deviation, so that float32 has room for its logarithm, its inverse, and squares of that."""

_SMALL = -15.0
"""Below it, log softplus(u) is u - exp(u) / 2 to float32's precision."""


def deviation(untransformed: Any) -> Any:
    """Return standard deviations: `softplus(untransformed) + 1e-15`."""
    return ops.softplus(untransformed) + SMALLEST_DEVIATION


def log_deviation(untransformed: Any) -> Any:
    """Return the logarithms of `deviation(untransformed)`, with slopes that are finite however small it is."""
    small = untransformed < _SMALL
    exact = ops.log(ops.softplus(ops.where(small, _SMALL, untransformed)))
    series = untransformed - 0.5 * ops.exp(ops.where(small, untransformed, _SMALL))
    return ops.logaddexp(ops.where(small, series, exact), math.log(SMALLEST_DEVIATION))


def normal_log_density(value: Any, loc: Any, log_scale: Any) -> Any:
    """Return `log N(value; loc, exp(log_scale)^2)`, elementwise, in nats."""
    return -(0.5 * ops.square((value - loc) * ops.exp(-log_scale)) + log_scale + HALF_LOG_2_PI)
