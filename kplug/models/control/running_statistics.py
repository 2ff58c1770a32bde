"""Mean and variance of values that come bit by bit."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

_LEAST_VARIANCE = 1e-8


class RunningStatistics:
    """Mean and variance of all values seen so far (Chan et al. 1983), in float64.

    Args:
        mean: The mean so far.
        variance: The variance so far, of the same shape.
        count: How many values these are of.

    Attributes:
        mean: The mean.
        variance: The variance.
        count: The number of values.
    """

    def __init__(self, mean: np.ndarray, variance: np.ndarray, count: float = 0.0) -> None:
        self.mean = np.asarray(mean, "float64")
        self.variance = np.asarray(variance, "float64")
        self.count = float(count)

    @classmethod
    def from_scale(cls, mean: np.ndarray, scale: np.ndarray, count: float) -> RunningStatistics:
        """Return the statistics that have this mean, scale and count."""
        return cls(mean, np.maximum(scale**2 - _LEAST_VARIANCE, 0.0), count)

    @property
    def scale(self) -> np.ndarray:
        """The standard deviation, never zero."""
        return np.sqrt(self.variance + _LEAST_VARIANCE)

    def update(self, values: np.ndarray) -> None:
        """Take in more values, of shape `(n, ...)`."""
        values = np.asarray(values, "float64")
        total = self.count + len(values)
        difference = values.mean(axis=0) - self.mean
        squares = self.variance * self.count + values.var(axis=0) * len(values)
        self.variance = (squares + difference**2 * self.count * len(values) / total) / total
        self.mean = self.mean + difference * len(values) / total
        self.count = total

    def training_state(self) -> dict[str, Any]:
        """Return what `restore_training_state` takes back."""
        return {"mean": self.mean, "variance": self.variance, "count": self.count}

    def restore_training_state(self, state: Mapping[str, Any]) -> None:
        """Go on where another process stopped."""
        self.__init__(state["mean"], state["variance"], state["count"])  # type: ignore[misc]
