"""A/B tests against closed forms and SciPy's integration, at extremes too."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas
import pytest
from ab_test_oracles import expected_loss_of_a, integral_over, probability_b_better
from scipy import integrate, optimize, stats

import kplug_bayes

pytestmark = pytest.mark.neutral

COUNTS = {
    "usual": ((120, 150), (2400, 2380)),
    "no successes": ((0, 0), (1000, 400)),
    "no successes in one": ((0, 3), (500, 50)),
    "only successes": ((20, 19), (20, 20)),
    "a million trials": ((50000, 50300), (1000000, 1000000)),
    "tiny rates": ((3, 9), (1000000, 900000)),
    "far apart": ((10, 900), (1000, 1000)),
    "very unequal": ((1, 60000), (7, 100000)),
    "one trial": ((0, 1), (1, 1)),
}


@pytest.mark.parametrize("name", COUNTS)
def test_probabilities_and_losses_of_rates_are_those_of_the_closed_forms(name: str) -> None:
    successes, trials = COUNTS[name]
    test = kplug_bayes.BetaBinomialTest(successes, trials)
    a, b = ((1.0 + s, 1.0 + n - s) for s, n in zip(successes, trials, strict=True))
    best, loss = test.probability_best, test.expected_loss
    assert best["B"] == pytest.approx(probability_b_better(a, b), abs=1e-7)
    assert best["A"] + best["B"] == pytest.approx(1, abs=1e-8)
    assert loss["A"] == pytest.approx(expected_loss_of_a(a, b), rel=1e-5, abs=1e-10)
    assert loss["B"] == pytest.approx(expected_loss_of_a(b, a), rel=1e-5, abs=1e-10)
    means = [arm.mean for arm in test.posteriors]
    assert loss["A"] - loss["B"] == pytest.approx(means[1] - means[0], rel=1e-8, abs=1e-13)


@pytest.mark.parametrize("name", COUNTS)
@pytest.mark.parametrize("relative", [False, True])
def test_how_much_better_rates_are_agrees_with_integration(name: str, relative: bool) -> None:
    successes, trials = COUNTS[name]
    test = kplug_bayes.BetaBinomialTest(successes, trials)
    a, b = (stats.beta(1 + s, 1 + n - s) for s, n in zip(successes, trials, strict=True))
    compared = test.uplift() if relative else test.difference()
    for p in (0.025, 0.5, 0.9):
        x = compared.quantile(p)
        assert compared.cdf(x) == pytest.approx(p, abs=1e-9)
        assert integral_over(a, lambda v, x=x: b.cdf(v * (1 + x) if relative else v + x)) == pytest.approx(p, abs=1e-6)
    assert 1 - float(compared.cdf(0.0)) == pytest.approx(test.probability_best["B"], abs=1e-6)


@pytest.mark.parametrize("prior", [(0.5, 0.5), (1 / 3, 1 / 3), (30.0, 500.0)])
@pytest.mark.parametrize("counts", [((0, 0), (100, 80)), ((4, 9), (100, 80))])
def test_other_priors_agree_with_integration(prior: tuple[float, float], counts: Any) -> None:
    successes, trials = counts
    test = kplug_bayes.BetaBinomialTest(successes, trials, prior=prior)
    a, b = (stats.beta(prior[0] + s, prior[1] + n - s) for s, n in zip(successes, trials, strict=True))
    uniform = np.random.default_rng(0).random((2, 100_000))
    drawn = b.ppf(uniform[1]) - a.ppf(uniform[0])
    assert test.probability_best["B"] == pytest.approx((drawn > 0).mean(), abs=7e-3)
    assert test.expected_loss["A"] == pytest.approx(np.maximum(drawn, 0).mean(), rel=0.04)
    interval = test.difference().interval(0.9)
    assert [interval.low, interval.high] == pytest.approx(np.quantile(drawn, [0.05, 0.95]), rel=0.06, abs=1e-6)


MEANS = {
    "usual": ((10.0, 10.4), (3.0, 3.1), (500, 510)),
    "three samples": ((1.0, 2.0), (0.5, 0.8), (3, 3)),
    "few and many": ((5.0, 5.2), (1.0, 4.0), (4, 100000)),
    "far apart": ((0.0, 1000.0), (1.0, 0.01), (30, 30)),
    "a million samples": ((100.0, 100.1), (30.0, 31.0), (1000000, 900000)),
    "negative": ((-3.0, -2.5), (2.0, 2.0), (60, 50)),
}


@pytest.mark.parametrize("name", MEANS)
def test_tests_of_means_agree_with_integration(name: str) -> None:
    means, stds, counts = MEANS[name]
    test = kplug_bayes.NormalTest(means, stds, counts)
    a, b = (stats.t(n - 1, m, s / np.sqrt(n)) for m, s, n in zip(means, stds, counts, strict=True))
    assert test.probability_best["B"] == pytest.approx(integral_over(a, b.sf), abs=1e-7)
    unit = max(stds)
    assert test.expected_loss["A"] - test.expected_loss["B"] == pytest.approx(means[1] - means[0], abs=1e-5 * unit)
    for p in (0.025, 0.5, 0.9):
        x = test.difference().quantile(p)
        assert integral_over(a, lambda v, x=x: b.cdf(v + x)) == pytest.approx(p, abs=1e-7)


def test_the_loss_of_normal_means_is_the_closed_form() -> None:
    test = kplug_bayes.NormalTest([10.0, 10.2], [3.0, 4.0], [10**6, 10**6])
    # E[max(D, 0)] of a normal D: s phi(m / s) + m Phi(m / s).
    m, s = 0.2, 5.0 / 1000
    assert test.expected_loss["A"] == pytest.approx(s * stats.norm.pdf(m / s) + m * stats.norm.cdf(m / s), rel=1e-5)
    near = kplug_bayes.NormalTest([10.0, 10.004], [3.0, 4.0], [10**6, 10**6])
    m = 0.004
    expected = s * stats.norm.pdf(m / s) - m * stats.norm.sf(m / s)
    assert near.expected_loss["B"] == pytest.approx(expected, rel=1e-5)


def test_the_relative_uplift_of_means_agrees_with_integration() -> None:
    test = kplug_bayes.NormalTest([10.0, 10.4], [3.0, 3.1], [500, 510])
    a, b = stats.t(499, 10.0, 3.0 / np.sqrt(500)), stats.t(509, 10.4, 3.1 / np.sqrt(510))
    for p in (0.025, 0.5, 0.975):
        x = test.uplift().quantile(p)
        assert integral_over(a, lambda v, x=x: b.cdf(v * (1 + x))) == pytest.approx(p, abs=1e-8)


@pytest.mark.parametrize(
    ("successes", "trials"), [((10**6, 10**6 + 900), 10**10), ((10**9, 10**9 + 30_000), 10**11), ((1500, 1600), 30_000)]
)
def test_many_trials_lose_no_digits(successes: tuple[int, int], trials: int) -> None:
    test = kplug_bayes.BetaBinomialTest(successes, [trials, trials])
    assert sum(test.probability_best.values()) == pytest.approx(1, abs=1e-9)
    better = test.probability_best["B"]
    assert better == pytest.approx(1 - float(test.difference().cdf(0.0)), abs=1e-9)
    arms = test.posteriors
    z = (arms[1].mean - arms[0].mean) / np.hypot(arms[0].std, arms[1].std)
    assert better == pytest.approx(stats.norm.cdf(z), abs=2e-3 / np.sqrt(successes[0] / 1000))
    # Central differences of the cumulative distribution, whose digits are its own.
    x, step = arms[0].mean, 1e-3 * arms[0].std
    slope = (arms[0].cdf(x + step) - arms[0].cdf(x - step)) / (2 * step)
    assert arms[0].pdf(x) == pytest.approx(slope, rel=1e-5)
    with pytest.raises(ValueError, match="`trials` must be at most 1e"):
        kplug_bayes.BetaBinomialTest([5, 5], [10**12, 10**12])


def test_labelled_counts_go_together_by_their_labels() -> None:
    successes, trials = pandas.Series({"old": 30, "new": 40}), pandas.Series({"new": 1000, "old": 2000})
    for test in (
        kplug_bayes.BetaBinomialTest(successes, trials),
        kplug_bayes.BetaBinomialTest(dict(successes), dict(trials)),
    ):
        assert (test.names, test.successes, test.trials) == (("old", "new"), (30, 40), (2000, 1000))
    test = kplug_bayes.BetaBinomialTest(successes, trials, names=["new", "old"])
    assert (test.names, test.successes, test.trials) == (("new", "old"), (40, 30), (1000, 2000))
    means, counts = {"a": 1.0, "b": 2.0}, {"b": 20, "a": 10}
    normal = kplug_bayes.NormalTest(means, {"a": 3.0, "b": 4.0}, counts)
    assert (normal.names, normal.counts) == (("a", "b"), (10, 20))
    several: list[list[Any]] = [[0, 1], [False, True], ["a", "b"]]
    for codes in several:
        log = pandas.DataFrame(
            {"arm": [codes[0]] * 50 + [codes[1]] * 40, "won": [1] * 20 + [0] * 30 + [1] * 30 + [0] * 10}
        )
        won = log.groupby("arm").won
        test = kplug_bayes.BetaBinomialTest(won.sum(), won.count(), names=[codes[1], codes[0]])
        assert (test.names, test.successes, test.trials) == ((str(codes[1]), str(codes[0])), (30, 20), (40, 50))
        assert kplug_bayes.BetaBinomialTest(won.sum(), won.count()).names == (str(codes[0]), str(codes[1]))
    samples = {"A": [1.0, 2.0, 3.0], "B": [5.0, 6.0, 7.0]}
    turned = kplug_bayes.NormalTest.from_samples(samples, names=["B", "A"])
    assert (turned.names, turned.means) == (("B", "A"), (6.0, 2.0))
    with pytest.raises(ValueError, match=r"samples with the labels \['A', 'B'\], beside \['A', 'C'\]"):
        kplug_bayes.NormalTest.from_samples(samples, names=["A", "C"])
    unlabelled = kplug_bayes.BetaBinomialTest(pandas.Series([3, 4]), [10, 20])
    assert unlabelled.names == ("A", "B")
    with pytest.raises(ValueError, match=r"`successes` and `trials` must be labelled.*trials with no labels"):
        kplug_bayes.BetaBinomialTest(successes, [1000, 2000])
    with pytest.raises(ValueError, match=r"labels \['old', 'nwe'\], beside \['old', 'new'\]"):
        kplug_bayes.BetaBinomialTest(successes, {"old": 100, "nwe": 100})


def test_a_log_whose_series_are_of_different_entries_is_refused() -> None:
    arms, bought = pandas.Series(list("AAABBB")), pandas.Series([1, 0, 1, 1, 0, 0])
    assert kplug_bayes.BetaBinomialTest.from_log(arms, bought).successes == (2, 1)
    turned = bought.set_axis([5, 4, 3, 2, 1, 0])
    with pytest.raises(
        ValueError, match=r"`arms` and `successes` must have the same index.*\[0, 1, 2\] and \[5, 4, 3\]"
    ):
        kplug_bayes.BetaBinomialTest.from_log(arms, turned)
    with pytest.raises(ValueError, match="`arms` and `values` must have the same index"):
        kplug_bayes.NormalTest.from_log(arms, turned)
    assert kplug_bayes.BetaBinomialTest.from_log(arms, turned.to_numpy()).successes == (2, 1)


def test_quantiles_are_of_probabilities() -> None:
    beta, normal = (
        kplug_bayes.BetaBinomialTest([3, 5], [10, 12]),
        kplug_bayes.NormalTest([10.0, 10.4], [3.0, 3.1], [99, 99]),
    )
    for test in (beta, normal):
        for quantile in (test.posterior("A").quantile, test.difference().quantile, test.uplift().quantile):
            with pytest.raises(ValueError, match=r"`p` must be.*2"):
                quantile(2)


def test_the_normal_posterior_is_that_of_murphy() -> None:
    samples = np.array([1.2, 0.7, 2.1, 1.6, 0.2])
    prior = kplug_bayes.NormalInverseGamma(mean=1.0, count=2.0, shape=1.5, rate=0.8)
    test = kplug_bayes.NormalTest.from_samples({"old": samples, "new": samples + 1}, prior=prior)
    # By summing the joint posterior of mean and log variance over a grid.
    mean, log_variance = np.linspace(-4, 6, 1501), np.linspace(-8, 8, 1201)
    m, v = mean[:, None], np.exp(log_variance)[None, :]
    log = -(len(samples) / 2) * np.log(v) - sum((x - m) ** 2 for x in samples) / (2 * v)
    log = log - 0.5 * np.log(v / 2.0) - 2.0 * (m - 1.0) ** 2 / (2 * v) - 1.5 * np.log(v) - 0.8 / v
    density = np.exp(log - log.max()).sum(axis=1)
    density /= density.sum() * (mean[1] - mean[0])
    np.testing.assert_allclose(test.posterior("old").pdf(mean), density, atol=1e-6)
    assert test.names == ("old", "new")


def test_without_a_prior_the_posterior_is_the_t_interval() -> None:
    samples = np.random.default_rng(1).normal(3, 2, 12)
    test = kplug_bayes.NormalTest.from_samples([samples, samples * 2])
    interval = test.posterior("A").interval(0.95)
    expected = stats.t.interval(0.95, 11, samples.mean(), samples.std(ddof=1) / np.sqrt(12))
    assert (interval.low, interval.high) == pytest.approx(expected, rel=1e-9)
    highest = test.posterior("A").interval(0.95, "highest-density")
    assert (highest.low, highest.high) == pytest.approx(expected, rel=1e-6)


def test_the_highest_density_interval_is_the_shortest() -> None:
    test = kplug_bayes.BetaBinomialTest([3, 12], [60, 70])
    for name, arm in (("A", stats.beta(4, 58)), ("B", stats.beta(13, 59))):
        best = optimize.minimize_scalar(
            lambda p, arm=arm: arm.ppf(p + 0.9) - arm.ppf(p),
            bounds=(0, 0.1),
            method="bounded",
            options={"xatol": 1e-12},
        )
        interval = test.posterior(name).interval(0.9, "highest-density")
        assert interval.low == pytest.approx(arm.ppf(best.x), rel=1e-4)
        assert interval.high == pytest.approx(arm.ppf(best.x + 0.9), rel=1e-4)
        assert arm.cdf(interval.high) - arm.cdf(interval.low) == pytest.approx(0.9, abs=1e-9)
    difference = test.difference()
    highest, equal = (difference.interval(0.9, kind) for kind in ("highest-density", "equal-tailed"))
    assert highest.high - highest.low < equal.high - equal.low
    assert difference.pdf(highest.low) == pytest.approx(float(difference.pdf(highest.high)), rel=1e-6)
    assert difference.cdf(highest.high) - difference.cdf(highest.low) == pytest.approx(0.9, abs=1e-8)


def test_the_highest_density_interval_of_no_success_begins_at_0() -> None:
    interval = kplug_bayes.BetaBinomialTest([0, 5], [50, 50]).posterior("A").interval(0.95, "highest-density")
    assert interval.low == 0
    assert interval.high == pytest.approx(1 - 0.05 ** (1 / 51), rel=1e-9)
    full = kplug_bayes.BetaBinomialTest([50, 5], [50, 50]).posterior("A").interval(0.95, "highest-density")
    assert full.low == pytest.approx(0.05 ** (1 / 51), rel=1e-9)
    assert full.high == 1


@pytest.mark.parametrize("prior", [(0.5, 0.5), (1 / 3, 0.7), (1.0, 1.0)])
def test_densities_that_are_infinite_at_the_border(prior: tuple[float, float]) -> None:
    difference = kplug_bayes.BetaBinomialTest([0, 0], [20, 30], prior=prior).difference()
    x = np.concatenate([-np.geomspace(1e-3, 0.3, 60), np.geomspace(1e-3, 0.3, 60)])
    slope = (difference.cdf(x * 1.001) - difference.cdf(x * 0.999)) / (0.002 * x)
    np.testing.assert_allclose(difference.pdf(x), slope, rtol=2e-3)
    interval = difference.interval(0.95, "highest-density")
    assert difference.cdf(interval.high) - difference.cdf(interval.low) == pytest.approx(0.95, abs=1e-8)
    assert difference.pdf(interval.low) == pytest.approx(float(difference.pdf(interval.high)), rel=1e-3)
    tails = np.linspace(0, 0.05, 60)[1:-1]
    widths = [difference.quantile(tail + 0.95) - difference.quantile(tail) for tail in tails]
    assert interval.high - interval.low == pytest.approx(min(widths), rel=1e-3)


@pytest.mark.parametrize("relative", [False, True])
def test_densities_are_derivatives_and_sum_to_1(relative: bool) -> None:
    test = kplug_bayes.BetaBinomialTest([30, 45], [500, 480])
    compared = test.uplift() if relative else test.difference()
    x = np.linspace(compared.quantile(1e-8), compared.quantile(1 - 1e-8), 1501)
    density = compared.pdf(x)
    assert density.sum() * (x[1] - x[0]) == pytest.approx(1, abs=1e-6)
    slope = (compared.cdf(x + 1e-5) - compared.cdf(x - 1e-5)) / 2e-5
    np.testing.assert_allclose(density, slope, rtol=1e-4, atol=1e-6 * density.max())


def test_more_arms_than_two() -> None:
    successes, trials = [30, 40, 35], [500, 500, 480]
    test = kplug_bayes.BetaBinomialTest(successes, trials, names=["now", "red", "blue"])
    arms = [stats.beta(1 + s, 1 + n - s) for s, n in zip(successes, trials, strict=True)]
    draws = np.stack([arm.rvs(300_000, random_state=index) for index, arm in enumerate(arms)])
    shares = (draws == draws.max(axis=0)).mean(axis=1)
    assert list(test.probability_best.values()) == pytest.approx(shares, abs=4e-3)
    assert list(test.expected_loss.values()) == pytest.approx((draws.max(axis=0) - draws).mean(axis=1), rel=0.02)
    assert test.difference("blue", "red").median == pytest.approx(np.median(draws[2] - draws[1]), abs=2e-4)
    assert test.decide(0.01).best == "red"
    for index, name in enumerate(test.probability_best):
        others = [arm for other, arm in enumerate(arms) if other != index]
        exact = integral_over(arms[index], lambda v, others=others: others[0].cdf(v) * others[1].cdf(v))
        assert test.probability_best[name] == pytest.approx(exact, abs=1e-8)
    # The mean of the best arm, less that of the one that is chosen.
    best = integrate.quad(lambda v: 1 - np.prod([arm.cdf(v) for arm in arms]), 0, 1, points=[0.06, 0.08, 0.1])[0]
    assert list(test.expected_loss.values()) == pytest.approx([best - arm.mean() for arm in arms], abs=1e-8)


def test_decisions_are_made_below_the_threshold() -> None:
    test = kplug_bayes.BetaBinomialTest([120, 150], [2400, 2380])
    loss = test.expected_loss["B"]
    assert test.decide(loss * 1.01).arm == "B"
    waiting = test.decide(loss * 0.99)
    assert (waiting.arm, waiting.best) == (None, "B")
    assert "go on testing" in str(waiting)
    assert str(test.decide(0.001)).startswith("choose B: choosing B is expected to lose")


def test_logs_are_counted_by_arm() -> None:
    arms = np.array(["new", "old", "new", "old", "new"])
    test = kplug_bayes.BetaBinomialTest.from_log(arms, [True, False, False, True, True], names=["old", "new"])
    assert (test.names, test.successes, test.trials) == (("old", "new"), (1, 2), (2, 3))
    normal = kplug_bayes.NormalTest.from_log([0, 1, 1, 0, 1, 0], [1.0, 2.0, 4.0, 3.0, 6.0, 8.0])
    assert (normal.names, normal.means, normal.counts) == (("0", "1"), (4.0, 4.0), (3, 3))
    assert normal.stds == pytest.approx((np.std([1, 3, 8], ddof=1), 2.0))


def test_results_read_well() -> None:
    test = kplug_bayes.BetaBinomialTest([120, 150], [2400, 2380])
    assert repr(test) == (
        "BetaBinomialTest(successes=(120, 150), trials=(2400, 2380), names=('A', 'B'), prior=(1.0, 1.0))"
    )
    lines = test.summary().splitlines()
    assert lines[0].split() == ["arm", "mean", "0.95", "HDI", "P(best)", "expected", "loss"]
    assert lines[1].split()[:2] == ["A", "0.050375"]
    assert lines[3].startswith("B - A: median 0.01") and lines[4].startswith("B / A - 1: median 0.2")
    negative = kplug_bayes.NormalTest([-3.0, -2.5], [2.0, 2.0], [60, 50])
    assert len(negative.summary(0.8).splitlines()) == 4


def test_the_picture_shows_arms_and_difference(tmp_path: Path) -> None:
    for number, test in enumerate(
        [
            kplug_bayes.BetaBinomialTest([120, 150, 140], [2400, 2380, 2390]),
            kplug_bayes.BetaBinomialTest([0, 0], [20, 30], prior=(0.5, 0.5)),
            kplug_bayes.NormalTest([10.0, 10.4], [3.0, 3.1], [500, 510]),
        ]
    ):
        path = tmp_path / f"{number}.png"
        figure = kplug_bayes.plot_ab_test(test, path, threshold=0.001)
        assert path.stat().st_size > 5000
        assert len(figure.axes) == 2


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (([1], [2]), "two arms or more. Received: 1"),
        (([1, 2, 3], [4, 5]), "Received: 3 successes, 2 trials"),
        (([5, 2], [4, 5]), r"successes\[0\]=5, trials\[0\]=4"),
        (([1.5, 2], [4, 5]), "`successes` must be whole numbers.*1.5"),
        (([-1, 2], [4, 5]), "`successes` must be whole numbers.*-1"),
        (([1, np.nan], [4, 5]), "`successes` must be finite.*nan at 1"),
        ((3, [4, 5]), "`successes` must have 1 axes"),
        (([1, 2], [4, 5], ["x", "x"]), "2 different names"),
        (([1, 2], [4, 5], "ab"), "2 different names"),
        (([1, 2], [4, 5], None, (0.0, 1.0)), "`prior` must be two numbers of at least 0.3"),
        (([1, 2], [4, 5], None, (1.0,)), "`prior` must be two numbers"),
    ],
)
def test_wrong_counts_are_refused(arguments: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        kplug_bayes.BetaBinomialTest(*arguments)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (([1.0, 2.0], [1.0, 1.0], [1, 5]), "`counts` must be whole numbers of at least 2"),
        (([1.0, 2.0], [1.0, 1.0], [2, 5]), "arm A needs at least 2 degrees of freedom.*Received: 1"),
        (([1.0, 2.0], [1.0, 0.0], [5, 5]), "samples of arm B must differ"),
        (([1.0, 2.0], [1.0, -1.0], [5, 5]), "`stds` must be at least 0"),
        (([1.0, np.inf], [1.0, 1.0], [5, 5]), "`means` must be finite"),
        (([1.0, 2.0], [1.0, 1.0], [5]), "Received: 2, 2 and 1"),
        (([1.0, 2.0], [1.0, 1.0], [5, 5], None, (0, 1)), "`prior` must be a NormalInverseGamma"),
    ],
)
def test_wrong_summaries_are_refused(arguments: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        kplug_bayes.NormalTest(*arguments)


def test_other_things_that_cannot_be_are_refused() -> None:
    test = kplug_bayes.BetaBinomialTest([1, 2], [4, 5])
    cases: list[tuple[Callable[[], Any], str]] = [
        (lambda: test.decide(0), "`threshold` must be a number above 0"),
        (lambda: test.posterior("C"), "one of 'A', 'B'. Received: 'C'"),
        (lambda: test.difference("A", "A"), "Received: 'A' twice"),
        (lambda: test.posterior("A").interval(1.0), "`credibility` must be a number above 0 and below 1"),
        (lambda: test.posterior("A").interval(0.9, "widest"), "'equal-tailed', 'highest-density'"),
        (lambda: kplug_bayes.NormalTest([-3.0, 2.5], [2.0, 2.0], [60, 50]).uplift(), "baseline that is above 0"),
        (lambda: kplug_bayes.BetaBinomialTest.from_log(["A", "B"], [1, 2]), "0 or 1 for each trial. Received: 2"),
        (lambda: kplug_bayes.BetaBinomialTest.from_log(["A", "B"], [1]), r"shapes \(2,\) and \(1,\)"),
        (lambda: kplug_bayes.BetaBinomialTest.from_log(["A", "B"], [1, 0], ["A", "C"]), "`names` must name the arms"),
        (lambda: kplug_bayes.NormalTest.from_samples([[1.0], [1.0, 2.0]]), "at least 2 samples. Received: 1 of A"),
        (lambda: kplug_bayes.NormalInverseGamma(count=-1.0), "`count` must be a number at least 0"),
        (lambda: kplug_bayes.NormalInverseGamma(mean=np.nan), "`mean`"),
    ]
    for call, message in cases:
        with pytest.raises(ValueError, match=message):
            call()


@pytest.mark.parametrize("arms", [np.array([0.0, np.nan, 1.0]), np.array(["A", None, "B"], dtype=object)], ids=str)
def test_entries_without_an_arm_are_refused(arms: np.ndarray) -> None:
    with pytest.raises(ValueError, match="in entry 1"):
        kplug_bayes.BetaBinomialTest.from_log(arms, [1, 0, 1])
