"""Of which kind a class is."""

from __future__ import annotations

import sys
from typing import Any

_BASES = (
    ("model", "Model"),
    ("layer", "Layer"),
    ("loss", "losses.Loss"),
    ("metric", "metrics.Metric"),
    ("optimizer", "optimizers.Optimizer"),
    ("schedule", "optimizers.schedules.LearningRateSchedule"),
    ("callback", "callbacks.Callback"),
)
"""Kind -> what its classes derive from; a model is a layer too, and comes first."""


def keras_kind(described: Any) -> str | None:
    """Return the kind of a Keras class; `None` for anything else, or where Keras is not imported."""
    keras = sys.modules.get("keras")
    if keras is None or not isinstance(described, type):
        return None
    for kind, path in _BASES:
        base: Any = keras
        for attribute in path.split("."):
            base = getattr(base, attribute)
        if issubclass(described, base):
            return kind
    return None


def wrong_kind(kind: str, described: Any) -> str | None:
    """Say why a class cannot be a component of a kind, or return `None`.

    Keras' classes say what they are; of functions and of other classes it shows when they are used.
    """
    if kind == "launcher" and isinstance(described, type) and not callable(getattr(described, "start", None)):
        return f"declared as a launcher, but {described.__name__} has no method start(job)"
    found = keras_kind(described)
    if found is None or found == kind or (kind, found) == ("layer", "model"):
        return None
    return f"declared as a {kind}, but {described.__name__} is a Keras {found}"
