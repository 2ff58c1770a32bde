"""What is known of one arm: Beta posteriors of rates, Student t posteriors of means."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import special

from kplug_bayes.ab_testing.intervals import Interval, interval_of
from kplug_bayes.checked_numbers import probabilities

_HALF = [1e-16, 1e-12, 1e-9, 1e-7, 1e-6, 1e-5, 1e-4, 1e-3, 3e-3, 0.01, 0.03, 0.08, 0.16, 0.3]
TAILS = np.array([*_HALF, 0.5])
"""Tail probabilities at whose quantiles integrals are cut into pieces, so close that densities are smooth between."""

LONGEST_PIECE = 2.0
_MANY = 1000
"""Successes and failures from which log densities are computed from their mode."""


class ArmPosterior(ABC):
    """The posterior of one arm's rate or mean.

    Integrals over it are taken on a line without ends, which for rates is that of their log odds; densities there have
    exponential tails, whatever they do at 0 and 1.
    """

    @property
    @abstractmethod
    def mean(self) -> float:
        """The expected rate or mean."""

    @property
    @abstractmethod
    def std(self) -> float:
        """Its standard deviation."""

    @abstractmethod
    def pdf(self, x: Any) -> Any:
        """Return densities at values of any shape."""

    @abstractmethod
    def cdf(self, x: Any) -> Any:
        """Return probabilities of at most x."""

    @abstractmethod
    def sf(self, x: Any) -> Any:
        """Return probabilities of more than x."""

    @abstractmethod
    def quantile(self, p: Any) -> Any:
        """Return what the rate or mean is at most, with probability p, of any shape.

        Raises:
            ValueError: If p is not between 0 and 1.
        """

    @abstractmethod
    def line_quantiles(self) -> np.ndarray:
        """Return where on the line the lower and upper tails of `TAILS` begin, in ascending order."""

    @abstractmethod
    def from_line(self, line: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return values at places on the line, and their derivatives."""

    @abstractmethod
    def to_line(self, x: np.ndarray) -> np.ndarray:
        """Return places on the line."""

    @abstractmethod
    def line_pdf(self, line: np.ndarray) -> np.ndarray:
        """Return densities on the line."""

    @abstractmethod
    def line_tails(self, line: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return probabilities below and above places on the line, each precise where it is small."""

    def interval(self, credibility: float = 0.95, kind: str = "equal-tailed") -> Interval:
        """Return a credible interval, `"equal-tailed"` or `"highest-density"`.

        Raises:
            ValueError: If a parameter is out of range.
        """
        return interval_of(self, credibility, kind)


@dataclass(frozen=True)
class BetaPosterior(ArmPosterior):
    """Beta posterior of a rate, with density `x^(a - 1) (1 - x)^(b - 1) / B(a, b)`.

    Attributes:
        a: Successes, and what the prior adds.
        b: Failures, and what the prior adds.
    """

    a: float
    b: float

    @property
    def mean(self) -> float:
        return self.a / (self.a + self.b)

    @property
    def std(self) -> float:
        total = self.a + self.b
        return math.sqrt(self.a * self.b / (total + 1)) / total

    def pdf(self, x: Any) -> Any:
        x = np.asarray(x, "float64")
        inside = np.clip(x, 0, 1)
        if min(self.a, self.b) >= _MANY:
            with np.errstate(divide="ignore", invalid="ignore"):
                density = np.exp(_log_odds_density(self.a, self.b, special.logit(inside))) / (inside * (1 - inside))
            return np.where((x > 0) & (x < 1), density, 0.0)[()]
        with np.errstate(over="ignore"):
            log = special.xlogy(self.a - 1, inside) + special.xlog1py(self.b - 1, -inside)
            return np.where((x >= 0) & (x <= 1), np.exp(log - special.betaln(self.a, self.b)), 0.0)[()]

    def cdf(self, x: Any) -> Any:
        return special.betainc(self.a, self.b, np.clip(x, 0, 1))

    def sf(self, x: Any) -> Any:
        return special.betaincc(self.a, self.b, np.clip(x, 0, 1))

    def quantile(self, p: Any) -> Any:
        return special.betaincinv(self.a, self.b, probabilities("p", p))[()]

    def line_quantiles(self) -> np.ndarray:
        lower = _log_odds(special.betaincinv(self.a, self.b, TAILS), special.betainccinv(self.b, self.a, TAILS))
        upper = _log_odds(special.betainccinv(self.a, self.b, TAILS), special.betaincinv(self.b, self.a, TAILS))
        return np.concatenate([lower, upper[-2::-1]])

    def from_line(self, line: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        x = special.expit(line)
        return x, x * special.expit(-line)

    def to_line(self, x: np.ndarray) -> np.ndarray:
        x = np.clip(x, 0, 1)
        return _log_odds(x, 1 - x)

    def line_pdf(self, line: np.ndarray) -> np.ndarray:
        return np.asarray(np.exp(_log_odds_density(self.a, self.b, line)))

    def line_tails(self, line: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        x, rest = special.expit(line), special.expit(-line)
        small = line < 0
        below = np.where(small, special.betainc(self.a, self.b, x), special.betaincc(self.b, self.a, rest))
        above = np.where(small, special.betaincc(self.a, self.b, x), special.betainc(self.b, self.a, rest))
        return below, above

    def __str__(self) -> str:
        return f"Beta({self.a:g}, {self.b:g})"


def _log_odds_density(a: float, b: float, line: np.ndarray) -> np.ndarray:
    """Return log densities of the log odds of a Beta variable: `a log x + b log(1 - x) - log B(a, b)`."""
    if min(a, b) < _MANY:
        return np.asarray(a * special.log_expit(line) + b * special.log_expit(-line) - special.betaln(a, b))
    # Of many counts all three are large and cancel. So all is measured from where a / x = b / (1 - x) = a + b, with
    # Stirling's series for what log B is more than its value there.
    share = a / (a + b)
    above, below = special.expit(line) / share - 1, special.expit(-line) / (1 - share) - 1
    # a * above + b * below is 0.
    with np.errstate(divide="ignore"):
        distance = a * (np.log1p(above) - above) + b * (np.log1p(below) - below)
    log_beta = 0.5 * np.log(2 * np.pi * (1 / a + 1 / b)) + _stirling(a) + _stirling(b) - _stirling(a + b)
    return np.asarray(distance - log_beta)


def _stirling(a: float) -> float:
    """Return `log Gamma(a) - (a - 1/2) log a + a - log(2 pi) / 2`, for a large a."""
    return (1 - (1 / 30 - 1 / (105 * a * a)) / (a * a)) / (12 * a)


def _log_odds(x: Any, rest: Any) -> np.ndarray:
    """Return log odds of x and of what it lacks to 1, both precise where they are small."""
    return np.asarray(np.log(np.maximum(x, 1e-300)) - np.log(np.maximum(rest, 1e-300)))


@dataclass(frozen=True)
class StudentTPosterior(ArmPosterior):
    """Student t posterior of a mean whose variance is unknown.

    Attributes:
        loc: Its centre.
        scale: Its scale, above 0.
        df: Degrees of freedom.
    """

    loc: float
    scale: float
    df: float

    @property
    def mean(self) -> float:
        return self.loc if self.df > 1 else math.nan

    @property
    def std(self) -> float:
        return self.scale * math.sqrt(self.df / (self.df - 2)) if self.df > 2 else math.inf

    def pdf(self, x: Any) -> Any:
        z = (np.asarray(x, "float64") - self.loc) / self.scale
        return np.exp(self._log_norm() - (self.df + 1) / 2 * np.log1p(z * z / self.df)) / self.scale

    def _log_norm(self) -> float:
        return float(-special.betaln(self.df / 2, 0.5) - math.log(self.df) / 2)

    def cdf(self, x: Any) -> Any:
        return special.stdtr(self.df, (np.asarray(x, "float64") - self.loc) / self.scale)

    def sf(self, x: Any) -> Any:
        return special.stdtr(self.df, (self.loc - np.asarray(x, "float64")) / self.scale)

    def quantile(self, p: Any) -> Any:
        p = probabilities("p", p)
        tail = special.stdtrit(self.df, np.minimum(p, 1 - p))
        return (self.loc + self.scale * np.where(p < 0.5, tail, -tail))[()]

    def line_quantiles(self) -> np.ndarray:
        lower = self.scale * special.stdtrit(self.df, TAILS)
        return self.loc + np.concatenate([lower, -lower[-2::-1]])

    def from_line(self, line: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return line, np.ones_like(line)

    def to_line(self, x: np.ndarray) -> np.ndarray:
        return x

    def line_pdf(self, line: np.ndarray) -> np.ndarray:
        return np.asarray(self.pdf(line))

    def line_tails(self, line: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return self.cdf(line), self.sf(line)

    def __str__(self) -> str:
        return f"t(loc={self.loc:g}, scale={self.scale:g}, df={self.df:g})"
