"""What the algorithms for environments refuse, and the parameters that they share."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

from pydantic import Field

from kplug.models.vae_checks import check

PositiveInt = Annotated[int, Field(gt=0)]
Discount = Annotated[float, Field(gt=0, le=1)]


def settled(
    learner: Any, discount: float, normalize_observations: bool, normalize_rewards: bool, seed: int | None
) -> None:
    """Give a learner the parameters that all of them have.

    Raises:
        ValueError: If the discount factor is none.
    """
    check(0 < discount <= 1, "`discount` must be above 0 and at most 1", discount=discount)
    learner.discount = float(discount)
    learner.normalize_observations = bool(normalize_observations)
    learner.normalize_rewards = bool(normalize_rewards)
    learner.seed = None if seed is None else int(seed)


def policy_bounds(low: Sequence[float] | None, high: Sequence[float] | None) -> dict[str, Any]:
    """Return the policy's arguments for the bounds of actions: none for actions without bounds.

    Raises:
        ValueError: If there is one of the two only.
    """
    check((low is None) == (high is None), "Give both `action_low` and `action_high`, or neither", low=low, high=high)
    return {"squash": False} if low is None else {"action_low": low, "action_high": high}
