"""What every Bayesian A/B test says, whatever its arms' posteriors are."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

import numpy as np

from kplug_bayes.ab_testing.arm_posteriors import ArmPosterior
from kplug_bayes.ab_testing.comparison import Comparison
from kplug_bayes.ab_testing.intervals import Interval
from kplug_bayes.ab_testing.quadrature import best_and_losses
from kplug_bayes.checked_numbers import check_number

_SURELY_POSITIVE = 1e-6


@dataclass(frozen=True)
class Decision:
    """What a test decides at a threshold of caring.

    Attributes:
        arm: The arm to choose, or `None` to go on testing.
        best: The arm that is expected to lose least, decided or not.
        expected_loss: What choosing `best` is expected to lose, in the metric's unit.
        probability_best: The probability that `best` is best.
        threshold: The loss below which nobody cares.
    """

    arm: str | None
    best: str
    expected_loss: float
    probability_best: float
    threshold: float

    def __str__(self) -> str:
        what = f"choose {self.arm}" if self.arm is not None else "go on testing"
        relation = "<" if self.arm is not None else ">="
        return (
            f"{what}: choosing {self.best} is expected to lose {self.expected_loss:.3g} {relation} "
            f"{self.threshold:.3g}; it is best with probability {self.probability_best:.4f}"
        )


class ABTest(ABC):
    """Reads a test of two or more arms: which is best, what is lost by choosing wrong, and by how much they differ.

    Everything is computed by quadrature over the posteriors, without random numbers; errors of probabilities are below
    1e-6. Expected losses follow Stucchio (2015): choosing an arm loses what the best arm has more than it, and nothing
    if it is best.

    References:
        Stucchio (2015), Bayesian A/B Testing at VWO,
        https://cdn2.hubspot.net/hubfs/310840/VWO_SmartStats_technical_whitepaper.pdf
    """

    names: Any
    metric: ClassVar[str]
    """What of an arm is compared, in a word."""

    @property
    @abstractmethod
    def posteriors(self) -> tuple[ArmPosterior, ...]:
        """The arms' posteriors, in order; independent of each other."""

    @cached_property
    def _best_and_losses(self) -> tuple[np.ndarray, np.ndarray]:
        return best_and_losses(self.posteriors)

    @property
    def probability_best(self) -> dict[str, float]:
        """For each arm the probability that it is the best one; with two arms, that it is better than the other."""
        return dict(zip(self.names, map(float, self._best_and_losses[0]), strict=True))

    @property
    def expected_loss(self) -> dict[str, float]:
        """For each arm what choosing it is expected to lose against the best one, in the metric's unit."""
        return dict(zip(self.names, map(float, self._best_and_losses[1]), strict=True))

    def posterior(self, name: str) -> ArmPosterior:
        """Return an arm's posterior: it has `mean`, `std`, `pdf(x)`, `cdf(x)`, `quantile(p)` and `interval(…)`.

        Raises:
            ValueError: If no arm has that name.
        """
        if name not in self.names:
            raise ValueError(f"An arm's name must be one of {', '.join(map(repr, self.names))}. Received: {name!r}")
        return self.posteriors[list(self.names).index(name)]

    def difference(self, name: str | None = None, baseline: str | None = None) -> Comparison:
        """Return how much more an arm has than another: `cdf(x)`, `pdf(x)`, `quantile(p)`, `interval(…)`, `median`.

        Args:
            name: The arm; by default the second.
            baseline: What it is compared with; by default the first.

        Raises:
            ValueError: If no arm has that name, or both are one.
        """
        return Comparison(*self._pair(name, baseline))

    def uplift(self, name: str | None = None, baseline: str | None = None) -> Comparison:
        """Return the relative uplift of an arm over another, `arm / baseline - 1`, like `difference`.

        Raises:
            ValueError: If no arm has that name, both are one, or the baseline's mean may be 0 or less, where a share of
                it means nothing.
        """
        arm, base = self._pair(name, baseline)
        below = float(base.cdf(0.0))
        if below > _SURELY_POSITIVE:
            raise ValueError(
                "The relative uplift needs a baseline that is above 0. "
                f"Received: a baseline of {base}, which is 0 or less with probability {below:.2g}. Use `difference`."
            )
        return Comparison(arm, base, relative=True)

    def _pair(self, name: str | None, baseline: str | None) -> tuple[ArmPosterior, ArmPosterior]:
        name, baseline = self.names[1] if name is None else name, self.names[0] if baseline is None else baseline
        if name == baseline:
            raise ValueError(f"An arm is compared with another one. Received: {name!r} twice")
        return self.posterior(name), self.posterior(baseline)

    def decide(self, threshold: float) -> Decision:
        """Choose the arm that is expected to lose least, if that is less than anybody cares about.

        Args:
            threshold: The threshold of caring, above 0, in the metric's unit: 0.001 is a tenth of a percentage point of
                a conversion rate.

        Returns:
            A `Decision`; its `arm` is `None` where the test should go on.

        Raises:
            ValueError: If the threshold is no number above 0.
        """
        check_number("threshold", threshold, 0, ends="()")
        best, losses = self._best_and_losses
        index = int(np.argmin(losses))
        name, loss = str(self.names[index]), float(losses[index])
        return Decision(name if loss < threshold else None, name, loss, float(best[index]), float(threshold))

    def summary(self, credibility: float = 0.95) -> str:
        """Return a table of the arms, and how each other arm compares with the first, as text.

        Args:
            credibility: Probability of the credible intervals, which are highest-density ones.

        Raises:
            ValueError: If the credibility is not between 0 and 1.
        """
        width = max(len("arm"), *map(len, self.names))
        interval = f"{credibility:.4g} HDI"
        lines = [f"{'arm':{width}}  {'mean':>10}  {interval:>24}  {'P(best)':>8}  {'expected loss':>13}"]
        rows = zip(self.names, self.posteriors, *self._best_and_losses, strict=True)
        for name, arm, best, loss in rows:
            shown = str(arm.interval(credibility, "highest-density"))
            lines.append(f"{name:{width}}  {arm.mean:>10.5g}  {shown:>24}  {best:>8.4f}  {loss:>13.4g}")
        for name in self.names[1:]:
            lines.append(f"{name} - {self.names[0]}: {self._compared(self.difference(name), credibility)}")
            if float(self.posteriors[0].cdf(0.0)) <= _SURELY_POSITIVE:
                lines.append(f"{name} / {self.names[0]} - 1: {self._compared(self.uplift(name), credibility)}")
        return "\n".join(lines)

    @staticmethod
    def _compared(comparison: Comparison, credibility: float) -> str:
        interval: Interval = comparison.interval(credibility, "highest-density")
        return f"median {comparison.median:.4g}, {credibility:.4g} HDI {interval}"


def arm_names(names: Sequence[str] | None, count: int) -> tuple[str, ...]:
    """Return the arms' names: those that are given, or letters.

    Raises:
        ValueError: If there are fewer than two arms, other than one name each, or a name twice.
    """
    if count < 2:
        raise ValueError(f"A test needs two arms or more. Received: {count}")
    if names is None:
        return tuple(chr(ord("A") + index) if count <= 26 else f"arm {index + 1}" for index in range(count))
    if isinstance(names, str) or len(names) != count or len(set(map(str, names))) != count:
        raise ValueError(f"`names` must be {count} different names, one for each arm. Received: names={names!r}")
    return tuple(map(str, names))


def values_by_arm(arms: Any, values: Any, names: Sequence[Any] | None) -> tuple[tuple[str, ...], list[np.ndarray]]:
    """Take a log apart: return the arms' names, and each arm's values.

    Args:
        arms: Which arm each entry of the log is of, of shape `(entries,)`: names or numbers.
        values: What was measured, of shape `(entries,)`.
        names: The arms in the order that is wanted; by default sorted.

    Raises:
        ValueError: If the arrays do not go together, or the log has an arm that is not named, or none of one that is.
    """
    arms, values = np.asarray(arms), np.asarray(values)
    if arms.ndim != 1 or arms.shape != values.shape:
        raise ValueError(
            "A log's arms and values must be arrays of shape (entries,), of one length. "
            f"Received: shapes {arms.shape} and {values.shape}"
        )
    missing = np.array(
        [arm is None or (isinstance(arm, float) and math.isnan(arm)) for arm in arms.tolist()], dtype=bool
    )
    if missing.any():
        raise ValueError(
            "A log must say of each entry which arm it is of: leave out those that do not. "
            f"Received: {arms[missing][0]!r} in entry {int(np.flatnonzero(missing)[0])}"
        )
    found = list(np.unique(arms))
    order = found if names is None else list(names)
    if set(order) != set(found):
        raise ValueError(
            f"`names` must name the arms of the log: {', '.join(map(str, found))}. Received: names={names!r}"
        )
    return arm_names(list(map(str, order)), len(order)), [values[arms == arm] for arm in order]
