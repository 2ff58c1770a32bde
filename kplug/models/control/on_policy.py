"""What algorithms share that learn from the steps of the present policy alone."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from keras import ops

from kplug.datasets.environment_copies import Step
from kplug.losses.likelihoods import sum_per_sample
from kplug.models.control.environment_learner import EnvironmentLearner
from kplug.models.control.numpy_network import NumpyActor
from kplug.models.control.rollout import Rollout
from kplug.models.control.squashed_gaussian import gaussian_entropy, log_tanh_slope

_HALF_LOG_2_PI = 0.5 * math.log(2 * math.pi)


class OnPolicyLearner(EnvironmentLearner):
    """An `EnvironmentLearner` that gathers steps, learns from them, and forgets them.

    Densities are those of the Gaussian before squashing: in their ratios, and in gradients, squashing cancels.
    """

    _rollout: Rollout

    def end_step(self: Any) -> None:
        # Beyond the bounds there would be no gradient back.
        log_std = self.policy.log_std
        log_std.assign(ops.clip(ops.convert_to_tensor(log_std), *self.policy.log_std_bounds))

    def _entropy(self: Any, log_std: Any, unsquashed: Any) -> Any:
        """Return the mean entropy of actions, in nats; of those with bounds it is estimated, scaled to -1 to 1.

        Squashing changes it by the mean of `log(1 - tanh(u)^2)`, which draws estimate.

        Args:
            log_std: Log standard deviations of shape `(batch_size, action_dim)`.
            unsquashed: Reparameterised draws before squashing, of the same shape.
        """
        entropy = gaussian_entropy(log_std)
        return entropy + sum_per_sample(log_tanh_slope(unsquashed)) if self.policy.squash else entropy

    def _forget(self: Any) -> None:
        self._rollout = Rollout()
        self._drawn: list[tuple[np.ndarray, np.ndarray]] = []

    def _explore(self: Any, actor: NumpyActor, states: np.ndarray) -> np.ndarray:
        mean, log_std = actor(states)
        noise = self.experience.generator.standard_normal(mean.shape, "float32")
        unsquashed = mean + np.exp(log_std) * noise
        self._drawn.append((unsquashed, -(0.5 * noise**2 + log_std + _HALF_LOG_2_PI).sum(axis=1)))
        return self.policy.squashed_numpy(unsquashed)

    def _keep(self: Any, steps: Sequence[Step], actor: NumpyActor) -> None:
        for step, (unsquashed, log_density) in zip(steps, self._drawn, strict=True):
            # As the networks saw them when they acted: with later statistics the densities would be others.
            states, next_states = (actor.standardized(part) for part in (step.states, step.next_states))
            self._rollout.add(replace(step, states=states, next_states=next_states), unsquashed, log_density)
        self._drawn = []

    def _close_gap(self: Any) -> None:
        self._drawn = []
        self._rollout.cut_off()

    def _own_state(self) -> dict[str, Any]:
        return self._rollout.training_state()

    def _restore_own_state(self, state: Mapping[str, Any]) -> None:
        self._rollout.restore_training_state(state)
