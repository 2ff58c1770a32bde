"""Where a model makes its weights."""

from __future__ import annotations

import contextlib
from typing import Any


def strategy_scope(model: Any) -> Any:
    """Return the scope of the `tf.distribute` strategy that a model was made in; on other backends one of none."""
    strategy = getattr(model, "distribute_strategy", None)
    return contextlib.nullcontext() if strategy is None else strategy.scope()
