"""What a policy refuses: bounds that are none, or that squashing cannot reach."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from kplug.models.vae_checks import check


def checked_bounds(
    action_dim: int, low: Sequence[float] | None, high: Sequence[float] | None, squash: bool
) -> tuple[np.ndarray | None, np.ndarray | None]:
    """Return the bounds of actions as arrays of shape `(action_dim,)`, float32; `None` for both without squashing.

    Args:
        action_dim: Numbers in an action.
        low: Lower bounds, or `None` for -1.
        high: Upper bounds, or `None` for 1.
        squash: Whether actions have bounds.

    Raises:
        ValueError: If there are more or fewer bounds than numbers in an action, or some are infinite or in the wrong
            order, or there are bounds without squashing.
    """
    if not squash:
        check(
            low is None and high is None,
            "Without squashing actions have no bounds: leave out `action_low` and `action_high`, or `squash=False`",
            action_low=low,
            action_high=high,
        )
        return None, None
    lower = np.full(action_dim, -1.0, "float32") if low is None else np.asarray(low, "float32").reshape(-1)
    upper = np.full(action_dim, 1.0, "float32") if high is None else np.asarray(high, "float32").reshape(-1)
    fits = len(lower) == len(upper) == action_dim and bool(np.isfinite([lower, upper]).all() and (lower < upper).all())
    check(
        fits,
        f"`action_low` and `action_high` must be {action_dim} finite numbers each, the lower below the upper ones",
        action_low=low,
        action_high=high,
    )
    return lower, upper
