"""The difference and the relative uplift between two arms."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from scipy import special
from scipy.optimize import brentq

from kplug_bayes.ab_testing.arm_posteriors import ArmPosterior
from kplug_bayes.ab_testing.intervals import Interval, interval_of
from kplug_bayes.ab_testing.quadrature import pieces
from kplug_bayes.checked_numbers import check_number

_SPREAD = np.linspace(-7.5, 7.5, 61)
_AT_ONCE = 64


@dataclass(frozen=True)
class Comparison:
    """The distribution of how much better one arm is than another, by quadrature over both posteriors.

    Attributes:
        arm: The posterior of the arm that is compared.
        baseline: The posterior of the arm that it is compared with, independent of the other.
        relative: Whether it is compared by the relative uplift, `arm / baseline - 1`, in place of the difference,
            `arm - baseline`.
    """

    arm: ArmPosterior
    baseline: ArmPosterior
    relative: bool = False

    def cdf(self, x: Any) -> Any:
        """Return probabilities that the arm is better by at most x; x has any shape."""
        return self._integrated(x, density=False)

    def pdf(self, x: Any) -> Any:
        """Return densities at x, of any shape."""
        return self._integrated(x, density=True)

    def quantile(self, p: float) -> float:
        """Return by how much the arm is better at most, with probability p.

        Raises:
            ValueError: If p is not between 0 and 1.
        """
        check_number("p", p, 0, 1)
        places, reached = self._bracketing
        if p <= reached[0] or p >= reached[-1]:
            return float(places[0] if p <= reached[0] else places[-1])
        upper = int(np.searchsorted(reached, p))
        low, high = float(places[upper - 1]), float(places[upper])
        if reached[upper] == p or low == high:
            return high
        span = high - low
        return float(brentq(lambda x: float(self.cdf(x)) - p, low, high, xtol=span * 1e-12, rtol=1e-14))

    def interval(self, credibility: float = 0.95, kind: str = "equal-tailed") -> Interval:
        """Return a credible interval, `"equal-tailed"` or `"highest-density"`.

        Raises:
            ValueError: If a parameter is out of range.
        """
        return interval_of(self, credibility, kind)

    @property
    def median(self) -> float:
        """What the arm is better by with probability one half."""
        return self.quantile(0.5)

    @cached_property
    def _bracketing(self) -> tuple[np.ndarray, np.ndarray]:
        """Places from one tail to the other, and the probabilities below them."""
        levels = special.ndtr(_SPREAD)
        levels[levels > 0.5] = 1 - special.ndtr(-_SPREAD[levels > 0.5])
        high, low = self.arm.quantile(levels), self.baseline.quantile(levels[::-1])
        if self.relative:
            with np.errstate(over="ignore"):
                places = np.clip(high / np.maximum(low, np.finfo("float64").tiny), -1e300, 1e300) - 1
        else:
            places = high - low
        places = np.unique(np.append(places, 0.0))
        reached = np.maximum.accumulate(np.asarray(self.cdf(places)))
        return places, reached

    @cached_property
    def _own_breakpoints(self) -> tuple[np.ndarray, np.ndarray]:
        """Where the baseline's density is cut, on its line, and where the arm's is, as values."""
        return self.baseline.line_quantiles(), self.arm.from_line(self.arm.line_quantiles())[0]

    def _integrated(self, x: Any, density: bool) -> Any:
        x = np.asarray(x, "float64")
        flat = x.reshape(-1)
        parts = [self._part(flat[begin : begin + _AT_ONCE], density) for begin in range(0, flat.size, _AT_ONCE)]
        return np.concatenate([*parts, np.zeros(0)]).reshape(x.shape)[()]

    def _part(self, x: np.ndarray, density: bool) -> np.ndarray:
        """Integrate over the baseline, with pieces for both densities; the arm's move with x."""
        own, others = self._own_breakpoints
        column = x[:, np.newaxis]
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            moved = others / (1 + column) if self.relative else others - column
        moved = np.nan_to_num(moved, nan=0.0, posinf=1e300, neginf=-1e300)
        moved = np.clip(self.baseline.to_line(moved), own[0], own[-1])
        line, weights = pieces(np.concatenate([np.broadcast_to(own, (len(x), own.size)), moved], axis=1))
        value, _ = self.baseline.from_line(line)
        weights = weights * self.baseline.line_pdf(line)
        with np.errstate(over="ignore"):
            at = (1 + column) * value if self.relative else value + column
        if not density:
            return np.asarray(np.clip(np.sum(weights * self.arm.cdf(at), axis=1), 0, 1))
        stretched = np.abs(value) if self.relative else 1.0
        densities = self.arm.pdf(at)
        # Where rounding puts a node on a border, the density may be infinite; there is next to nothing on the border.
        densities = np.where(np.isfinite(densities), densities, 0.0)
        return np.asarray(np.sum(weights * densities * stretched, axis=1))
