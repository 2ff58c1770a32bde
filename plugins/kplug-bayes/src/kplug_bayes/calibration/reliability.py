"""Whether a classifier that is 80 % sure is right 80 % of the time."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from kplug_bayes.checked_arrays import checked_classes, checked_probabilities
from kplug_bayes.checked_numbers import checked_count


@dataclass(frozen=True)
class ReliabilityCurve:
    """Confidence and accuracy in bins of confidence; empty bins are left out.

    Attributes:
        confidence: Mean confidence in each bin, of shape `(bins,)`, ascending.
        accuracy: Share that is right in each bin, of shape `(bins,)`.
        count: Number of samples in each bin, of shape `(bins,)`.
        lower: Lower edges of the bins, of shape `(bins,)`.
        upper: Upper edges of the bins, of shape `(bins,)`.
    """

    confidence: np.ndarray
    accuracy: np.ndarray
    count: np.ndarray
    lower: np.ndarray
    upper: np.ndarray

    @property
    def expected_calibration_error(self) -> float:
        """The mean distance of confidence and accuracy, each bin weighted by its samples."""
        return float(np.sum(self.count * np.abs(self.accuracy - self.confidence)) / np.sum(self.count))


def reliability_curve(y_true: Any, probabilities: Any, bins: int = 15, adaptive: bool = False) -> ReliabilityCurve:
    """Return how often a classifier is right, by how sure it is.

    The confidence is the probability of the predicted class. With one probability per sample it is that of class 1, and
    accuracy is the share of class 1, from 0 to 1.

    Args:
        y_true: Class numbers of shape `(n,)` or `(n, 1)`, or one-hot of shape `(n, num_classes)`.
        probabilities: Predicted probabilities of shape `(n, num_classes)`; or of class 1 alone, of shape `(n,)` or
            `(n, 1)`.
        bins: Number of bins, at least 1.
        adaptive: Whether the bins have equally many samples (Nguyen & O'Connor 2015); else they are equally wide,
            `(b / bins, (b + 1) / bins]`, as Guo et al. (2017) have them, and the first has the 0 too. Samples of equal
            confidence may then lie in two bins, by their order.

    Raises:
        ValueError: If a shape is another, probabilities are none, or `bins` is less than 1.

    References:
        - Guo et al. (2017), On Calibration of Modern Neural Networks, https://arxiv.org/abs/1706.04599
        - Nguyen & O'Connor (2015), Posterior Calibration and Exploratory Analysis for Natural Language Processing
          Models, https://arxiv.org/abs/1508.05154

    Example:

    >>> curve = kplug_bayes.reliability_curve([0, 1], [[0.75, 0.25], [0.75, 0.25]])
    >>> curve.confidence.tolist(), curve.accuracy.tolist(), curve.count.tolist()
    ([0.75], [0.5], [2])
    """
    bins = checked_count("bins", bins)
    confidence, right = confidence_and_right(y_true, probabilities)
    if adaptive:
        order = np.argsort(confidence, kind="stable")
        groups = [part for part in np.array_split(order, bins) if len(part)]
        inner = [(confidence[a[-1]] + confidence[b[0]]) / 2 for a, b in pairwise(groups)]
        edges = np.array([0.0, *inner, 1.0])
    else:
        number = np.clip(np.ceil(confidence * bins).astype(int) - 1, 0, bins - 1)
        groups = [np.flatnonzero(number == one) for one in range(bins)]
        edges = np.arange(bins + 1) / bins
    filled = np.array([len(group) > 0 for group in groups])
    groups = [group for group in groups if len(group)]
    return ReliabilityCurve(
        confidence=np.array([confidence[group].mean() for group in groups]),
        accuracy=np.array([right[group].mean() for group in groups]),
        count=np.array([len(group) for group in groups]),
        lower=edges[:-1][filled],
        upper=edges[1:][filled],
    )


def expected_calibration_error(y_true: Any, probabilities: Any, bins: int = 15, adaptive: bool = False) -> float:
    """Return the expected calibration error: `sum over bins of count / n * |accuracy - confidence|`.

    (Guo et al. 2017, equation 3.) It is biased upwards on few samples, the more so the more bins there are: compare
    models on the same data and bins. During training use `kplug.ExpectedCalibrationError`, which is a metric.

    Args:
        y_true: Class numbers of shape `(n,)` or `(n, 1)`, or one-hot of shape `(n, num_classes)`.
        probabilities: Predicted probabilities of shape `(n, num_classes)`; or of class 1 alone, of shape `(n,)` or
            `(n, 1)`.
        bins: Number of bins, at least 1.
        adaptive: Whether the bins have equally many samples; else they are equally wide.

    Returns:
        A number between 0 and 1, a difference of probabilities.

    Raises:
        ValueError: As `reliability_curve` does.

    References:
        Guo et al. (2017), On Calibration of Modern Neural Networks, https://arxiv.org/abs/1706.04599

    Example:

    >>> kplug_bayes.expected_calibration_error([0, 1], [[0.75, 0.25], [0.75, 0.25]])
    0.25
    """
    return reliability_curve(y_true, probabilities, bins, adaptive).expected_calibration_error


def confidence_and_right(y_true: Any, probabilities: Any) -> tuple[np.ndarray, np.ndarray]:
    """Return how sure each prediction is, and whether it is right; of one class its probability, and whether it is.

    Raises:
        ValueError: If a shape is another, or probabilities are none.
    """
    predicted = checked_probabilities(probabilities)
    labels = checked_classes(y_true, predicted)
    if predicted.ndim == 1:
        return predicted, labels.astype("float64")
    return predicted.max(axis=1), (predicted.argmax(axis=1) == labels).astype("float64")
