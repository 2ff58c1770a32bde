"""What can be done with a policy outside of training: acting on NumPy states, and a plain Keras model of it."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from keras import ops

from kplug.models.control.numpy_network import NumpyActor
from kplug.models.control.policy_checks import check_states


class PolicyUse:
    """Using a `kplug.ContinuousPolicy` where there is no training."""

    def act(self: Any, state: Any, deterministic: bool = True) -> np.ndarray:
        """Return actions for states, on NumPy.

        For many single states in a row, `act = policy.numpy_actor()` and `act(states)` are faster still.

        Args:
            state: One state of shape `(state_dim,)`, or several, `(n, state_dim)`.
            deterministic: Whether to take the middle of the distribution rather than a draw.

        Returns:
            An array of shape `(action_dim,)`, or `(n, action_dim)`, float32, within the bounds.

        Raises:
            ValueError: If the states are of another shape, or not finite.
        """
        try:
            states = np.asarray(state, dtype="float32")
        except (TypeError, ValueError) as error:
            raise ValueError(
                f"`act` takes arrays. Received: {state!r}. Observations of several parts are laid out as one vector by "
                "gymnasium.spaces.flatten(environment.observation_space, observation)."
            ) from error
        if states.ndim not in {1, 2} or states.shape[-1] != self.state_dim:
            raise ValueError(
                f"`act` takes one state of shape ({self.state_dim},) or several, (n, {self.state_dim}). "
                f"Received: an array of shape {states.shape}"
            )
        check_states(states)
        mean, log_std = self.numpy_actor()(states.reshape(-1, self.state_dim))
        if not deterministic:
            noise = keras.random.normal(mean.shape, dtype="float32", seed=self.seed_generator)
            mean = mean + np.exp(log_std) * ops.convert_to_numpy(noise)
        actions = self.squashed_numpy(mean).astype("float32")
        return actions[0] if states.ndim == 1 else actions

    def squashed_numpy(self: Any, unsquashed: np.ndarray) -> np.ndarray:
        """Return the actions of values before squashing, as arrays."""
        if not self.squash:
            return unsquashed
        low, high = self._low, self._high
        return np.clip(0.5 * (high + low) + 0.5 * (high - low) * np.tanh(unsquashed), low, high)

    def numpy_actor(self: Any) -> NumpyActor:
        """Return the networks as they are now, in NumPy: states to mean and log standard deviation before squashing."""

        def weights(layer: keras.layers.Dense) -> tuple[np.ndarray, np.ndarray]:
            return _array(layer.kernel), _array(layer.bias)

        head = _array(self.log_std) if self.log_std_head is None else weights(self.log_std_head)
        return NumpyActor(
            _array(self.state_mean),
            _array(self.state_scale),
            float(_array(self.state_limit)),
            [weights(layer) for layer in self.hidden],
            self.activation,
            (weights(self.mean_head), head),
            self.log_std_bounds,
        )

    def as_keras_model(self: Any) -> keras.Model:
        """Return the deterministic policy as a model of Keras' own layers, which loads where there is no kplug.

        It has weights of its own: copies of these. Saved, it can be exported as any Keras model can
        (`model.export("policy", format="onnx")`).

        Returns:
            A model from states of shape `(batch_size, state_dim)` to actions of shape `(batch_size, action_dim)`.
        """
        precise = {"dtype": "float32"}
        states = keras.Input((self.state_dim,), name="states", **precise)
        features, filled = self._standardizing_layers(states), []
        for layer in (*self.hidden, self.mean_head):
            dense = keras.layers.Dense(layer.units, layer.activation, name=layer.name, **precise)
            features = dense(features)
            filled.append((dense, [_array(layer.kernel), _array(layer.bias)]))
        if self.squash:
            features = keras.layers.Activation("tanh", name="squash", **precise)(features)
            stretch = keras.layers.Dense(self.action_dim, name="stretch", **precise)
            features = stretch(features)
            filled.append((stretch, [np.diag(0.5 * (self._high - self._low)), 0.5 * (self._high + self._low)]))
        for dense, values in filled:
            dense.set_weights(values)
        return keras.Model(states, features, name="deterministic_policy")

    def _standardizing_layers(self: Any, states: Any) -> Any:
        """Return states as the networks see them, by layers of Keras' own; none where nothing is standardised."""
        mean, scale, limit = (_array(part) for part in (self.state_mean, self.state_scale, self.state_limit))
        features = states
        if mean.any() or (scale != 1).any():
            variance = scale.astype("float64") ** 2
            features = keras.layers.Normalization(mean=mean, variance=variance, dtype="float32")(features)
        if not np.isfinite(limit):
            return features
        features = keras.layers.Rescaling(1.0 / float(limit), dtype="float32")(features)
        features = keras.layers.Activation("hard_tanh", name="limit", dtype="float32")(features)
        return keras.layers.Rescaling(float(limit), dtype="float32")(features)


def _array(variable: Any) -> np.ndarray:
    return np.array(ops.convert_to_numpy(variable))
