"""Standardised states and scaled rewards, by statistics of what was seen so far that are saved with the model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from keras import ops

from kplug.datasets.environment_copies import Step
from kplug.models.control.running_statistics import RunningStatistics

LIMIT = 10.0
"""How many deviations a standardised state, or a scaled reward, may be away from zero; what is further is cut off."""


class Normalization:
    """What a model in an environment has for the normalisation of states and rewards."""

    normalize_observations: bool
    normalize_rewards: bool

    def _add_statistics(self: Any) -> None:
        fixed = {"shape": (), "trainable": False, "autocast": False}
        self.reward_mean = self.add_weight(**fixed, initializer="zeros", name="reward_mean")
        self.reward_scale = self.add_weight(**fixed, initializer="ones", name="reward_scale")
        self.reward_count = self.add_weight(**fixed, initializer="zeros", name="reward_count")
        self.state_count = self.add_weight(**fixed, initializer="zeros", name="state_count")
        if self.normalize_observations:
            self.policy.state_limit.assign(LIMIT)

    def _read_statistics(self: Any) -> None:
        """Go on from the statistics that the weights hold."""
        policy = self.policy
        self._state_statistics = _statistics(policy.state_mean, policy.state_scale, self.state_count)
        self._reward_statistics = _statistics(self.reward_mean, self.reward_scale, self.reward_count)

    def _take_into_statistics(self: Any, steps: Sequence[Step], discounted: np.ndarray) -> None:
        """Take a block's states and returns into the statistics, and those into the weights.

        Args:
            steps: The block.
            discounted: The discounted returns of the running episodes at each step, of shape `(steps, copies)`.
        """
        if self.normalize_observations:
            self._state_statistics.update(np.concatenate([step.states for step in steps]))
            self.policy.state_mean.assign(self._state_statistics.mean.astype("float32"))
            self.policy.state_scale.assign(self._state_statistics.scale.astype("float32"))
            self.state_count.assign(self._state_statistics.count)
        if self.normalize_rewards:
            self._reward_statistics.update(discounted.reshape(-1))
            self.reward_mean.assign(self._reward_statistics.mean.astype("float32"))
            self.reward_scale.assign(self._reward_statistics.scale.astype("float32"))
            self.reward_count.assign(self._reward_statistics.count)

    def _scaled_rewards(self: Any, rewards: np.ndarray) -> np.ndarray:
        if not self.normalize_rewards:
            return rewards
        return np.clip(rewards / np.float32(self._reward_statistics.scale), -LIMIT, LIMIT)

    def _state_of_statistics(self: Any) -> dict[str, Any]:
        return {
            "states": self._state_statistics.training_state(),
            "rewards": self._reward_statistics.training_state(),
        }

    def _restore_statistics(self: Any, state: Mapping[str, Any]) -> None:
        self._state_statistics.restore_training_state(state["states"])
        self._reward_statistics.restore_training_state(state["rewards"])


def _statistics(mean: Any, scale: Any, count: Any) -> RunningStatistics:
    mean, scale, count = (ops.convert_to_numpy(one).astype("float64") for one in (mean, scale, count))
    return RunningStatistics.from_scale(mean, scale, float(count))
