"""What algorithms share that learn from the steps of the present policy alone."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from kplug.datasets.environment_copies import Step
from kplug.models.control.environment_learner import EnvironmentLearner
from kplug.models.control.numpy_network import NumpyActor
from kplug.models.control.rollout import Rollout

_HALF_LOG_2_PI = 0.5 * math.log(2 * math.pi)


class OnPolicyLearner(EnvironmentLearner):
    """An `EnvironmentLearner` that gathers steps, learns from them, and forgets them.

    Densities are those of the Gaussian before squashing: in their ratios, and in gradients, squashing cancels.
    """

    _rollout: Rollout

    def _forget(self: Any) -> None:
        self._rollout = Rollout()
        self._drawn: list[tuple[np.ndarray, np.ndarray]] = []

    def _explore(self: Any, actor: NumpyActor, states: np.ndarray) -> np.ndarray:
        mean, log_std = actor(states)
        noise = self.experience.generator.standard_normal(mean.shape, "float32")
        unsquashed = mean + np.exp(log_std) * noise
        self._drawn.append((unsquashed, -(0.5 * noise**2 + log_std + _HALF_LOG_2_PI).sum(axis=1)))
        return self.policy.squashed_numpy(unsquashed)

    def _keep(self: Any, steps: Sequence[Step]) -> None:
        for step, (unsquashed, log_density) in zip(steps, self._drawn, strict=True):
            self._rollout.add(step, unsquashed, log_density)
        self._drawn = []

    def _own_state(self) -> dict[str, Any]:
        return self._rollout.training_state()

    def _restore_own_state(self, state: Mapping[str, Any]) -> None:
        self._rollout.restore_training_state(state)
