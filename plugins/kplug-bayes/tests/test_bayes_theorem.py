"""Bayes' theorem, and the picture of it over all priors."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import kplug_bayes

pytestmark = pytest.mark.neutral


def exact(prior: float, sensitivity: float, false_positive_rate: float, positive: bool) -> float:
    p, s, f = map(Fraction, (prior, sensitivity, false_positive_rate))
    held, other = (p * s, (1 - p) * f) if positive else (p * (1 - s), (1 - p) * (1 - f))
    return float(held / (held + other))


@pytest.mark.parametrize("prior", [0.0, 1e-300, 1e-12, 0.001, 0.3, 0.999, 1.0])
@pytest.mark.parametrize("rates", [(0.9, 0.05), (0.999999, 1e-9), (0.5, 0.5), (0.999, 0.2), (1e-8, 1e-12)])
@pytest.mark.parametrize("positive", [True, False])
def test_rates_are_exact_to_rounding(prior: float, rates: tuple[float, float], positive: bool) -> None:
    result = kplug_bayes.posterior_from_rates(prior, *rates, positive=positive)
    assert result == pytest.approx(exact(prior, *rates, positive), rel=1e-14, abs=0)


def test_mammography() -> None:
    # Eddy (1982), Probabilistic reasoning in clinical medicine: 1 %, 79.2 %, 9.6 % give 7.7 %.
    assert kplug_bayes.posterior_from_rates(0.01, 0.792, 0.096) == pytest.approx(0.077, abs=5e-4)


def test_hypotheses_are_weighed_together() -> None:
    prior, likelihood = np.array([0.2, 0.3, 0.5]), np.array([[0.1, 0.5, 0.4], [0.9, 0.0, 0.3]])
    evidence = (prior * likelihood).sum(axis=1, keepdims=True)
    result = kplug_bayes.posterior(prior, likelihood, evidence)
    assert result.shape == (2, 3)
    np.testing.assert_allclose(result.sum(axis=1), 1, rtol=1e-15)
    np.testing.assert_allclose(result[0], [2 / 37, 15 / 37, 20 / 37], rtol=1e-14)


def test_products_that_are_too_small_do_not_vanish() -> None:
    assert kplug_bayes.posterior(1e-200, 1e-200, 1e-300) == pytest.approx(1e-100, rel=1e-14, abs=0)
    assert kplug_bayes.posterior(1e-300, 1e-10, 1e-308) == pytest.approx(0.01, rel=1e-14)


def test_what_rounding_puts_above_1_is_1() -> None:
    assert kplug_bayes.posterior(0.1, 0.3, 0.03 * (1 - 1e-12)) == 1.0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((1.2, 0.5, 0.5), "`prior` must be probabilities, from 0 to 1.*1.2"),
        ((0.5, -0.1, 0.5), "`likelihood`.*-0.1"),
        ((0.5, [0.2, np.nan], 0.5), "`likelihood` must be finite.*nan at 1"),
        ((0.5, 0.5, np.inf), "`evidence` must be finite"),
        ((0.5, 0.5, 0.0), "`evidence` must be above 0"),
        ((0.5, 0.5, 0.2), "`evidence` must be at least prior . likelihood.*evidence=0.2"),
        ((0.9, 0.9, 0.999), r"`evidence` must be at most prior \* likelihood \+ 1 - prior.*evidence=0\.999"),
        ((0.5, [0.1, 0.2], [0.5, 0.5, 0.5]), r"broadcast.*likelihood \(2,\), evidence \(3,\)"),
        (("half", 0.5, 0.5), "`prior` must be numbers"),
        ((None, 0.5, 0.5), "`prior` must be numbers"),
    ],
)
def test_what_is_no_probability_is_refused(arguments: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        kplug_bayes.posterior(*arguments)


def test_a_result_that_cannot_be_is_refused() -> None:
    with pytest.raises(ValueError, match=r"A positive test must be possible.*sensitivity=0, false_positive_rate=0"):
        kplug_bayes.posterior_from_rates([0.1, 0.2], [0.5, 0.0], 0.0)
    with pytest.raises(ValueError, match="A negative test must be possible"):
        kplug_bayes.posterior_from_rates(0.1, 1.0, 1.0, positive=False)
    with pytest.raises(ValueError, match="`positive`"):
        kplug_bayes.posterior_from_rates(0.1, 0.5, 0.5, positive="yes")  # type: ignore[arg-type]


def test_the_sweep_is_drawn_over_a_logarithmic_axis(tmp_path: Path) -> None:
    figure = kplug_bayes.plot_prior_sweep(0.9, 0.05, tmp_path / "sweep.png", prior=0.01)
    axes = figure.axes[0]
    assert axes.get_xscale() == "log"
    assert (tmp_path / "sweep.png").stat().st_size > 5000
    curves = {str(line.get_label()): line for line in axes.lines}
    (curve,) = [line for label, line in curves.items() if label.startswith("after a positive test: 0.154")]
    x, y = np.asarray(curve.get_xdata(), "float64"), np.asarray(curve.get_ydata(), "float64")
    np.testing.assert_allclose(y, x * 0.9 / (x * 0.9 + (1 - x) * 0.05), rtol=1e-12)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"sensitivity": 1.1}, "`sensitivity` must be a number above 0 and at most 1. Received: sensitivity=1.1"),
        ({"false_positive_rate": np.nan}, "`false_positive_rate`"),
        ({"lowest_prior": 0.0}, "`lowest_prior`"),
        ({"prior": 2.0}, "`prior`"),
    ],
)
def test_the_sweep_refuses_what_it_cannot_draw(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        kplug_bayes.plot_prior_sweep(**{"sensitivity": 0.9, "false_positive_rate": 0.1, **arguments})


def test_a_test_that_never_misses_rules_out() -> None:
    assert kplug_bayes.posterior_from_rates(0.3, 1.0, 0.2, positive=False) == 0
    assert kplug_bayes.posterior_from_rates(0.3, 0.2, 0.0) == 1


def test_a_test_that_never_fails_is_drawn_too() -> None:
    figure = kplug_bayes.plot_prior_sweep(sensitivity=1.0, false_positive_rate=0.0)
    positive, negative = (line.get_ydata() for line in figure.axes[0].lines[:2])
    assert np.all(np.asarray(positive) == 1) and np.all(np.asarray(negative) == 0)
