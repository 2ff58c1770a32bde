"""A small dense network in NumPy: to act takes microseconds where a compiled Keras call takes hundreds."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, get_args

import numpy as np

Activation = Literal["relu", "tanh"]
ACTIVATIONS: tuple[str, ...] = get_args(Activation)


class NumpyActor:
    """A policy's networks as they were at one moment.

    Args:
        state_mean: What is subtracted from states, of shape `(state_dim,)`.
        state_scale: What they are divided by, of the same shape.
        state_limit: What standardised states are cut down to.
        hidden: Kernel and bias of each hidden layer.
        activation: Activation of the hidden layers.
        heads: Kernel and bias of the means, and of the log standard deviations; in place of the latter an array of
            shape `(action_dim,)` where they are the same in all states.
        log_std_bounds: Least and greatest log standard deviation.
    """

    def __init__(
        self,
        state_mean: np.ndarray,
        state_scale: np.ndarray,
        state_limit: float,
        hidden: Sequence[tuple[np.ndarray, np.ndarray]],
        activation: Activation,
        heads: tuple[tuple[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray] | np.ndarray],
        log_std_bounds: tuple[float, float],
    ) -> None:
        self._mean, self._scale, self._limit = state_mean, state_scale, state_limit
        self._hidden = hidden
        self._activation = activation
        self._mean_head, self._log_std_head = heads
        self._bounds = log_std_bounds

    def standardized(self, states: np.ndarray) -> np.ndarray:
        """Return states as the networks see them."""
        return ((states - self._mean) / self._scale).clip(-self._limit, self._limit)

    def __call__(self, states: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return means and log standard deviations before squashing, each of shape `(batch_size, action_dim)`.

        Args:
            states: States of shape `(batch_size, state_dim)`.
        """
        features = self.standardized(states)
        for kernel, bias in self._hidden:
            features = features @ kernel
            features += bias
            if self._activation == "relu":
                np.maximum(features, 0, out=features)
            else:
                np.tanh(features, out=features)
        mean = features @ self._mean_head[0] + self._mean_head[1]
        if isinstance(self._log_std_head, tuple):
            log_std = features @ self._log_std_head[0] + self._log_std_head[1]
        else:
            log_std = np.broadcast_to(self._log_std_head, mean.shape)
        return mean, log_std.clip(*self._bounds)
