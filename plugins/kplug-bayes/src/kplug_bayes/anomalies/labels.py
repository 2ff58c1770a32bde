"""Labels that say which samples are anomalies: what a detector is measured by, and does not learn from."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np


def label_metrics(threshold: float) -> list[Any]:
    """Return metrics of probabilities of an anomaly against truth values.

    Args:
        threshold: The probability from which a sample is called an anomaly.
    """
    return [
        keras.metrics.AUC(curve="PR", name="pr_auc"),
        keras.metrics.Precision(thresholds=threshold, name="precision"),
        keras.metrics.Recall(thresholds=threshold, name="recall"),
    ]


def check_labels(y: np.ndarray, anomaly_class: int) -> None:
    """Refuse labels that are not of two classes.

    Raises:
        ValueError: If one is neither 0 nor 1.
    """
    wrong = ~np.isin(y, (0, 1))
    if wrong.any():
        raise ValueError(
            f"Labels to measure by must be 0 or 1, of which {anomaly_class} is an anomaly. "
            f"Received: {y[wrong][0]} in sample {int(np.argwhere(wrong)[0][0])}"
        )


def check_anomalies_are_few(y: np.ndarray, anomaly_class: int) -> None:
    """Refuse labels of which most are anomalies: the other class is meant.

    Raises:
        ValueError: If more than half are.
    """
    share = float(np.mean(y == anomaly_class)) if y.size else 0.0
    if share > 0.5:
        raise ValueError(
            f"Anomalies must be the fewer, and class {anomaly_class} is {share:.0%} of the labels. If the other class "
            f"has the anomalies, say anomaly_class={1 - anomaly_class}. Received: anomaly_class={anomaly_class}"
        )
