"""What a policy refuses: bounds that are none, or that squashing cannot reach."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from keras import ops

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
    fits = len(lower) == len(upper) == action_dim and bool(np.isfinite(upper - lower).all() and (lower < upper).all())
    check(
        fits,
        f"`action_low` and `action_high` must be {action_dim} finite numbers each, the lower below the upper ones",
        action_low=low,
        action_high=high,
    )
    return lower, upper


def checked_actions(actions: Any, action_dim: int, low: np.ndarray | None, high: np.ndarray | None) -> Any:
    """Return actions in the shape `(batch_size, action_dim)`.

    Args:
        actions: Arrays or tensors; of one number each they may have the shape `(batch_size,)`.
        action_dim: Numbers in an action.
        low: Lower bounds, or `None`.
        high: Upper bounds, or `None`.

    Raises:
        ValueError: If they are of another shape, or arrays with values beyond the bounds by more than rounding.
    """
    tensor = ops.is_tensor(actions)
    actions = actions if tensor else np.asarray(actions)
    shape = tuple(actions.shape)
    if action_dim == 1 and len(shape) == 1:
        actions = ops.reshape(actions, (-1, 1))
    elif len(shape) != 2 or shape[1] != action_dim:
        raise ValueError(f"Actions must be of shape (batch_size, {action_dim}). Received: actions of shape {shape}")
    if tensor or low is None or high is None:
        return actions
    values = np.asarray(actions).reshape(-1, action_dim)
    slack = 1e-5 * (high - low)
    beyond = np.argwhere(~((values >= low - slack) & (values <= high + slack)))
    if len(beyond):
        row, number = beyond[0]
        raise ValueError(
            f"Actions must be between action_low={low.tolist()} and action_high={high.tolist()}, in that unit. "
            f"Received: {values[row, number]} as number {number} of action {row}"
        )
    return actions


def check_states(states: Any) -> None:
    """Refuse states, where they are arrays, with NaN or infinity: networks may turn them into numbers silently.

    Raises:
        ValueError: Naming the first.
    """
    if not isinstance(states, np.ndarray) or states.dtype.kind != "f" or np.isfinite(states).all():
        return
    place = tuple(np.argwhere(~np.isfinite(states))[0].tolist())
    raise ValueError(f"States must be finite. Received: {states[place]} at {list(place)}. Leave out such rows")


def checked_rewards(rewards: Any, log_prob: Any) -> Any:
    """Return rewards in the dtype of log-probabilities of shape `(batch_size,)`.

    Raises:
        ValueError: If there are not as many, or they have more than one axis but for axes of one.
    """
    rewards = ops.cast(rewards, log_prob.dtype)
    shape, wanted = tuple(rewards.shape), tuple(log_prob.shape)
    fits = shape in {wanted, (*wanted, 1)} or None in shape
    check(fits, f"`rewards` must be one number for each action, of shape {wanted}", shape_of_rewards=shape)
    return ops.reshape(rewards, (-1,))
