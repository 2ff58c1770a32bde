"""Which way a metric gets better."""

from __future__ import annotations

_HIGHER_IS_BETTER = (
    "acc",
    "auc",
    "precision",
    "recall",
    "f1",
    "fbeta",
    "iou",
    "r2",
    "correlation",
    "coherence",
    "diversity",
    "return",
)


def higher_is_better(metric: str) -> bool:
    """Say whether a metric is better when higher, by its name: accuracies and their like are, everything else is not.

    Args:
        metric: Its name as the records have it, such as `val_loss`.
    """
    name = metric.lower()
    return any(part in name for part in _HIGHER_IS_BETTER)
