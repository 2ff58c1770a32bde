"""Pictures of calibration, of classifiers and of regressions."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from kplug_bayes.calibration.interval_coverage import coverage_curve, probability_integral_transform
from kplug_bayes.calibration.reliability import confidence_and_right, reliability_curve

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_MARGIN = 0.03


def calibration_plot(
    y_true: Any, probabilities: Any, path: str | Path | None = None, bins: int = 15, adaptive: bool = False
) -> Figure:
    """Draw a reliability diagram: accuracy by confidence, and how many samples there are of each.

    With probabilities of all classes the confidence is that of the predicted class: points below the diagonal are right
    less often than they are sure, those above more often. With probabilities of class 1 alone the points are the share
    of class 1 by its probability: below the diagonal class 1 is predicted with too high a probability, above it with
    too low a one; the model is too sure of itself where points lie below on the right half and above on the left. The
    title has the expected calibration error.

    Args:
        y_true: Class numbers of shape `(n,)` or `(n, 1)`, or one-hot of shape `(n, num_classes)`.
        probabilities: Predicted probabilities of shape `(n, num_classes)`; or of class 1 alone, of shape `(n,)`.
        path: File to write the picture to, by its suffix; `None` for none.
        bins: Number of bins, at least 1.
        adaptive: Whether the bins have equally many samples; else they are equally wide.

    Returns:
        The `matplotlib` figure.

    Raises:
        ValueError: As `reliability_curve` does.

    Example:

    >>> figure = kplug_bayes.calibration_plot([0, 1], [[0.75, 0.25], [0.75, 0.25]])
    """
    curve = reliability_curve(y_true, probabilities, bins, adaptive)
    confidence, _ = confidence_and_right(y_true, probabilities)
    of_one_class = np.ndim(probabilities) == 1 or np.shape(probabilities)[1] == 1
    sure, share = ("probability of class 1", "share of class 1") if of_one_class else ("confidence", "accuracy")
    figure, upper, lower = _two_panels()
    _diagonal(upper)
    upper.plot(curve.confidence, curve.accuracy, marker="o")
    error = curve.expected_calibration_error
    upper.set(title=f"Reliability: expected calibration error {error:.3f}", xlabel=sure, ylabel=share)
    lower.hist(confidence, bins=np.linspace(0, 1, bins + 1), edgecolor="white")
    lower.set(xlabel=sure, ylabel="samples")
    return _written(figure, path)


def coverage_plot(y_true: Any, draws: Any, path: str | Path | None = None) -> Figure:
    """Draw how many targets lie in intervals by how many should, and the probability integral transform.

    A curve below the diagonal has intervals that are too narrow. A histogram that is flat is calibrated; one that is
    high at its ends is too narrow, one that is high in the middle too wide.

    Args:
        y_true: Targets of shape `(n, *outputs)`.
        draws: Draws of the predictive distribution, noise included, of shape `(draws, n, *outputs)`.
        path: File to write the picture to, by its suffix; `None` for none.

    Returns:
        The `matplotlib` figure.

    Raises:
        ValueError: As `coverage_curve` does.

    Example:

    >>> draws = np.random.default_rng(0).normal(size=(100, 2))
    >>> figure = kplug_bayes.coverage_plot([0.0, 1.0], draws)
    """
    curve = coverage_curve(y_true, draws)
    figure, upper, lower = _two_panels()
    _diagonal(upper)
    upper.plot(curve.level, curve.coverage, marker="o", markersize=4)
    error = curve.calibration_error
    upper.set(title=f"Coverage of intervals: mean error {error:.3f}", ylabel="share inside")
    upper.set(xlabel="probability of the interval")
    values = probability_integral_transform(y_true, draws).reshape(-1)
    lower.hist(values, bins=np.linspace(0, 1, 11), edgecolor="white")
    lower.set(xlabel="probability integral transform", ylabel="targets")
    return _written(figure, path)


def _two_panels() -> tuple[Figure, Any, Any]:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(5, 6), dpi=120, layout="constrained")
    upper, lower = figure.subplots(2, 1, height_ratios=[3, 1])
    for axes in (upper, lower):
        axes.set_xlim(-_MARGIN, 1 + _MARGIN)
    upper.set_ylim(-_MARGIN, 1 + _MARGIN)
    return figure, upper, lower


def _diagonal(axes: Any) -> None:
    axes.plot([0, 1], [0, 1], color="0.6", linestyle="--", linewidth=1)


def _written(figure: Figure, path: str | Path | None) -> Figure:
    if path is not None:
        figure.savefig(path)
    return figure
