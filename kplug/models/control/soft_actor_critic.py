"""Soft actor-critic."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import keras
import numpy as np
from keras import ops
from pydantic import Field

from kplug.catalog.facts import component
from kplug.datasets.environment_copies import Step
from kplug.layers.seeded import derived_seeds
from kplug.models.control.critics import Critics
from kplug.models.control.environment_learner import EnvironmentLearner
from kplug.models.control.learner_checks import Discount, PositiveInt, policy_bounds, settled
from kplug.models.control.numpy_network import NumpyActor
from kplug.models.control.policy import ContinuousPolicy
from kplug.models.control.replay_buffer import ReplayBuffer
from kplug.models.vae_checks import check, check_count, check_number

_HAARNOJA = "Haarnoja et al. (2018), Soft Actor-Critic Algorithms and Applications, https://arxiv.org/abs/1812.05905"


@component(tasks=["continuous-control"], own_loss=True, optimizer="adam", references=[_HAARNOJA])
@keras.saving.register_keras_serializable(package="kplug")
class SoftActorCritic(EnvironmentLearner, keras.Model):
    """Soft actor-critic: learns a policy for continuous actions from every step it has ever taken.

    A replay buffer keeps the steps; twin critics learn what actions are worth, of which the smaller counts; the policy
    (`kplug.ContinuousPolicy`) learns to take actions that are worth much, and to stay random: entropy is part of the
    reward, at a temperature that is learned too (Haarnoja et al. 2018). Episodes that are cut off by a limit of time
    are taken to go on; only a real end is worth nothing.

    It learns in an environment (`kplug.datasets.gymnasium`, `kplug.datasets.pendulum`) through `fit`: a batch is a
    block of environment steps, in which after every `update_every` as many gradient steps are taken in one compiled
    call. All three losses are minimised by one optimizer, side by side: the policy learns from the critics as they were
    before the step.

    The logs have `critic_loss`, `actor_loss`, `critic_value` (the mean over the batch), `entropy` (of actions scaled to
    -1 to 1, in nats), `temperature`, `environment_steps`, and `return`: the mean over the last 20 training episodes.
    With validation data `val_return` is the mean over its episodes, played with the deterministic policy.

    Args:
        state_dim: Numbers in a state.
        action_dim: Numbers in an action.
        action_low: Lower bounds of actions; `None` for actions without bounds.
        action_high: Upper bounds of actions.
        units: Units of the hidden layers, of the policy and of each critic.
        batch_size: Steps drawn from the replay buffer for a gradient step.
        replay_size: Most steps that are kept; older ones give way.
        random_steps: Environment steps at the beginning that are taken at random, before anything is learned.
        updates_per_step: Gradient steps for each environment step.
        update_every: Environment steps between which gradient steps are taken, rounded up to a multiple of the copies.
            1 is the original's, where each action is the newest policy's; a step then takes half as long again.
        discount: Discount factor.
        polyak: Share of the critics that goes into their slow copies, the targets, at each gradient step.
        initial_temperature: Weight of the entropy at the beginning.
        target_entropy: Entropy that the temperature is learned to keep, in nats, of actions scaled to -1 to 1; by
            default `-action_dim`.
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
        - Haarnoja et al. (2018), Soft Actor-Critic Algorithms and Applications, https://arxiv.org/abs/1812.05905
        - Fujimoto et al. (2018), Addressing Function Approximation Error in Actor-Critic Methods,
          https://arxiv.org/abs/1802.09477

    Example:

    ```python
    data = kplug.datasets.pendulum()
    model = kplug.SoftActorCritic(3, 1, action_low=[-2.0], action_high=[2.0])
    model.compile(keras.optimizers.Adam(1e-3))
    model.fit(data.train, epochs=10, validation_data=data.validation)
    model.act(state)  # NumPy
    ```
    """

    logged = ("critic_loss", "actor_loss", "critic_value", "entropy", "temperature")

    def __init__(
        self,
        state_dim: PositiveInt,
        action_dim: PositiveInt,
        action_low: Sequence[float] | None = None,
        action_high: Sequence[float] | None = None,
        units: Sequence[PositiveInt] = (256, 256),
        batch_size: PositiveInt = 256,
        replay_size: PositiveInt = 1_000_000,
        random_steps: Annotated[int, Field(ge=0)] = 100,
        updates_per_step: Annotated[float, Field(gt=0)] = 1.0,
        update_every: PositiveInt = 10,
        discount: Discount = 0.99,
        polyak: Annotated[float, Field(gt=0, le=1)] = 0.005,
        initial_temperature: Annotated[float, Field(gt=0)] = 1.0,
        target_entropy: float | None = None,
        normalize_observations: bool = False,
        normalize_rewards: bool = False,
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**{"autocast": False, **kwargs})
        check_count("batch_size", batch_size)
        check_count("replay_size", replay_size)
        check(
            batch_size <= replay_size,
            "`batch_size` must be `replay_size` at most",
            batch_size=batch_size,
            replay_size=replay_size,
        )
        check_count("random_steps", random_steps, least=0)
        check_number("updates_per_step", updates_per_step, positive=True)
        check_count("update_every", update_every)
        check_number("initial_temperature", initial_temperature, positive=True)
        check(0 < polyak <= 1, "`polyak` must be above 0 and at most 1", polyak=polyak)
        settled(self, discount, normalize_observations, normalize_rewards, seed)
        self.units = tuple(units)
        self.batch_size = int(batch_size)
        self.replay_size = int(replay_size)
        self.random_steps = int(random_steps)
        self.updates_per_step = float(updates_per_step)
        self.update_every = int(update_every)
        self.polyak = float(polyak)
        self.initial_temperature = float(initial_temperature)
        self.target_entropy = None if target_entropy is None else float(target_entropy)
        policy_seed, critic_seed = derived_seeds(self.seed, 2)
        bounds = policy_bounds(action_low, action_high)
        self.policy = ContinuousPolicy(
            state_dim, action_dim, self.units, **bounds, seed=policy_seed, dtype=self.dtype_policy, name="policy"
        )
        shape = (None, self.policy.state_dim + self.policy.action_dim)
        self.critics, self.targets = (
            Critics(2, self.units, "relu", critic_seed, trainable=trainable, dtype=self.dtype_policy, name=name)
            for name, trainable in (("critics", True), ("targets", False))
        )
        for critics in (self.critics, self.targets):
            critics.build(shape)
        self.targets.set_weights(self.critics.get_weights())
        self.log_temperature = self.add_weight(
            shape=(),
            initializer=keras.initializers.Constant(float(np.log(self.initial_temperature))),
            autocast=False,
            name="log_temperature",
        )
        # Critics see actions between -1 and 1, in which entropies are measured too.
        low, high = self.policy.action_low or -1.0, self.policy.action_high or 1.0
        self._middle, self._half = (
            np.broadcast_to(part, (self.policy.action_dim,)).astype("float32")
            for part in (np.add(high, low) / 2, np.subtract(high, low) / 2)
        )
        self._log_volume = float(np.sum(np.log(self._half)))
        wanted = -float(self.policy.action_dim) if self.target_entropy is None else self.target_entropy
        self._entropy_wanted = wanted
        self._updates_owed = 0.0
        self._start()

    def losses(self, batch: Mapping[str, Any]) -> tuple[Any, dict[str, Any]]:
        """Return the sum of the losses of critics, policy and temperature on a batch, and what is logged of them.

        Args:
            batch: `states`, `actions` (between -1 and 1), `rewards`, `next_states`, `terminated`, and standard normal
                `noise` and `next_noise`, each with the batch as its first axis.
        """
        log_temperature = ops.convert_to_tensor(self.log_temperature)
        temperature = ops.stop_gradient(ops.exp(log_temperature))
        states = self.policy.standardized(batch["states"])
        next_states = self.policy.standardized(batch["next_states"])

        next_actions, next_log_prob = self._sample(batch["next_states"], batch["next_noise"])
        next_value = self._least(self.targets(ops.concatenate([next_states, next_actions], axis=1), frozen=True))
        following = self.discount * (1.0 - batch["terminated"]) * (next_value - temperature * next_log_prob)
        wanted = ops.stop_gradient(batch["rewards"] + following)
        values = self.critics(ops.concatenate([states, batch["actions"]], axis=1))
        critic_loss = 0.5 * sum(ops.mean(ops.square(value - wanted)) for value in values)

        actions, log_prob = self._sample(batch["states"], batch["noise"])
        worth = self._least(self.critics(ops.concatenate([states, actions], axis=1), frozen=True))
        actor_loss = ops.mean(temperature * log_prob - worth)
        surplus = ops.stop_gradient(ops.mean(log_prob)) + self._entropy_wanted
        logs = {
            "critic_loss": critic_loss,
            "actor_loss": actor_loss,
            "critic_value": ops.mean(values[0]),
            "entropy": -ops.mean(log_prob),
            "temperature": temperature,
        }
        return critic_loss + actor_loss - log_temperature * surplus, logs

    def _sample(self, states: Any, noise: Any) -> tuple[Any, Any]:
        actions, log_prob = self.policy.sample_action(states, noise)
        middle, half = (ops.convert_to_tensor(part, dtype=actions.dtype) for part in (self._middle, self._half))
        return (actions - middle) / half, log_prob + self._log_volume

    @staticmethod
    def _least(values: Sequence[Any]) -> Any:
        return ops.minimum(values[0], values[1])

    def end_step(self) -> None:
        for target, weight in zip(self.targets.weights, self.critics.weights, strict=True):
            target.assign(target.value + self.polyak * (weight.value - target.value))

    def _forget(self) -> None:
        self._replay = ReplayBuffer(self.replay_size, self.policy.state_dim, self.policy.action_dim)
        self._updates_owed = 0.0

    def _explore(self, actor: NumpyActor, states: np.ndarray) -> np.ndarray:
        generator = self.experience.generator
        shape = (len(states), self.policy.action_dim)
        if self.experience.steps >= self.random_steps:
            mean, log_std = actor(states)
            return self.policy.squashed_numpy(mean + np.exp(log_std) * generator.standard_normal(shape, "float32"))
        if not self.policy.squash:
            return generator.standard_normal(shape, "float32")
        return self._middle + self._half * generator.uniform(-1, 1, shape).astype("float32")

    def _keep(self, steps: Sequence[Step], actor: NumpyActor) -> None:
        del actor
        for step in steps:
            self._replay.add(step)
        self._new_steps = len(steps) * len(self.experience.copies)

    def _batches(self) -> dict[str, np.ndarray] | None:
        if self.experience.steps <= self.random_steps:
            return None
        self._updates_owed += min(self._new_steps, self.experience.steps - self.random_steps) * self.updates_per_step
        count = int(self._updates_owed)
        if not count:
            return None
        self._updates_owed -= count
        generator = self.experience.generator
        batches = self._replay.draw(generator, count, self.batch_size)
        batches["actions"] = (batches["actions"] - self._middle) / self._half
        batches["rewards"] = self._scaled_rewards(batches["rewards"])
        for name in ("noise", "next_noise"):
            batches[name] = generator.standard_normal(batches["actions"].shape, "float32")
        return batches

    def _part(self, block: int) -> int:
        copies = len(self.experience.copies)
        return min(block, math.ceil(self.update_every / copies) * copies)

    def _learns_when(self) -> str:
        return f"after random_steps={self.random_steps}"

    def _own_state(self) -> dict[str, Any]:
        return {"replay": self._replay.training_state(), "updates_owed": self._updates_owed}

    def _restore_own_state(self, state: Mapping[str, Any]) -> None:
        self._replay.restore_training_state(state["replay"])
        self._updates_owed = state["updates_owed"]

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "batch_size": self.batch_size,
            "replay_size": self.replay_size,
            "random_steps": self.random_steps,
            "updates_per_step": self.updates_per_step,
            "update_every": self.update_every,
            "polyak": self.polyak,
            "initial_temperature": self.initial_temperature,
            "target_entropy": self.target_entropy,
        }
