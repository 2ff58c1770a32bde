"""Calibration, by hand and against kplug's own metric."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import kplug
import numpy as np
import pytest
from scipy import stats

import kplug_bayes

RNG = np.random.default_rng(10)


def test_two_bins_by_hand() -> None:
    probabilities = [[0.9, 0.1], [0.8, 0.2], [0.4, 0.6], [0.45, 0.55]]
    curve = kplug_bayes.reliability_curve([0, 1, 1, 1], probabilities, bins=4)
    np.testing.assert_allclose(curve.confidence, [0.575, 0.85])
    np.testing.assert_allclose(curve.accuracy, [1.0, 0.5])
    assert curve.count.tolist() == [2, 2]
    np.testing.assert_allclose([curve.lower, curve.upper], [[0.5, 0.75], [0.75, 1.0]])
    expected = (2 * 0.425 + 2 * 0.35) / 4
    assert kplug_bayes.expected_calibration_error([0, 1, 1, 1], probabilities, bins=4) == pytest.approx(expected)


def test_bins_of_equal_count_by_hand() -> None:
    confidence = np.array([0.51, 0.52, 0.9, 0.95, 0.97])
    probabilities = np.stack([confidence, 1 - confidence], axis=1)
    curve = kplug_bayes.reliability_curve([0, 1, 0, 0, 1], probabilities, bins=2, adaptive=True)
    assert curve.count.tolist() == [3, 2]
    np.testing.assert_allclose(curve.confidence, [1.93 / 3, 0.96])
    np.testing.assert_allclose(curve.accuracy, [2 / 3, 0.5])
    np.testing.assert_allclose(curve.upper, [0.925, 1.0])
    expected = (3 * abs(2 / 3 - 1.93 / 3) + 2 * 0.46) / 5
    assert curve.expected_calibration_error == pytest.approx(expected)


def test_edges_belong_to_the_lower_bin() -> None:
    curve = kplug_bayes.reliability_curve([0, 1, 1], [0.0, 0.5, 1.0], bins=2)
    assert curve.count.tolist() == [2, 1]
    np.testing.assert_allclose(curve.accuracy, [0.5, 1.0])


@pytest.mark.parametrize("classes", [2, 5])
@pytest.mark.parametrize("bins", [1, 10, 15])
def test_it_is_what_the_metric_of_kplug_says(classes: int, bins: int) -> None:
    probabilities = RNG.dirichlet(np.ones(classes), 300)
    labels = RNG.integers(classes, size=300)
    metric = kplug.ExpectedCalibrationError(num_bins=bins)
    metric.update_state(labels, probabilities)
    found = kplug_bayes.expected_calibration_error(labels, probabilities, bins)
    assert found == pytest.approx(float(metric.result()), abs=1e-5)
    one_hot = kplug_bayes.expected_calibration_error(np.eye(classes)[labels], probabilities, bins)
    assert one_hot == found


def test_a_calibrated_classifier_has_no_error_to_speak_of() -> None:
    probability = RNG.random(200_000)
    labels = RNG.random(200_000) < probability
    assert kplug_bayes.expected_calibration_error(labels, probability) < 0.01
    assert kplug_bayes.expected_calibration_error(labels, probability, adaptive=True) < 0.01
    assert kplug_bayes.expected_calibration_error(labels, probability**3) > 0.1


@pytest.mark.parametrize(
    ("y_true", "probabilities", "bins", "message"),
    [
        (
            [0, 1],
            [[2.0, -1.0], [0.5, 0.5]],
            15,
            "apply a softmax or a sigmoid to logits. Received: values from -1 to 2",
        ),
        ([0, 1], [[0.5, 0.5], [0.2, 0.2]], 15, "must add up to 1.*0.4 in sample 1"),
        ([0, 2], [[0.5, 0.5], [0.8, 0.2]], 15, "whole numbers from 0 to 1. Received: 2 in sample 1"),
        ([0], [[0.5, 0.5], [0.8, 0.2]], 15, r"Received: y_true of shape \(1,\)"),
        ([0, 1], [0.5, 0.8], 0, "bins=0"),
        ([], [], 15, r"Received: probabilities of shape \(0,\)"),
        ([0, 1], [float("nan"), 0.8], 15, "between 0 and 1"),
    ],
)
def test_wrong_classes_and_probabilities_are_refused(y_true: Any, probabilities: Any, bins: int, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        kplug_bayes.expected_calibration_error(y_true, probabilities, bins)


def test_places_among_draws_by_hand() -> None:
    draws = np.array([[0.0, 0.0], [1.0, 1.0], [2.0, 1.0], [3.0, 4.0]])
    np.testing.assert_allclose(kplug_bayes.probability_integral_transform([2.5, 1.0], draws), [0.7, 0.5])


def test_draws_of_the_truth_cover_as_they_should() -> None:
    mean = RNG.normal(size=(2000, 1))
    y = mean + RNG.normal(size=(2000, 1))
    draws = mean + RNG.normal(size=(400, 2000, 1))
    curve = kplug_bayes.coverage_curve(y, draws)
    assert curve.count == 2000
    np.testing.assert_allclose(curve.coverage, curve.level, atol=5 * 0.5 / np.sqrt(2000))
    shares = kplug_bayes.probability_integral_transform(y, draws)
    assert stats.kstest(shares.ravel(), "uniform").pvalue > 1e-3


@pytest.mark.parametrize(("count", "highest"), [(3, 0.5), (9, 0.8), (19, 0.9)])
def test_few_draws_of_the_truth_cover_as_they_should(count: int, highest: float) -> None:
    y, draws = RNG.normal(size=20_000), RNG.normal(size=(count, 20_000))
    curve = kplug_bayes.coverage_curve(y, draws, levels=[0.1, 0.5, highest, 1.0])
    np.testing.assert_allclose(curve.coverage, curve.level, atol=0.015)
    values = kplug_bayes.probability_integral_transform(y, draws)
    assert values.min() == pytest.approx(0.5 / (count + 1))
    assert values.max() == pytest.approx(1 - 0.5 / (count + 1))


def test_coverage_with_three_draws_by_hand() -> None:
    # The target is above two of three draws: between 1/2 and 3/4, of which the interval from 3/8 to 5/8 holds a half.
    draws = [[0.0], [1.0], [3.0]]
    assert kplug_bayes.coverage_curve([2.0], draws, levels=[0.25]).coverage.tolist() == [0.5]


@pytest.mark.parametrize(("count", "level", "needed"), [(1, 0.5, 3), (18, 0.9, 19), (38, None, 39)])
def test_fewer_draws_than_tell_inside_from_outside_are_refused(count: int, level: float | None, needed: int) -> None:
    far = np.full(10, 1000.0)
    levels = None if level is None else [level]
    with pytest.raises(ValueError, match=rf"needs {needed} draws or more.*Received: {count} draws"):
        kplug_bayes.coverage_curve(far, RNG.normal(size=(count, 10)), levels)
    assert not kplug_bayes.coverage_curve(far, RNG.normal(size=(needed, 10)), levels).coverage.any()


def test_pictures_of_one_class_say_so() -> None:
    figure = kplug_bayes.calibration_plot([0, 1, 1], [0.1, 0.9, 0.7], bins=5, adaptive=True)
    upper, lower = figure.axes
    assert (upper.get_xlabel(), upper.get_ylabel()) == ("probability of class 1", "share of class 1")
    assert upper.get_xlim() == lower.get_xlim()
    bars: list[Any] = list(lower.patches)
    assert [bar.get_height() for bar in bars] == [1, 0, 0, 1, 1]
    several = kplug_bayes.calibration_plot([0, 1], [[0.75, 0.25], [0.75, 0.25]]).axes[0]
    assert (several.get_xlabel(), several.get_ylabel()) == ("confidence", "accuracy")


@pytest.mark.parametrize("factor", [0.5, 2.0])
def test_draws_that_are_too_narrow_or_too_wide_show(factor: float) -> None:
    y = RNG.normal(size=4000)
    draws = factor * stats.norm.ppf((np.arange(1000) + 0.5) / 1000)[:, None] * np.ones(4000)
    curve = kplug_bayes.coverage_curve(y, draws, levels=[0.5, 0.9])
    expected = 2 * stats.norm.cdf(factor * stats.norm.ppf([0.75, 0.95])) - 1
    np.testing.assert_allclose(curve.coverage, expected, atol=0.03)
    assert curve.calibration_error == pytest.approx(np.abs(curve.coverage - curve.level).mean())


@pytest.mark.parametrize(
    ("y_true", "draws", "levels", "message"),
    [
        ([0.0, 1.0], [[0.0], [1.0]], None, r"draws of shape \(2, 1\), y_true of shape \(2,\)"),
        ([0.0], [[float("nan")]], None, "NaN or infinity in draws"),
        ([0.0], [[1.0]], [1.5], r"levels=\[1.5\]"),
    ],
)
def test_wrong_draws_and_levels_are_refused(y_true: Any, draws: Any, levels: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        kplug_bayes.coverage_curve(y_true, draws, levels)


def test_pictures_are_written(tmp_path: Path) -> None:
    figure = kplug_bayes.calibration_plot([0, 1], [[0.75, 0.25], [0.75, 0.25]], tmp_path / "reliability.png", bins=4)
    assert "0.250" in figure.axes[0].get_title()
    figure = kplug_bayes.coverage_plot(RNG.normal(size=(9, 1)), RNG.normal(size=(50, 9, 1)), tmp_path / "coverage.png")
    assert "Coverage" in figure.axes[0].get_title()
    assert all((tmp_path / name).stat().st_size > 1000 for name in ("reliability.png", "coverage.png"))
