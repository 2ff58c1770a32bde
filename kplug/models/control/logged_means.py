"""Means of what gradient steps log, over an epoch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import keras
import numpy as np
from keras import ops


class LoggedMeans(keras.metrics.Metric):
    """Means of several numbers over gradient steps, in one variable.

    Outside of compiled code each update of a variable takes part of a millisecond, and a metric for each number would
    take as long as several gradient steps.

    Args:
        names: What the numbers are called.
    """

    def __init__(self, names: Sequence[str]) -> None:
        super().__init__(name="logged")
        self._names = tuple(names)
        self._sums = self.add_weight(shape=(len(self._names) + 1,), initializer="zeros", name="sums")

    def update_state(self, means: Mapping[str, float], count: int) -> None:
        """Take in the means over some gradient steps.

        Args:
            means: Name -> mean.
            count: Over how many steps.
        """
        self._sums.assign_add(np.array([*(count * means[name] for name in self._names), count], "float32"))

    def result(self) -> dict[str, Any]:
        """Return the means, and zeros where nothing was taken in."""
        sums = ops.convert_to_numpy(self._sums)
        return {name: float(total / max(sums[-1], 1.0)) for name, total in zip(self._names, sums, strict=False)}
