"""REINFORCE with a baseline."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import keras
import numpy as np
from keras import ops
from pydantic import Field

from kplug.catalog.facts import component
from kplug.errors import DataError
from kplug.layers.seeded import derived_seeds
from kplug.losses.likelihoods import gaussian_log_likelihood
from kplug.models.control.advantages import baseline_features, fitted_baseline, returns_to_go
from kplug.models.control.learner_checks import Discount, PositiveInt, policy_bounds, settled
from kplug.models.control.on_policy import OnPolicyLearner
from kplug.models.control.policy import ContinuousPolicy
from kplug.models.vae_checks import check_count, check_number

_WILLIAMS = (
    "Williams (1992), Simple Statistical Gradient-Following Algorithms for Connectionist Reinforcement Learning, "
    "https://doi.org/10.1007/BF00992696"
)
_DUAN = (
    "Duan et al. (2016), Benchmarking Deep Reinforcement Learning for Continuous Control, "
    "https://arxiv.org/abs/1604.06778"
)
_MOST_EPISODE_STEPS = 100_000
"""How long a copy's episode may be on average; one without an end would fill the memory."""

_ROWS = 256
"""Steps are padded to a multiple of this, so that not every number of them is compiled anew."""


@component(tasks=["continuous-control"], own_loss=True, optimizer="adam", references=[_WILLIAMS, _DUAN])
@keras.saving.register_keras_serializable(package="kplug")
class Reinforce(OnPolicyLearner, keras.Model):
    """REINFORCE with a baseline: the plain policy gradient, from whole episodes.

    After every `episodes_per_update` episodes it takes one gradient step on `-mean(A_t log pi(a_t | s_t))`, with A the
    discounted rewards from the step on, less a baseline (Williams 1992). The baseline is linear in the states, their
    squares and time (Duan et al. 2016), fitted in closed form to the episodes before. An episode that is cut off by a
    limit of time counts as one that has ended.

    The simplest algorithm that works, for small tasks and to compare with; `kplug.PPO` and `kplug.SoftActorCritic` need
    far fewer steps.

    The logs have `policy_loss`, `entropy` (of actions, scaled to -1 to 1 where they have bounds, in nats),
    `baseline_error` (the share of the returns' variance that the baseline leaves), `environment_steps`, and `return`:
    the mean over the last 20 training episodes.

    Args:
        state_dim: Numbers in a state.
        action_dim: Numbers in an action.
        action_low: Lower bounds of actions; `None` for actions without bounds.
        action_high: Upper bounds of actions.
        units: Units of the policy's hidden layers; `()` for a linear policy.
        episodes_per_update: Episodes for each gradient step, as many of each copy: it is rounded up to a multiple of
            the copies.
        discount: Discount factor.
        entropy_weight: Weight of the entropy, which is added to the rewards' part.
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
        DataError: If an environment's episodes do not end.

    References:
        - Williams (1992), Simple Statistical Gradient-Following Algorithms for Connectionist Reinforcement Learning,
          https://doi.org/10.1007/BF00992696
        - Duan et al. (2016), Benchmarking Deep Reinforcement Learning for Continuous Control,
          https://arxiv.org/abs/1604.06778

    Example:

    ```python
    data = kplug.datasets.pendulum(copies=10)
    model = kplug.Reinforce(3, 1, action_low=[-2.0], action_high=[2.0])
    model.compile(keras.optimizers.Adam(3e-3))
    model.fit(data.train, epochs=100, validation_data=data.validation)
    ```
    """

    logged = ("policy_loss", "entropy", "baseline_error")

    def __init__(
        self,
        state_dim: PositiveInt,
        action_dim: PositiveInt,
        action_low: Sequence[float] | None = None,
        action_high: Sequence[float] | None = None,
        units: Sequence[PositiveInt] = (64, 64),
        episodes_per_update: PositiveInt = 10,
        discount: Discount = 0.99,
        entropy_weight: Annotated[float, Field(ge=0)] = 0.0,
        initial_log_std: float = 0.0,
        normalize_observations: bool = False,
        normalize_rewards: bool = False,
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**{"autocast": False, **kwargs})
        check_count("episodes_per_update", episodes_per_update)
        check_number("entropy_weight", entropy_weight)
        settled(self, discount, normalize_observations, normalize_rewards, seed)
        self.units = tuple(units)
        self.episodes_per_update = int(episodes_per_update)
        self.entropy_weight = float(entropy_weight)
        self.policy = ContinuousPolicy(
            state_dim,
            action_dim,
            self.units,
            "tanh",
            **policy_bounds(action_low, action_high),
            state_dependent_std=False,
            initial_log_std=initial_log_std,
            seed=derived_seeds(self.seed, 1)[0],
            dtype=self.dtype_policy,
            name="policy",
        )
        self.baseline = self.add_weight(
            shape=(2 * self.policy.state_dim + 4,),
            initializer="zeros",
            trainable=False,
            autocast=False,
            name="baseline",
        )
        self._start()

    def losses(self, batch: Mapping[str, Any]) -> tuple[Any, dict[str, Any]]:
        """Return the policy gradient's loss on a batch, and what is logged of it.

        Args:
            batch: `states` (standardised), `unsquashed` actions, `advantages`, and `weights`: one for a step, zero for
                padding; standard normal `noise` in the actions' shape; and the `baseline_error`. Each has the steps as
                its first axis.
        """
        mean, log_std = self.policy.of_standardized(batch["states"])
        weights = batch["weights"] / ops.sum(batch["weights"])
        log_density = gaussian_log_likelihood(batch["unsquashed"], mean, log_scale=log_std)
        policy_loss = -ops.sum(weights * batch["advantages"] * log_density)
        entropy = ops.sum(weights * self._entropy(log_std, mean + ops.exp(log_std) * batch["noise"]))
        error = ops.sum(weights * batch["baseline_error"])
        logs = {"policy_loss": policy_loss, "entropy": entropy, "baseline_error": error}
        return policy_loss - self.entropy_weight * entropy, logs

    def _batches(self) -> dict[str, np.ndarray] | None:
        each = math.ceil(self.episodes_per_update / len(self.experience.copies))
        if self._rollout.finished_episodes() < each:
            if len(self._rollout) > each * _MOST_EPISODE_STEPS:
                raise DataError(
                    f"Reinforce learns from whole episodes, and environment {self._source.recipe.id} has not ended "
                    f"{each} in {len(self._rollout)} steps of a copy. Give its episodes a limit: max_episode_steps=1000"
                )
            return None
        episodes = self._rollout.take_episodes(each)
        # The episodes under way began with a policy that will be no more.
        self.experience.begin_anew()
        features = np.concatenate([baseline_features(one["states"]) for one in episodes])
        returns = np.concatenate(
            [returns_to_go(self._scaled_rewards(one["rewards"]), self.discount) for one in episodes]
        )
        # Fitted to the episodes before: a baseline that has seen an action's own outcome would hide it.
        advantages = returns - features @ ops.convert_to_numpy(self.baseline)
        self.baseline.assign(fitted_baseline(features, returns).astype("float32"))
        error = advantages.var() / max(returns.var(), 1e-8)
        advantages = (advantages - advantages.mean()) / (advantages.std() + 1e-8)
        batch = {
            "states": np.concatenate([one["states"] for one in episodes]),
            "unsquashed": np.concatenate([one["unsquashed"] for one in episodes]),
            "advantages": advantages,
            "weights": np.ones(len(returns)),
            "noise": self.experience.generator.standard_normal((len(returns), self.policy.action_dim), "float32"),
            "baseline_error": np.full(len(returns), error),
        }
        padding = -len(returns) % _ROWS
        return {
            name: np.pad(values, ((0, padding), *((0, 0),) * (values.ndim - 1)))[np.newaxis].astype("float32")
            for name, values in batch.items()
        }

    def _learns_when(self) -> str:
        return f"after every episodes_per_update={self.episodes_per_update} whole episodes"

    def _close_gap(self) -> None:
        super()._close_gap()
        self._rollout.clear()
        self.experience.begin_anew()

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "episodes_per_update": self.episodes_per_update,
            "entropy_weight": self.entropy_weight,
            "initial_log_std": self.policy.initial_log_std,
        }
