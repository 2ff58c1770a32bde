"""Proximal policy optimisation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import keras
import numpy as np
from keras import ops
from pydantic import Field

from kplug.catalog.facts import component
from kplug.layers.seeded import derived_seeds
from kplug.losses.likelihoods import gaussian_log_likelihood
from kplug.models.control.advantages import generalized_advantages
from kplug.models.control.critics import Critics
from kplug.models.control.learner_checks import Discount, PositiveInt, policy_bounds, settled
from kplug.models.control.on_policy import OnPolicyLearner
from kplug.models.control.policy import ContinuousPolicy
from kplug.models.vae_checks import check, check_count, check_number

_SCHULMAN = "Schulman et al. (2017), Proximal Policy Optimization Algorithms, https://arxiv.org/abs/1707.06347"
_GAE = (
    "Schulman et al. (2015), High-Dimensional Continuous Control Using Generalized Advantage Estimation, "
    "https://arxiv.org/abs/1506.02438"
)
_VALUE_WEIGHT = 0.5


@component(tasks=["continuous-control"], own_loss=True, optimizer="adam", references=[_SCHULMAN, _GAE])
@keras.saving.register_keras_serializable(package="kplug")
class PPO(OnPolicyLearner, keras.Model):
    """Proximal policy optimisation: learns from the present policy's steps, several times over, but never too far.

    After every `rollout_steps` environment steps it goes through them `passes` times in shuffled minibatches, and
    maximises the clipped objective of Schulman et al. (2017, equation 7) with generalised advantage estimates; a
    network beside the policy learns the states' values. Episodes that are cut off by a limit of time are taken to go
    on.

    For environments that are fast, and stepped in many copies; where steps are costly, `kplug.SoftActorCritic` needs
    fewer of them.

    The logs have `policy_loss`, `value_loss`, `critic_value` (the mean over the batch, of normalised rewards),
    `entropy` (of actions, scaled to -1 to 1 where they have bounds, in nats), `clipped` (the share of
    steps moved as far as they may be), `environment_steps`, and `return`: the mean over the last 20 training episodes.

    Args:
        state_dim: Numbers in a state.
        action_dim: Numbers in an action.
        action_low: Lower bounds of actions; `None` for actions without bounds.
        action_high: Upper bounds of actions.
        units: Units of the hidden layers, of the policy and of the value network.
        rollout_steps: Environment steps, of all copies together, between which it learns.
        passes: How often it goes through them.
        batch_size: Steps of a minibatch.
        discount: Discount factor.
        smoothing: Lambda of the advantage estimates: 0 trusts the values, 1 the rewards.
        clip: How far the ratio of new to old probabilities may move from 1.
        entropy_weight: Weight of the entropy, which is added to the objective.
        max_gradient_norm: Norm that the gradient is cut down to.
        linear_policy: Whether the policy has no hidden layers; the value network has them all the same.
        initial_log_std: Log standard deviation of the actions before training, before squashing.
        normalize_observations: Whether states are standardised by the mean and deviation of those seen so far.
        normalize_rewards: Whether rewards are divided by the deviation of the discounted returns so far.
        seed: Whole number that makes everything repeat, or `None`.
        **kwargs: Keras' own model arguments (`name`, `dtype`, …).

    Call arguments:
        inputs: States of shape `(batch_size, state_dim)`.

    Returns:
        When called: the deterministic actions, of shape `(batch_size, action_dim)`.

    Raises:
        ValueError: If a parameter is out of range, or data are no environment of such states and actions.

    References:
        - Schulman et al. (2017), Proximal Policy Optimization Algorithms, https://arxiv.org/abs/1707.06347
        - Schulman et al. (2015), High-Dimensional Continuous Control Using Generalized Advantage Estimation,
          https://arxiv.org/abs/1506.02438

    Example:

    ```python
    data = kplug.datasets.pendulum(copies=8, steps_per_block=512, steps_per_epoch=10240)
    model = kplug.PPO(3, 1, action_low=[-2.0], action_high=[2.0], discount=0.95)
    model.compile(keras.optimizers.Adam(1e-3))
    model.fit(data.train, epochs=10, validation_data=data.validation)
    ```
    """

    logged = ("policy_loss", "value_loss", "critic_value", "entropy", "clipped")

    def __init__(
        self,
        state_dim: PositiveInt,
        action_dim: PositiveInt,
        action_low: Sequence[float] | None = None,
        action_high: Sequence[float] | None = None,
        units: Sequence[PositiveInt] = (64, 64),
        rollout_steps: PositiveInt = 2048,
        passes: PositiveInt = 10,
        batch_size: PositiveInt = 64,
        discount: Discount = 0.99,
        smoothing: Annotated[float, Field(ge=0, le=1)] = 0.95,
        clip: Annotated[float, Field(gt=0, lt=1)] = 0.2,
        entropy_weight: Annotated[float, Field(ge=0)] = 0.0,
        max_gradient_norm: Annotated[float, Field(gt=0)] = 0.5,
        linear_policy: bool = False,
        initial_log_std: float = 0.0,
        normalize_observations: bool = True,
        normalize_rewards: bool = True,
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**{"autocast": False, **kwargs})
        for name, value in (("rollout_steps", rollout_steps), ("passes", passes), ("batch_size", batch_size)):
            check_count(name, value)
        check(
            batch_size <= rollout_steps,
            "`batch_size` must be `rollout_steps` at most",
            batch_size=batch_size,
            rollout_steps=rollout_steps,
        )
        check(0 <= smoothing <= 1, "`smoothing` must be between 0 and 1", smoothing=smoothing)
        check(0 < clip < 1, "`clip` must be between 0 and 1", clip=clip)
        check_number("entropy_weight", entropy_weight)
        check_number("max_gradient_norm", max_gradient_norm, positive=True)
        settled(self, discount, normalize_observations, normalize_rewards, seed)
        self.units = tuple(units)
        self.rollout_steps = int(rollout_steps)
        self.passes = int(passes)
        self.batch_size = int(batch_size)
        self.smoothing = float(smoothing)
        self.clip = float(clip)
        self.entropy_weight = float(entropy_weight)
        self.max_gradient_norm = float(max_gradient_norm)
        self.linear_policy = bool(linear_policy)
        policy_seed, value_seed = derived_seeds(self.seed, 2)
        self.policy = ContinuousPolicy(
            state_dim,
            action_dim,
            () if linear_policy else self.units,
            "tanh",
            **policy_bounds(action_low, action_high),
            state_dependent_std=False,
            initial_log_std=initial_log_std,
            seed=policy_seed,
            dtype=self.dtype_policy,
            name="policy",
        )
        self.critic = Critics(1, self.units, "tanh", value_seed, dtype=self.dtype_policy, name="critic")
        self.critic.build((None, self.policy.state_dim))
        self._start()

    def losses(self, batch: Mapping[str, Any]) -> tuple[Any, dict[str, Any]]:
        """Return the sum of the losses of policy and values on a batch, and what is logged of them.

        Args:
            batch: `states` (standardised), `unsquashed` actions, their `log_density` when they were drawn,
                `advantages`, `returns`, and standard normal `noise` in the actions' shape, each with the batch as its
                first axis.
        """
        mean, log_std = self.policy.of_standardized(batch["states"])
        log_density = gaussian_log_likelihood(batch["unsquashed"], mean, log_scale=log_std)
        ratio = ops.exp(log_density - batch["log_density"])
        advantages = batch["advantages"] - ops.mean(batch["advantages"])
        advantages = advantages / (ops.std(advantages) + 1e-8)
        near = ops.clip(ratio, 1 - self.clip, 1 + self.clip)
        policy_loss = -ops.mean(ops.minimum(ratio * advantages, near * advantages))
        value = self.critic(batch["states"])[0]
        value_loss = ops.mean(ops.square(value - batch["returns"]))
        entropy = ops.mean(self._entropy(log_std, mean + ops.exp(log_std) * batch["noise"]))
        logs = {
            "policy_loss": policy_loss,
            "value_loss": value_loss,
            "critic_value": ops.mean(value),
            "entropy": entropy,
            "clipped": ops.mean(ops.cast(ops.abs(ratio - 1.0) > self.clip, "float32")),
        }
        return policy_loss + _VALUE_WEIGHT * value_loss - self.entropy_weight * entropy, logs

    def _batches(self) -> dict[str, np.ndarray] | None:
        if len(self._rollout) * len(self.experience.copies) < self.rollout_steps:
            return None
        steps = self._rollout.arrays()
        self._rollout.clear()
        values, next_values = (self._values(steps[name]) for name in ("states", "next_states"))
        advantages = generalized_advantages(
            self._scaled_rewards(steps["rewards"]),
            values,
            next_values,
            steps["terminated"],
            steps["done"],
            self.discount,
            self.smoothing,
        )
        steps = {name: steps[name] for name in ("states", "unsquashed", "log_density")}
        steps |= {"advantages": advantages.astype("float32"), "returns": (advantages + values).astype("float32")}
        steps["noise"] = self.experience.generator.standard_normal(steps["unsquashed"].shape, "float32")
        flat = {name: array.reshape(-1, *array.shape[2:]) for name, array in steps.items()}
        size = len(flat["returns"])
        whole = size // self.batch_size * self.batch_size
        order = np.stack([self.experience.generator.permutation(size)[:whole] for _ in range(self.passes)])
        order = order.reshape(-1, self.batch_size)
        return {name: array[order] for name, array in flat.items()}

    def _learns_when(self) -> str:
        return f"after every rollout_steps={self.rollout_steps}"

    def _values(self, states: np.ndarray) -> np.ndarray:
        """Return the values of standardised states of shape `(steps, copies, state_dim)`."""
        flat = states.reshape(-1, states.shape[-1])
        return ops.convert_to_numpy(self.critic(flat)[0]).reshape(states.shape[:-1])

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "rollout_steps": self.rollout_steps,
            "passes": self.passes,
            "batch_size": self.batch_size,
            "smoothing": self.smoothing,
            "clip": self.clip,
            "entropy_weight": self.entropy_weight,
            "max_gradient_norm": self.max_gradient_norm,
            "linear_policy": self.linear_policy,
            "initial_log_std": self.policy.initial_log_std,
        }
