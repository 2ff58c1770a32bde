"""What a detector that Keras trains begins at."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass

import numpy as np
from scipy import linalg
from sklearn.covariance import MinCovDet

from kplug_bayes.anomalies.detector import median_and_deviation
from kplug_bayes.anomalies.two_components import regularized

_LOOKED_AT = 5000
"""Samples that the beginning is read off: the minimum covariance determinant of more takes long."""
_MOST_FEATURES = 50


@dataclass(frozen=True)
class RobustBeginning:
    """Robust estimates of where data are, and how they spread.

    Attributes:
        x: The samples that were looked at, of shape `(samples, features)`.
        center: Each feature's median.
        scale: Each feature's median absolute deviation, as a standard deviation.
        mean: The centre of the normal component, of the features less `center` and divided by `scale`.
        factor: W with `W^T W` the inverse of its covariance, lower triangular; `None` where it is not estimated, and
            the features are taken by themselves.
    """

    x: np.ndarray
    center: np.ndarray
    scale: np.ndarray
    mean: np.ndarray
    factor: np.ndarray | None


def robust_beginning(x: np.ndarray, covariance: str, seed: int) -> RobustBeginning:
    """Estimate where data are without being misled by anomalies.

    Args:
        x: Data of shape `(samples, features)`, no feature constant.
        covariance: `"full"`, by the minimum covariance determinant; or `"diagonal"`, each feature by itself.
        seed: What repeats which of many samples are looked at.
    """
    if len(x) > _LOOKED_AT:
        chosen = x[np.random.default_rng(seed).choice(len(x), _LOOKED_AT, replace=False)]
        x = chosen if (np.ptp(chosen, axis=0) > 0).all() else x
    x = x.astype("float64")
    center, scale = median_and_deviation(x)
    mean, factor = np.zeros(x.shape[1]), None
    if covariance == "full" and x.shape[1] <= min(_MOST_FEATURES, len(x) // 5):
        # Of features that are nearly always the same, or follow from others, it begins at each by itself.
        with contextlib.suppress(ValueError):
            estimate = MinCovDet(random_state=seed).fit((x - center) / scale)
            spread = regularized(estimate.covariance_, diagonal=False, regularization=1e-6)
            mean, factor = estimate.location_, linalg.inv(linalg.cholesky(spread, lower=True))
    return RobustBeginning(x, center, scale, mean, factor)
