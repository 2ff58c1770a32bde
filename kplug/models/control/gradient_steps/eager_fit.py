"""What `fit` and `evaluate` call where batches are gone through in Python: environments are no part of a graph."""

from __future__ import annotations

from typing import Any


class FitSteps:
    """What `fit` and `evaluate` call for a batch."""

    def train_step(self: Any, data: Any) -> dict[str, Any]:
        """Act, and learn from it."""
        return self.learn(data)

    def test_step(self: Any, data: Any) -> dict[str, Any]:
        """Play the episodes of the evaluation."""
        return self.judge(data)
