"""Which metrics say most, and which way a metric gets better."""

from __future__ import annotations

from collections.abc import Iterable

CHIEF_METRICS = ("loss", "return")
"""What a training is after; each has a `val_` of its own."""

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


def chief_first(names: Iterable[str]) -> list[str]:
    """Return names of metrics in the order in which they are shown: the loss, the return, then by the alphabet."""
    return sorted(names, key=lambda name: (name not in CHIEF_METRICS, name))


def higher_is_better(metric: str) -> bool:
    """Say whether a metric is better when higher, by its name: accuracies and their like are, everything else is not.

    Args:
        metric: Its name as the records have it, such as `val_loss`.
    """
    name = metric.lower()
    return any(part in name for part in _HIGHER_IS_BETTER)
