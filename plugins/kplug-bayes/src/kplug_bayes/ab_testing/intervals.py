"""Credible intervals of distributions with one peak."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

from scipy.optimize import brentq

from kplug_bayes.checked_numbers import check_choice, check_number

_EDGE = 1e-12


class Continuous(Protocol):
    """A continuous distribution on the line."""

    def pdf(self, x: Any) -> Any:
        """Return densities."""

    def quantile(self, p: float) -> float:
        """Return what the quantity is at most, with probability p."""


@dataclass(frozen=True)
class Interval:
    """A credible interval.

    Attributes:
        low: Its lower end.
        high: Its upper end.
        credibility: The probability that the quantity lies in it.
        kind: `"equal-tailed"` or `"highest-density"`.
    """

    low: float
    high: float
    credibility: float
    kind: str

    def __str__(self) -> str:
        return f"{self.low:.4g} to {self.high:.4g}"


def interval_of(distribution: Continuous, credibility: float, kind: str) -> Interval:
    """Return a credible interval.

    Args:
        distribution: What the quantity is distributed as.
        credibility: The probability that the interval has, above 0 and below 1.
        kind: `"equal-tailed"`, with half of the rest on either side, or `"highest-density"`, the shortest one. Where
            the density is infinite at both ends, that is the shorter of the two that begin at an end.

    Raises:
        ValueError: If a parameter is out of range.
    """
    check_number("credibility", credibility, 0, 1, ends="()")
    check_choice("kind", kind, ("equal-tailed", "highest-density"))
    if kind == "equal-tailed":
        tail = (1 - credibility) / 2
        return Interval(distribution.quantile(tail), distribution.quantile(1 - tail), credibility, kind)
    low = _tail_below_the_shortest(distribution, credibility)
    return Interval(
        float(distribution.quantile(low)), float(distribution.quantile(low + credibility)), credibility, kind
    )


def _tail_below_the_shortest(distribution: Continuous, credibility: float) -> float:
    """Return the probability below the shortest interval: there both ends have one density, or one is at the border."""
    rest = 1 - credibility

    def falls(tail: float) -> float:
        ends = (distribution.quantile(tail), distribution.quantile(tail + credibility))
        low, high = (min(float(distribution.pdf(end)), 1e300) for end in ends)
        return (low - high) / max(low, high, 1e-300)

    first, last = rest * _EDGE, rest * (1 - 1e-9)
    if falls(first) < 0 < falls(last):
        return float(brentq(falls, first, last, xtol=1e-13, rtol=1e-12))
    widths = {tail: distribution.quantile(tail + credibility) - distribution.quantile(tail) for tail in (0.0, rest)}
    return min(widths, key=lambda tail: float(widths[tail]))
