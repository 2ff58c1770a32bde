"""A Gaussian policy over continuous, bounded actions."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Annotated, Any

import keras
import numpy as np
from keras import ops
from pydantic import Field

from kplug.layers.seeded import derived_seeds
from kplug.losses.likelihoods import gaussian_log_likelihood
from kplug.models.control.numpy_network import ACTIVATIONS, Activation
from kplug.models.control.policy_checks import check_states, checked_actions, checked_bounds, checked_rewards
from kplug.models.control.policy_use import PolicyUse
from kplug.models.control.squashed_gaussian import (
    gaussian_entropy,
    squash,
    squashed_log_density,
    standard_normal_log_density,
    unsquash,
)
from kplug.models.own_loss import BatchMean, OwnLoss
from kplug.models.vae_checks import check, check_choice, check_count, check_layer_sizes

PositiveInt = Annotated[int, Field(gt=0)]

_MARGIN = 1e-3
"""The share of the range that logged actions count as away from a bound."""


@keras.saving.register_keras_serializable(package="kplug")
class ContinuousPolicy(PolicyUse, OwnLoss, keras.Model):
    """Stochastic policy for continuous actions: a Gaussian given the state, squashed into the actions' bounds.

    With `u ~ N(mean(s), diag(exp(2 log_std(s))))` the action is `low + (high - low) (1 + tanh(u)) / 2` (Haarnoja et al.
    2018, appendix C). Its log-probability has the exact correction for the squashing, in a form that is right and has
    finite gradients however large u is. (Many tutorials clip actions instead, and score the unclipped ones; or add 1e-6
    inside the logarithm, which is wrong from |u| = 6 on.) With `squash=False` actions are u itself, without bounds.

    The algorithms that train it in environments are `kplug.SoftActorCritic`, `kplug.PPO` and `kplug.Reinforce`. By
    itself it learns from logged data: `fit(states, actions, sample_weight=advantages)` minimises
    `policy_gradient_loss`; without weights that is imitation.

    Args:
        state_dim: Numbers in a state.
        action_dim: Numbers in an action.
        units: Units of the dense hidden layers.
        activation: Activation of the hidden layers, `"relu"` or `"tanh"`.
        action_low: Lower bounds, one for each number in an action; -1 by default. (In `kplug.SoftActorCritic`,
            `kplug.PPO` and `kplug.Reinforce` none means that actions have no bounds.)
        action_high: Upper bounds; 1 by default.
        squash: Whether actions have bounds.
        state_dependent_std: Whether the standard deviation is a function of the state, or the same in all states.
        initial_log_std: Log standard deviation before training, of u.
        log_std_bounds: Least and greatest log standard deviation.
        seed: Whole number that makes the initial weights and the draws repeat, or `None`.
        **kwargs: Keras' own model arguments (`name`, `dtype`, …).

    Call arguments:
        inputs: States of shape `(batch_size, state_dim)`.

    Returns:
        When called: a pair of mean and log standard deviation of u, each of shape `(batch_size, action_dim)`, in
        float32 or better.

    Raises:
        ValueError: If a parameter is out of range.

    References:
        - Haarnoja et al. (2018), Soft Actor-Critic, https://arxiv.org/abs/1801.01290
        - Williams (1992), Simple Statistical Gradient-Following Algorithms for Connectionist Reinforcement Learning,
          https://doi.org/10.1007/BF00992696

    Example:

    ```python
    policy = kplug.ContinuousPolicy(state_dim=3, action_dim=1, action_low=[-2.0], action_high=[2.0])
    action, log_prob = policy.sample_action(states)  # tensors of shape (batch_size, 1) and (batch_size,)
    action = policy.act(state, deterministic=True)  # NumPy

    policy.compile("adam")
    policy.fit(states, actions, sample_weight=advantages)  # logged data
    ```
    """

    def __init__(
        self,
        state_dim: PositiveInt,
        action_dim: PositiveInt,
        units: Sequence[PositiveInt] = (256, 256),
        activation: Activation = "relu",
        action_low: Sequence[float] | None = None,
        action_high: Sequence[float] | None = None,
        squash: bool = True,
        state_dependent_std: bool = True,
        initial_log_std: float = 0.0,
        log_std_bounds: tuple[float, float] = (-20.0, 2.0),
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        # States in any unit may be too large for half precision; the layers cast what they work on.
        super().__init__(**{"autocast": False, **kwargs})
        check_count("state_dim", state_dim)
        check_count("action_dim", action_dim)
        check_layer_sizes("units", units)
        check_choice("activation", activation, ACTIVATIONS)
        least, greatest = log_std_bounds
        check(
            -math.inf < least < greatest < math.inf and least <= initial_log_std <= greatest,
            "`log_std_bounds` must be two finite numbers, the smaller one first, with `initial_log_std` between them",
            log_std_bounds=log_std_bounds,
            initial_log_std=initial_log_std,
        )
        self.state_dim = int(state_dim)
        self.action_dim = int(action_dim)
        self.units = tuple(map(int, units))
        self.activation = activation
        self.squash = bool(squash)
        low, high = checked_bounds(self.action_dim, action_low, action_high, self.squash)
        self.action_low = None if low is None else tuple(low.tolist())
        self.action_high = None if high is None else tuple(high.tolist())
        self.state_dependent_std = bool(state_dependent_std)
        self.initial_log_std = float(initial_log_std)
        self.log_std_bounds = (float(least), float(greatest))
        self.seed = None if seed is None else int(seed)
        self.precise_dtype = "float64" if self.compute_dtype == "float64" else "float32"
        self._low, self._high = low, high
        self._make_layers()
        self._mean = BatchMean(dtype=self.precise_dtype)
        self.build((None, self.state_dim))

    def _make_layers(self) -> None:
        *hidden, head, draws = derived_seeds(self.seed, len(self.units) + 3)
        policy = self.dtype_policy
        self.hidden = [
            keras.layers.Dense(
                count,
                self.activation,
                kernel_initializer=keras.initializers.GlorotUniform(seed),
                dtype=policy,
                name=f"hidden_{number}",
            )
            for number, (count, seed) in enumerate(zip(self.units, hidden[: len(self.units)], strict=True))
        ]

        def linear(name: str, seed: int | None) -> keras.layers.Dense:
            # Small: a policy that begins in the middle of the bounds explores on both sides.
            initializer = keras.initializers.VarianceScaling(1e-4, "fan_avg", "uniform", seed)
            return keras.layers.Dense(self.action_dim, kernel_initializer=initializer, dtype=policy, name=name)

        self.mean_head = linear("mean", hidden[-1])
        self.log_std_head = linear("log_std", head) if self.state_dependent_std else None
        self.seed_generator = keras.random.SeedGenerator(draws)

    def build(self, input_shape: Any) -> None:
        if len(input_shape) != 2 or input_shape[-1] != self.state_dim:
            raise ValueError(
                f"The policy needs states of shape (batch_size, {self.state_dim}). "
                f"Received: input_shape={tuple(input_shape)}"
            )
        if getattr(self, "built", False):
            return
        width = self.state_dim
        for layer, count in zip(self.hidden, self.units, strict=True):
            layer.build((None, width))
            width = count
        self.mean_head.build((None, width))
        constant = keras.initializers.Constant(self.initial_log_std)
        if self.log_std_head is not None:
            self.log_std_head.build((None, width))
            self.log_std_head.bias.assign(ops.full((self.action_dim,), self.initial_log_std))
        else:
            self.log_std = self.add_weight(
                shape=(self.action_dim,), initializer=constant, autocast=False, name="log_std"
            )
        frozen = {"shape": (self.state_dim,), "trainable": False, "autocast": False}
        self.state_mean = self.add_weight(**frozen, initializer="zeros", name="state_mean")
        self.state_scale = self.add_weight(**frozen, initializer="ones", name="state_scale")
        unlimited = keras.initializers.Constant(math.inf)
        self.state_limit = self.add_weight(
            shape=(), trainable=False, autocast=False, initializer=unlimited, name="state_limit"
        )
        self.built = True

    def standardized(self, states: Any) -> Any:
        """Return states as the networks see them: less `state_mean`, over `state_scale`, `state_limit` at most."""
        states = ops.cast(states, self.precise_dtype)
        mean, scale, limit = (
            ops.cast(ops.convert_to_tensor(part), self.precise_dtype)
            for part in (self.state_mean, self.state_scale, self.state_limit)
        )
        return ops.minimum(ops.maximum((states - mean) / scale, -limit), limit)

    def call(self, inputs: Any) -> tuple[Any, Any]:
        return self.of_standardized(self.standardized(inputs))

    def of_standardized(self, features: Any) -> tuple[Any, Any]:
        """Return what a call returns, for states that are standardised already."""
        for layer in self.hidden:
            features = layer(features)
        mean = ops.cast(self.mean_head(features), self.precise_dtype)
        if self.log_std_head is not None:
            log_std = ops.cast(self.log_std_head(features), self.precise_dtype)
        else:
            log_std = ops.cast(ops.convert_to_tensor(self.log_std), self.precise_dtype) + ops.zeros_like(mean)
        return mean, ops.clip(log_std, *self.log_std_bounds)

    def sample_action(self, states: Any, noise: Any = None) -> tuple[Any, Any]:
        """Draw actions, reparameterised: gradients flow through them into the policy.

        Args:
            states: States of shape `(batch_size, state_dim)`.
            noise: Standard normal numbers of shape `(batch_size, action_dim)`, or `None` to draw them.

        Returns:
            Actions of shape `(batch_size, action_dim)`, and their log-probabilities of shape `(batch_size,)`.
        """
        mean, log_std = self(states)
        if noise is None:
            noise = keras.random.normal(ops.shape(mean), dtype=mean.dtype, seed=self.seed_generator)
        unsquashed = mean + ops.exp(log_std) * noise
        # From the noise itself: `(u - mean) / std` would lose digits where the deviation is small.
        return self.squashed(unsquashed), self._squashing(unsquashed, standard_normal_log_density(noise, log_std))

    def log_prob(self, states: Any, actions: Any) -> Any:
        """Return the log-probabilities of actions, in nats, of shape `(batch_size,)`.

        An action on a bound, which a float cannot tell from one very near to it, counts as the nearest one inside.

        Args:
            states: States of shape `(batch_size, state_dim)`.
            actions: Actions of shape `(batch_size, action_dim)`, in their own unit; of one number each also
                `(batch_size,)`.

        Raises:
            ValueError: If they are of another shape, or (where they are arrays) beyond the bounds.
        """
        unsquashed = self._unsquashed(actions)
        return self.log_prob_unsquashed(states, unsquashed)

    def log_prob_unsquashed(self, states: Any, unsquashed: Any) -> Any:
        """Return the log-probabilities of the actions `squashed(unsquashed)`: exact for any size of `unsquashed`.

        Args:
            states: States of shape `(batch_size, state_dim)`.
            unsquashed: Values before squashing, of shape `(batch_size, action_dim)`.
        """
        mean, log_std = self(states)
        return self._log_density(ops.cast(unsquashed, self.precise_dtype), mean, log_std)

    def squashed(self, unsquashed: Any) -> Any:
        """Return the actions of values before squashing."""
        return squash(unsquashed, *self._bounds()) if self.squash else unsquashed

    def entropy(self, states: Any) -> Any:
        """Return the entropy of the Gaussian before squashing, in nats, of shape `(batch_size,)`.

        That of the squashed distribution has no closed form; the mean of `-log_prob` over draws estimates it.
        """
        return gaussian_entropy(self(states)[1])

    def distribution(self, states: Any) -> Any:
        """Return the distribution of actions as TensorFlow Probability has it.

        Args:
            states: States of shape `(batch_size, state_dim)`.

        Raises:
            ParameterError: If this backend has no TensorFlow Probability.
        """
        from kplug.losses.tfp_distributions import squashed_gaussian

        mean, log_std = self(states)
        return squashed_gaussian(mean, ops.exp(log_std), self._bounds() if self.squash else None)

    def policy_gradient_loss(self, states: Any, actions: Any, rewards: Any) -> Any:
        """Return `-mean(rewards * log_prob(states, actions))`, whose gradient is the policy gradient's estimate.

        It is exact for actions that this policy drew; for logged data of another one it is weighted imitation. Less
        noise, and still no bias, comes of rewards less a baseline.

        Args:
            states: States of shape `(batch_size, state_dim)`.
            actions: The actions taken, of shape `(batch_size, action_dim)`.
            rewards: What they earned (returns, advantages), of shape `(batch_size,)`.

        Raises:
            ValueError: If actions or rewards are of another shape, or actions (where they are arrays) are beyond the
                bounds.
        """
        log_prob = self.log_prob(states, actions)
        return -ops.mean(checked_rewards(rewards, log_prob) * log_prob)

    def fit(self, x: Any = None, y: Any = None, *args: Any, **kwargs: Any) -> Any:
        """Learn from logged data as `keras.Model.fit` does: states, the actions taken there, and weights.

        Actions nearer to a bound than a thousandth of the range count as so far from it: logs are full of actions that
        were cut off there, and a density of theirs has no end.

        Raises:
            ValueError: If the actions are of another shape, or (where they are arrays) states are not finite or actions
                beyond the bounds.
        """
        check_states(x)
        if isinstance(y, np.ndarray):
            y = checked_actions(y, self.action_dim, self._low, self._high)
        return super().fit(x, y, *args, **kwargs)

    def compute_loss(
        self, x: Any = None, y: Any = None, y_pred: Any = None, sample_weight: Any = None, training: bool = True
    ) -> Any:
        del x, training
        mean, log_std = y_pred
        unsquashed = self._unsquashed(y, _MARGIN)
        if sample_weight is not None:
            sample_weight = ops.reshape(ops.cast(sample_weight, self.precise_dtype), (-1,))
        return self._mean.of(-self._log_density(unsquashed, mean, log_std), sample_weight)

    def _unsquashed(self, actions: Any, margin: float = 0.0) -> Any:
        """Return the values before squashing of actions, which are checked."""
        actions = ops.cast(checked_actions(actions, self.action_dim, self._low, self._high), self.precise_dtype)
        return unsquash(actions, *self._bounds(), margin) if self.squash else actions

    def _bounds(self) -> tuple[Any, Any]:
        return tuple(ops.convert_to_tensor(bound, dtype=self.precise_dtype) for bound in (self._low, self._high))

    def _log_density(self, unsquashed: Any, mean: Any, log_std: Any) -> Any:
        return self._squashing(unsquashed, gaussian_log_likelihood(unsquashed, mean, log_scale=log_std))

    def _squashing(self, unsquashed: Any, log_density: Any) -> Any:
        return squashed_log_density(unsquashed, log_density, *self._bounds()) if self.squash else log_density

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "state_dim": self.state_dim,
            "action_dim": self.action_dim,
            "units": list(self.units),
            "activation": self.activation,
            "action_low": None if self.action_low is None else list(self.action_low),
            "action_high": None if self.action_high is None else list(self.action_high),
            "squash": self.squash,
            "state_dependent_std": self.state_dependent_std,
            "initial_log_std": self.initial_log_std,
            "log_std_bounds": list(self.log_std_bounds),
            "seed": self.seed,
        }
