"""Whether 80 % of the targets lie in intervals that should hold 80 %."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from kplug_bayes.checked_arrays import checked_draws


@dataclass(frozen=True)
class CoverageCurve:
    """How many targets lie in central intervals, by how many should.

    Attributes:
        level: Probability of the intervals, of shape `(levels,)`.
        coverage: Share of the targets that lies inside, of shape `(levels,)`.
        count: Number of targets.
    """

    level: np.ndarray
    coverage: np.ndarray
    count: int

    @property
    def calibration_error(self) -> float:
        """The mean distance of level and coverage, between 0 and 1."""
        return float(np.mean(np.abs(self.coverage - self.level)))


def probability_integral_transform(y_true: Any, draws: Any) -> np.ndarray:
    """Return where each target lies among its draws: `(j + 1/2) / (draws + 1)` with j draws below it.

    Draws equal to the target count half. If predictions are calibrated, a target is as likely to come at any of the
    `draws + 1` places among its draws, so that these values are spread evenly between 0 and 1 (Gneiting et al. 2007,
    section 2.2), in steps of `1 / (draws + 1)`.

    Args:
        y_true: Targets of shape `(n, *outputs)`.
        draws: Draws of the predictive distribution, noise included, of shape `(draws, n, *outputs)`.

    Returns:
        Numbers between 0 and 1, of the shape of `y_true`.

    Raises:
        ValueError: If the shapes do not fit, or a number is not finite.

    References:
        Gneiting et al. (2007), Probabilistic forecasts, calibration and sharpness,
        https://doi.org/10.1111/j.1467-9868.2007.00587.x

    Example:

    >>> kplug_bayes.probability_integral_transform([2.5], [[1.0], [2.0], [3.0], [4.0]]).tolist()
    [0.5]
    """
    low, high = _place(y_true, draws)
    return np.asarray(((low + high) / 2).reshape(np.shape(y_true)))


def coverage_curve(y_true: Any, draws: Any, levels: Sequence[float] | None = None) -> CoverageCurve:
    """Return the share of targets in the central interval of each level.

    The interval of level p holds the values u of the probability integral transform with `|2 u - 1| <= p`. Of a target
    with j of m draws below it no more is known than that u is between `j / (m + 1)` and `(j + 1) / (m + 1)`: it counts
    by the share of these that the interval holds (as in the nonrandomized transform of Czado et al. 2009), so that
    calibrated predictions cover p on average with few draws too. (Kuleshov et al. 2018 count one-sided intervals;
    central ones show too narrow and too wide predictions alike.)

    Args:
        y_true: Targets of shape `(n, *outputs)`.
        draws: Draws of the predictive distribution, noise included, of shape `(draws, n, *outputs)`.
        levels: Probabilities of the intervals, between 0 and 1; by default 0.05, 0.1, … 0.95.

    Raises:
        ValueError: If the shapes do not fit, a number is not finite, a level is out of range, or there are fewer than
            `2 / (1 - level) - 1` draws.

    References:
        - Kuleshov et al. (2018), Accurate Uncertainties for Deep Learning Using Calibrated Regression,
          https://arxiv.org/abs/1807.00263
        - Czado et al. (2009), Predictive Model Assessment for Count Data,
          https://doi.org/10.1111/j.1541-0420.2009.01191.x

    Example:

    >>> draws = np.linspace(-1, 1, 101)[:, None] * np.ones(2)
    >>> kplug_bayes.coverage_curve([0.0, 0.9], draws, levels=[0.5, 0.95]).coverage.tolist()
    [0.5, 1.0]
    """
    level = np.arange(1, 20) / 20 if levels is None else np.asarray(levels, "float64").reshape(-1)
    if not level.size or not ((level >= 0) & (level <= 1)).all():
        raise ValueError(f"`levels` must be numbers between 0 and 1. Received: levels={levels}")
    low, high = _place(y_true, draws)
    widest = float(level[level < 1].max(initial=0.0))
    # The outermost cells must lie outside of the interval.
    needed = math.ceil(round(2 / (1 - widest), 6)) - 1
    if np.shape(draws)[0] < needed:
        raise ValueError(
            f"An interval of {widest:g} needs {needed} draws or more to tell whether a target lies outside of it: draw "
            f"more, or give `coverage_curve` smaller `levels`. Received: {np.shape(draws)[0]} draws"
        )
    inside = [np.minimum(high, (1 + one) / 2) - np.maximum(low, (1 - one) / 2) for one in level]
    coverage = np.array([(np.maximum(part, 0) / (high - low)).mean() for part in inside])
    return CoverageCurve(level, coverage, low.size)


def _place(y_true: Any, draws: Any) -> tuple[np.ndarray, np.ndarray]:
    """Return the ends of what the probability integral transform may be, each of shape `(m,)`."""
    targets, drawn = checked_draws(y_true, draws)
    places = len(drawn) + 1
    return (drawn < targets).sum(axis=0) / places, ((drawn <= targets).sum(axis=0) + 1) / places
