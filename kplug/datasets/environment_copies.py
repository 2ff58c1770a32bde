"""Copies of an environment, stepped together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from kplug.datasets.environment_recipe import EnvironmentRecipe
from kplug.datasets.environment_state import restore_state, state_of
from kplug.errors import DataError


@dataclass(frozen=True)
class Step:
    """What one step of all copies gave; each array's first axis is the copies.

    Attributes:
        states: The states that the actions were taken in, float32 of shape `(copies, state_dim)`.
        actions: The actions, of shape `(copies, action_dim)`.
        rewards: Float32 of shape `(copies,)`.
        next_states: The states that came of it, before any reset.
        terminated: Whether the episode came to an end, after which nothing follows.
        truncated: Whether it was cut off, though something would follow.
    """

    states: np.ndarray
    actions: np.ndarray
    rewards: np.ndarray
    next_states: np.ndarray
    terminated: np.ndarray
    truncated: np.ndarray

    @property
    def done(self) -> np.ndarray:
        """Whether the episode is over, of shape `(copies,)`."""
        return self.terminated | self.truncated


def as_action(space: Any, action: np.ndarray) -> np.ndarray:
    """Return an action as an environment takes it, in its shape and dtype, and within its bounds in that dtype."""
    return np.clip(action.reshape(space.shape).astype(space.dtype, copy=False), space.low, space.high)


class EnvironmentCopies:
    """Copies of one environment, each with episodes of its own; a copy whose episode is over is reset at once.

    Args:
        recipe: How a copy is made.
        seeds: The seed of each copy's first episode; the next ones follow from it.

    Attributes:
        states: The states that the copies are in, float32 of shape `(copies, state_dim)`.
    """

    def __init__(self, recipe: EnvironmentRecipe, seeds: Sequence[int]) -> None:
        from gymnasium.spaces import flatten

        self._recipe = recipe
        self._environments = [recipe.make() for _ in seeds]
        self._flatten = flatten
        one = self._environments[0]
        self._space, self._action_space = one.observation_space, one.action_space
        self.steps = 0
        self.states = np.stack(
            [
                self._flat(environment.reset(seed=int(seed))[0])
                for environment, seed in zip(self._environments, seeds, strict=True)
            ]
        )
        self._insist_finite(self.states, np.zeros(len(seeds)))

    def __len__(self) -> int:
        return len(self._environments)

    def step(self, actions: np.ndarray, reset: bool = True, among: np.ndarray | None = None) -> Step:
        """Take one step in each copy.

        Args:
            actions: Of shape `(copies, action_dim)`, in the environment's unit.
            reset: Whether a copy whose episode is over begins another.
            among: Which copies are stepped, bool of shape `(copies,)`, or `None` for all. The others stay where they
                are, and get nothing for it.

        Raises:
            DataError: If a state or a reward is NaN or infinite, naming the step.
        """
        self.steps += 1
        states, rewards = self.states, np.zeros(len(self), "float32")
        next_states = states.copy()
        terminated, truncated = np.zeros(len(self), bool), np.zeros(len(self), bool)
        for copy in range(len(self)) if among is None else np.flatnonzero(among).tolist():
            action = as_action(self._action_space, actions[copy])
            observation, reward, terminated[copy], truncated[copy], _ = self._environments[copy].step(action)
            next_states[copy], rewards[copy] = self._flat(observation), reward
        self._insist_finite(next_states, rewards)
        self.states = next_states
        over = np.flatnonzero(terminated | truncated)
        if reset and len(over):
            self.reset(over)
        return Step(states, actions, rewards, next_states, terminated, truncated)

    def reset(self, copies: Sequence[int] | np.ndarray | None = None) -> None:
        """Begin the next episode in some copies, or in all.

        Raises:
            DataError: If it begins in a state that is NaN or infinite.
        """
        states = self.states.copy()
        for copy in range(len(self)) if copies is None else copies:
            states[copy] = self._flat(self._environments[copy].reset()[0])
        self._insist_finite(states, np.zeros(len(self)), "in the reset after step")
        self.states = states

    def training_state(self) -> dict[str, Any]:
        """Return what `restore_training_state` takes back.

        Raises:
            NotRestorableError: If the environment holds what cannot be kept.
        """
        return {
            "steps": self.steps,
            "states": self.states,
            "environments": [state_of(environment) for environment in self._environments],
        }

    def restore_training_state(self, state: Mapping[str, Any]) -> None:
        """Go on where another process stopped."""
        self.steps, self.states = state["steps"], state["states"]
        for environment, remembered in zip(self._environments, state["environments"], strict=True):
            restore_state(environment, remembered)

    def close(self) -> None:
        """Let go of what the environments hold."""
        for environment in self._environments:
            environment.close()

    def _flat(self, observation: Any) -> np.ndarray:
        return np.asarray(self._flatten(self._space, observation), dtype="float32")

    def _insist_finite(self, states: np.ndarray, rewards: np.ndarray, when: str = "in step") -> None:
        if np.isfinite(states).all() and np.isfinite(rewards).all():
            return
        bad = ~np.isfinite(rewards)
        what = "reward" if bad.any() else "state"
        bad = bad if bad.any() else ~np.isfinite(states).all(axis=1)
        copy = int(np.flatnonzero(bad)[0])
        value = rewards[copy] if what == "reward" else states[copy].tolist()
        raise DataError(
            f"environment {self._recipe.id} gave the {what} {value} {when} {self.steps} of copy {copy}. Such steps "
            "cannot be learned from; the model is as it was before them."
        )
