"""Sample sizes: what is simulated agrees with tests that are read one by one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import stats

import kplug_bayes
from kplug_bayes.ab_testing.simulated_losses import mean_losses, rate_losses

pytestmark = pytest.mark.neutral


@pytest.mark.parametrize("prior", [(1.0, 1.0), (0.5, 2.0)])
@pytest.mark.parametrize(
    ("trials", "successes"),
    [
        (16, [[0, 1, 5, 16], [0, 3, 5, 0]]),
        (1000, [[0, 50, 43, 70], [2, 55, 60, 10]]),
        (1000000, [[50000, 50100, 49900, 50000], [50500, 50000, 50300, 50000]]),
    ],
)
def test_losses_of_many_tests_of_rates_are_those_of_each(trials: int, successes: Any, prior: Any) -> None:
    losses = rate_losses(np.array(successes), trials, prior)
    for counts, found in zip(np.transpose(successes), losses.T, strict=True):
        test = kplug_bayes.BetaBinomialTest(counts.tolist(), [trials, trials], prior=prior)
        np.testing.assert_allclose(found, list(test.expected_loss.values()), rtol=1e-6, atol=1e-12)


@pytest.mark.parametrize("count", [16, 5000])
def test_losses_of_many_tests_of_means_are_those_of_each(count: int) -> None:
    means, stds = np.array([[5.0, 5.0, 4.0], [5.1, 5.0, 9.0]]), np.array([[1.0, 2.0, 1.0], [1.1, 2.0, 0.8]])
    losses = mean_losses(means, stds / np.sqrt(count), count - 1)
    for index in range(3):
        test = kplug_bayes.NormalTest(list(means[:, index]), list(stds[:, index]), [count, count])
        np.testing.assert_allclose(losses[:, index], list(test.expected_loss.values()), rtol=1e-6, atol=1e-10)


def test_a_plan_decides_as_often_as_tests_that_are_drawn_anew() -> None:
    plan = kplug_bayes.plan_sample_size(0.1, 0.3, 0.002, sizes=[800], simulations=4000, seed=1)
    random = np.random.default_rng(99)
    decided = []
    for _ in range(200):
        successes = random.binomial(800, [0.1, 0.13])
        decided.append(kplug_bayes.BetaBinomialTest(successes.tolist(), [800, 800]).decide(0.002).arm)
    error = 4 * np.sqrt(0.25 / 200)
    assert plan.right[0] == pytest.approx(decided.count("B") / 200, abs=error)
    assert plan.wrong[0] == pytest.approx(decided.count("A") / 200, abs=error)


def test_the_smallest_size_is_found() -> None:
    plan = kplug_bayes.plan_sample_size(0.05, 0.2, 0.0005, assurance=0.8, seed=0)
    assert plan.sample_size is not None
    assert list(plan.sizes) == sorted(plan.sizes)
    at = plan.sizes.index(plan.sample_size)
    assert plan.right[at] >= 0.8 > plan.right[at - 1]
    assert plan.sizes[at] <= 1.03 * plan.sizes[at - 1] + 1
    assert plan.wrong[at] < 0.05
    # The rule decides where the difference is z deviations, and loses s (phi(z) - z Phi(-z)) there: a normal estimate.
    z = np.linspace(0, 5, 5001)
    sizes = np.arange(1000, 40000, 10)
    deviation = np.sqrt((0.05 * 0.95 + 0.06 * 0.94) / sizes)
    loss = stats.norm.pdf(z) - z * stats.norm.sf(z)
    needed = np.interp(-0.0005 / deviation, -loss, z)
    assurance = stats.norm.sf(needed - 0.01 / deviation)
    assert plan.sample_size == pytest.approx(sizes[np.argmax(assurance >= 0.8)], rel=0.1)


def test_plans_repeat_with_their_seed_and_not_with_another() -> None:
    first, again, other = (
        kplug_bayes.plan_sample_size(0.1, 0.3, 0.002, sizes=[64, 500], simulations=300, seed=seed) for seed in (3, 3, 4)
    )
    assert first == again
    assert first != other


def test_a_plan_for_means_is_the_normal_one() -> None:
    plan = kplug_bayes.plan_sample_size(20.0, 0.05, 0.05, std=8.0, simulations=2000, seed=0)
    z, sizes = np.linspace(0, 5, 5001), np.arange(100, 20000)
    deviation = 8.0 * np.sqrt(2 / sizes)
    needed = np.interp(-0.05 / deviation, -(stats.norm.pdf(z) - z * stats.norm.sf(z)), z)
    assurance = stats.norm.sf(needed - 1.0 / deviation)
    assert plan.sample_size == pytest.approx(sizes[np.argmax(assurance >= 0.8)], rel=0.1)


def test_a_plan_says_what_it_found(tmp_path: Path) -> None:
    plan = kplug_bayes.plan_sample_size(0.05, 0.2, 0.0005, sizes=[32, 20000], simulations=400)
    assert plan.sample_size == 20000
    assert str(plan).startswith("20000 samples per arm: decides rightly with probability 1.000")
    small = kplug_bayes.plan_sample_size(0.05, 0.2, 0.0005, sizes=[32, 64], simulations=400)
    assert small.sample_size is None
    assert "no test of up to 64 samples per arm" in str(small)
    plan.plot(tmp_path / "plan.png")
    assert (tmp_path / "plan.png").stat().st_size > 5000


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"baseline": 0.0}, "`baseline` must be a number above 0 and below 1"),
        ({"baseline": 0.9, "uplift": 0.2}, "at most 1. Received: baseline=0.9, uplift=0.2, which is 1.08"),
        ({"uplift": -0.1}, "`uplift` must be a number above 0"),
        ({"threshold": 0.0}, "`threshold`"),
        (
            {"threshold": 0.5},
            r"`threshold` must be less than what is to be found.*threshold=0\.5, baseline \* uplift=0\.0",
        ),
        ({"baseline": 40.0}, "for a test of means give the samples' standard deviation, `std`"),
        ({"assurance": 1.0}, "`assurance`"),
        ({"std": -1.0}, "`std`"),
        ({"prior": (0, 0)}, "`prior`"),
        ({"sizes": [8]}, "`sizes` must be a whole number of at least 16. Received: sizes=8"),
        ({"sizes": [10**9]}, "`sizes` must be a number at least 16 and at most"),
        ({"sizes": []}, "`sizes` must have at least one"),
        ({"simulations": 0}, "`simulations`"),
        ({"seed": -1}, "`seed`"),
        ({"baseline": "a"}, "`baseline`"),
    ],
)
def test_a_plan_that_cannot_be_is_refused(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        kplug_bayes.plan_sample_size(**{"baseline": 0.05, "uplift": 0.1, "threshold": 0.001, **arguments})
