"""The A/B test of rates."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from kplug_bayes.ab_testing.ab_test import ABTest, arm_names, values_by_arm
from kplug_bayes.ab_testing.arm_posteriors import BetaPosterior
from kplug_bayes.ab_testing.labelled import by_arm, check_one_index
from kplug_bayes.checked_numbers import finite_array

_SMALLEST_PRIOR = 0.3
_MOST_TRIALS = 10**11


@dataclass(frozen=True)
class BetaBinomialTest(ABTest):
    """A/B test of rates, such as conversions per visitor: binomial counts with a Beta prior.

    An arm's posterior is `Beta(a + successes, b + trials - successes)`.

    Args:
        successes: Number of successes of each arm, at least two arms: an array, or a dictionary or pandas' series by
            the arms' names.
        trials: Number of trials of each arm, likewise.
        names: The arms' names; by default those of the numbers, or A, B, …
        prior: a and b of the Beta prior of every arm, each at least 0.3: successes and failures that are thought of
            beforehand. (1, 1), the default, is uniform; (0.5, 0.5) is Jeffreys' prior.

    Attributes:
        posteriors: The arms' posteriors, `BetaPosterior`.

    Raises:
        ValueError: If counts are no whole numbers, there are more successes than trials or more than 1e11 trials of an
            arm, or the prior is out of range.

    References:
        Stucchio (2015), Bayesian A/B Testing at VWO,
        https://cdn2.hubspot.net/hubfs/310840/VWO_SmartStats_technical_whitepaper.pdf

    Example:

    >>> test = kplug_bayes.BetaBinomialTest(successes=[120, 150], trials=[2400, 2380])
    >>> round(test.probability_best["B"], 3), round(test.expected_loss["B"], 6)
    (0.974, 6.5e-05)
    >>> test.decide(threshold=0.0005).arm
    'B'
    """

    successes: Any
    trials: Any
    names: Sequence[str] | None = None
    prior: tuple[float, float] = (1.0, 1.0)
    metric = "rate"

    def __post_init__(self) -> None:
        names, values = by_arm(self.names, successes=self.successes, trials=self.trials)
        successes, trials = _counts("successes", values[0]), _counts("trials", values[1])
        if successes.shape != trials.shape:
            raise ValueError(
                "`successes` and `trials` must have one number for each arm. "
                f"Received: {len(successes)} successes, {len(trials)} trials"
            )
        if np.any(trials > _MOST_TRIALS):
            raise ValueError(
                f"`trials` must be at most {_MOST_TRIALS:.0e} of each arm: beyond it float64 has too few digits "
                f"and rates are known without a test. Received: {trials.max():.4g}"
            )
        if np.any(successes > trials):
            index = int(np.argmax(successes > trials))
            raise ValueError(
                "An arm must have at least as many trials as successes. Received: "
                f"successes[{index}]={successes[index]:.0f}, trials[{index}]={trials[index]:.0f}"
            )
        object.__setattr__(self, "successes", tuple(map(int, successes)))
        object.__setattr__(self, "trials", tuple(map(int, trials)))
        object.__setattr__(self, "names", arm_names(names, len(trials)))
        object.__setattr__(self, "prior", checked_prior(self.prior))

    @classmethod
    def from_log(
        cls, arms: Any, successes: Any, names: Sequence[Any] | None = None, prior: tuple[float, float] = (1.0, 1.0)
    ) -> BetaBinomialTest:
        """Count a log that has one entry for each trial.

        Args:
            arms: Which arm each trial is of, of shape `(trials,)`.
            successes: Whether it was a success, 0 or 1 (or truth values), of shape `(trials,)`.
            names: The arms in the order that is wanted; by default sorted. The first is the baseline.
            prior: a and b of the Beta prior.

        Raises:
            ValueError: If the arrays do not go together, or a success is neither 0 nor 1.
        """
        check_one_index(arms=arms, successes=successes)
        values = finite_array("successes", successes)
        if np.any((values != 0) & (values != 1)):
            wrong = values[(values != 0) & (values != 1)][0]
            raise ValueError(f"`successes` must be 0 or 1 for each trial. Received: {wrong:g}")
        found, parts = values_by_arm(arms, values, names)
        return cls([int(part.sum()) for part in parts], [len(part) for part in parts], found, prior)

    @cached_property
    def posteriors(self) -> tuple[BetaPosterior, ...]:
        a, b = self.prior
        return tuple(
            BetaPosterior(a + successes, b + trials - successes)
            for successes, trials in zip(self.successes, self.trials, strict=True)
        )


def checked_prior(prior: Any) -> tuple[float, float]:
    """Return a and b of a Beta prior.

    Raises:
        ValueError: If they are not two numbers of at least 0.3.
    """
    values = finite_array("prior", prior)
    if values.shape != (2,) or np.any(values < _SMALLEST_PRIOR):
        raise ValueError(
            f"`prior` must be two numbers of at least {_SMALLEST_PRIOR}, the a and b of a Beta distribution; (1, 1) is "
            f"uniform. Received: prior={prior!r}"
        )
    return float(values[0]), float(values[1])


def _counts(name: str, values: Any) -> np.ndarray:
    counts = finite_array(name, values, dimensions=1)
    if np.any((counts < 0) | (counts != np.floor(counts))):
        wrong = counts[(counts < 0) | (counts != np.floor(counts))][0]
        raise ValueError(f"`{name}` must be whole numbers, one for each arm, at least 0. Received: {wrong:g}")
    return counts
