"""How many samples a test takes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from numbers import Real
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from kplug_bayes.ab_testing.beta_binomial import checked_prior
from kplug_bayes.ab_testing.simulated_losses import mean_losses, rate_losses
from kplug_bayes.checked_numbers import check_number, check_seed, checked_count

_SMALLEST, _LARGEST = 16, 2**24
_CLOSE_ENOUGH = 1.02
Simulate = Callable[[int, float], np.ndarray]


@dataclass(frozen=True)
class SampleSizePlan:
    """How often a test decides rightly, over its size.

    Attributes:
        sizes: Samples per arm, ascending.
        right: The assurance: how often a test of that size decides for B, which is better as assumed.
        wrong: How often it decides for A then.
        false_positive: How often it decides for B where both arms have the baseline. Nothing is lost by that.
        sample_size: Samples per arm of the smallest simulated test that decides rightly often enough; `None` if no
            size does.
        assurance: How often is often enough.
        threshold: The threshold of caring.
        simulations: How many tests were simulated of each size.
    """

    sizes: tuple[int, ...]
    right: tuple[float, ...]
    wrong: tuple[float, ...]
    false_positive: tuple[float, ...]
    sample_size: int | None
    assurance: float
    threshold: float
    simulations: int

    def __str__(self) -> str:
        if self.sample_size is None:
            return (
                f"no test of up to {self.sizes[-1]} samples per arm decides rightly with probability "
                f"{self.assurance:g}; the largest does with {self.right[-1]:.3f}"
            )
        at = self.sizes.index(self.sample_size)
        return (
            f"{self.sample_size} samples per arm: decides rightly with probability {self.right[at]:.3f}, wrongly with "
            f"{self.wrong[at]:.3f}; for B where nothing differs with {self.false_positive[at]:.3f}"
        )

    def plot(self, path: str | Path | None = None) -> Figure:
        """Draw the curves over the size, which has a logarithmic axis.

        Args:
            path: Where to save the picture; `None` for nowhere.
        """
        figure = Figure(figsize=(7, 4), dpi=120, layout="constrained")
        axes = figure.add_subplot()
        axes.plot(self.sizes, self.right, ".-", color="C2", label="decides for B, which is better")
        axes.plot(self.sizes, self.wrong, ".-", color="C3", label="decides for A, which is worse")
        axes.plot(self.sizes, self.false_positive, ".-", color="0.6", label="decides for B where nothing differs")
        axes.axhline(self.assurance, color="0.8", linewidth=1, zorder=0)
        if self.sample_size is not None:
            axes.axvline(self.sample_size, color="0.8", linewidth=1, zorder=0)
        axes.set(
            xscale="log",
            ylim=(-0.02, 1.02),
            xlabel="samples per arm",
            ylabel="probability",
            title=f"sample size: {self.sample_size}, threshold of caring {self.threshold:g}",
        )
        axes.legend(fontsize=8)
        if path is not None:
            figure.savefig(path)
        return figure


def plan_sample_size(
    baseline: float,
    uplift: float,
    threshold: float,
    *,
    assurance: float = 0.8,
    std: float | None = None,
    prior: tuple[float, float] = (1.0, 1.0),
    sizes: Sequence[int] | None = None,
    simulations: int = 2000,
    seed: int = 0,
) -> SampleSizePlan:
    """Simulate tests of two arms, and find out how many samples per arm they need to decide rightly.

    A test decides once, at its end, as `ABTest.decide` does: for the arm that is expected to lose less, if that is less
    than the threshold. Its outcome is simulated with the assumed baseline and uplift; expected losses are computed, not
    simulated. Of rates (`std=None`) the test is a `BetaBinomialTest`, of means a `NormalTest` with its default prior.

    Args:
        baseline: Rate or mean of arm A.
        uplift: By which share arm B is better, above 0: with a baseline of 0.05 and an uplift of 0.1 it has 0.055.
        threshold: The threshold of caring, in the metric's unit.
        assurance: How often the test must decide for B, above 0 and below 1.
        std: Standard deviation of the samples of either arm, for a test of means; `None` for a test of rates.
        prior: a and b of the Beta prior, for a test of rates.
        sizes: Samples per arm to simulate, from 16 to 16,777,216 each; by default 16, 32, … until the assurance is
            reached, and then between the last two until they are 2 % apart.
        simulations: How many tests are simulated of each size: 2,000 for a standard error of the assurance of 0.009.
        seed: Seed of the simulation, the same for all sizes.

    Returns:
        A `SampleSizePlan` with the whole curve.

    Raises:
        ValueError: If a parameter is out of range, or B would have a rate above 1.

    References:
        Stucchio (2015), Bayesian A/B Testing at VWO,
        https://cdn2.hubspot.net/hubfs/310840/VWO_SmartStats_technical_whitepaper.pdf

    Example:

    ```python
    plan = kplug_bayes.plan_sample_size(baseline=0.05, uplift=0.1, threshold=0.0005)
    print(plan)
    plan.plot("plan.png")
    ```
    """
    check_number("uplift", uplift, 0, ends="(]")
    check_number("threshold", threshold, 0, ends="(]")
    check_number("assurance", assurance, 0, 1, ends="()")
    checked_count("simulations", simulations)
    check_seed(seed)
    if std is None:
        if isinstance(baseline, Real) and baseline >= 1:
            raise ValueError(
                "`baseline` must be a rate, below 1; for a test of means give the samples' standard deviation, `std`. "
                f"Received: baseline={baseline!r}, std=None"
            )
        check_number("baseline", baseline, 0, 1, ends="()")
        better = baseline * (1 + uplift)
        if better > 1:
            raise ValueError(
                "`baseline` times 1 + `uplift` must be a rate, at most 1. "
                f"Received: baseline={baseline!r}, uplift={uplift!r}, which is {better:g}"
            )
        simulate: Simulate = partial(_rates, baseline, checked_prior(prior), simulations, seed)
    else:
        check_number("baseline", baseline, 0, ends="(]")
        better = baseline * (1 + uplift)
        check_number("std", std, 0, ends="(]")
        simulate = partial(_means, baseline, std, simulations, seed)
    if threshold >= better - baseline:
        raise ValueError(
            "`threshold` must be less than what is to be found, baseline * uplift: nobody cares for such a difference. "
            f"Received: threshold={threshold!r}, baseline * uplift={better - baseline:g}"
        )
    if sizes is not None:
        for size in sizes:
            checked_count("sizes", size, least=_SMALLEST)
            check_number("sizes", size, _SMALLEST, _LARGEST)
        if not len(sizes):
            raise ValueError("`sizes` must have at least one size. Received: sizes=[]")

    curve: dict[int, tuple[float, float, float]] = {}

    def enough(size: int) -> bool:
        decided = [_decided(simulate(size, arm), threshold) for arm in (better, baseline)]
        (wrong, right), (_, false_positive) = decided
        curve[size] = (right, wrong, false_positive)
        return right >= assurance

    if sizes is not None:
        reached = [size for size in sorted(map(int, set(sizes))) if enough(size)]
        smallest = reached[0] if reached else None
    else:
        smallest = _search(enough)
    order = sorted(curve)
    right, wrong, false_positive = (tuple(curve[size][part] for size in order) for part in range(3))
    return SampleSizePlan(
        tuple(order), right, wrong, false_positive, smallest, float(assurance), float(threshold), int(simulations)
    )


def _search(enough: Callable[[int], bool]) -> int | None:
    """Return the smallest size that is enough: doubled until one is, then halved between."""
    size = _SMALLEST
    while not enough(size):
        size *= 2
        if size > _LARGEST:
            return None
    low, high = size // 2, size
    while high > _SMALLEST and high > low * _CLOSE_ENOUGH and high - low > 1:
        middle = round((low * high) ** 0.5)
        low, high = (low, middle) if enough(middle) else (middle, high)
    return high


def _decided(losses: np.ndarray, threshold: float) -> tuple[float, float]:
    """Return how often tests decide for A and for B."""
    for_a = (losses[0] < threshold) & (losses[0] < losses[1])
    for_b = (losses[1] < threshold) & (losses[1] <= losses[0])
    return float(for_a.mean()), float(for_b.mean())


def _rates(
    baseline: float, prior: tuple[float, float], simulations: int, seed: int, size: int, other: float
) -> np.ndarray:
    random = np.random.default_rng(seed)
    successes = np.stack([random.binomial(size, rate, simulations) for rate in (baseline, other)])
    return rate_losses(successes, size, prior)


def _means(baseline: float, std: float, simulations: int, seed: int, size: int, other: float) -> np.ndarray:
    random = np.random.default_rng(seed)
    centres = np.array([[baseline], [other]]) + std / size**0.5 * random.standard_normal((2, simulations))
    variances = std**2 * random.chisquare(size - 1, (2, simulations)) / (size - 1)
    return mean_losses(centres, np.sqrt(variances / size), size - 1)
