"""Where a model in an environment is: the copies, the episodes under way, what came of those that ended."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from kplug.datasets.environment_copies import Step
from kplug.datasets.environment_state import NotRestorableError
from kplug.datasets.environment_steps import EnvironmentSteps

_RECENT_EPISODES = 20


class Experience:
    """A model's time in an environment.

    Args:
        source: The training split that it learns in.
        generator: What draws exploration, batches and noise.
        discount: Discount factor, for the returns that rewards are normalised by.

    Attributes:
        generator: What draws.
        steps: Environment steps taken, of all copies.
        recent_returns: Returns of the last training episodes that ended.
        curves: What was logged after each block: dictionaries with `step`.
        evaluations: The returns of each evaluation's episodes: dictionaries with `step` and `returns`.
    """

    def __init__(self, source: EnvironmentSteps, generator: np.random.Generator, discount: float) -> None:
        self._source = source
        self.generator = generator
        self._discount = discount
        self.copies = source.copies()
        self.steps = 0
        self.recent_returns: deque[float] = deque(maxlen=_RECENT_EPISODES)
        self.curves: list[dict[str, float]] = []
        self.evaluations: list[dict[str, Any]] = []
        self._begin_episodes()

    def _begin_episodes(self) -> None:
        self._returns = np.zeros(len(self.copies))
        self._discounted = np.zeros(len(self.copies))

    def take(self, count: int, choose: Callable[[np.ndarray], np.ndarray]) -> tuple[list[Step], np.ndarray]:
        """Take environment steps.

        Args:
            count: How many, all copies together.
            choose: Returns actions for states.

        Returns:
            The steps, and the discounted returns of the running episodes at each of them, one row for each.
        """
        taken, discounted = [], []
        for _ in range(count // len(self.copies)):
            step = self.copies.step(choose(self.copies.states))
            self.steps += len(self.copies)
            self._returns += step.rewards
            self._discounted = self._discount * self._discounted + step.rewards
            discounted.append(self._discounted.copy())
            for copy in np.flatnonzero(step.done):
                self.recent_returns.append(float(self._returns[copy]))
                self._returns[copy] = self._discounted[copy] = 0.0
            taken.append(step)
        return taken, np.array(discounted)

    def training_state(self) -> dict[str, Any]:
        """Return what `restore_training_state` takes back; without the environment where that cannot be kept."""
        try:
            copies = self.copies.training_state()
        except NotRestorableError:
            copies = None
        return {
            "copies": copies,
            "generator": self.generator,
            "steps": self.steps,
            "recent_returns": self.recent_returns,
            "returns": self._returns,
            "discounted": self._discounted,
            "curves": self.curves,
            "evaluations": self.evaluations,
        }

    def begin_anew(self) -> None:
        """Leave the episodes under way, and begin others."""
        self.copies.reset()
        self._begin_episodes()

    def restore_training_state(self, state: Mapping[str, Any]) -> bool:
        """Go on where another process stopped; from fresh episodes where the environment could not be kept.

        Returns:
            Whether the episodes that were under way go on.
        """
        self.generator = state["generator"]
        self.steps, self.recent_returns = state["steps"], state["recent_returns"]
        self.curves, self.evaluations = state["curves"], state["evaluations"]
        if state["copies"] is not None:
            self.copies.restore_training_state(state["copies"])
            self._returns, self._discounted = state["returns"], state["discounted"]
        else:
            self.copies.close()
            seeds = self.generator.integers(2**31, size=self._source.number_of_copies)
            self.copies = self._source.copies(seeds.tolist())
            self._begin_episodes()
        return state["copies"] is not None
