"""What actions were worth, from the rewards that followed: discounted returns, advantages, a linear baseline."""

from __future__ import annotations

import numpy as np

_RIDGE = 1e-5
_MOST = 10.0
_LONG_EPISODE = 100.0


def returns_to_go(rewards: np.ndarray, discount: float) -> np.ndarray:
    """Return the discounted sum of the rewards from each step of an episode on: `R_t = r_t + discount * R_(t+1)`.

    Args:
        rewards: Rewards of one episode, of shape `(steps,)`.
        discount: Discount factor.
    """
    returns = np.zeros(len(rewards))
    following = 0.0
    for step in range(len(rewards) - 1, -1, -1):
        following = rewards[step] + discount * following
        returns[step] = following
    return returns


def generalized_advantages(
    rewards: np.ndarray,
    values: np.ndarray,
    next_values: np.ndarray,
    terminated: np.ndarray,
    done: np.ndarray,
    discount: float,
    smoothing: float,
) -> np.ndarray:
    """Return generalised advantage estimates (Schulman et al. 2015, equation 16).

    `A_t = d_t + discount * smoothing * A_(t+1)` with `d_t = r_t + discount * V(s_(t+1)) - V(s_t)`. After an end V is
    zero; where an episode was only cut off, it is the value of the state that it was cut off at.

    Args:
        rewards: Rewards of shape `(steps, copies)`.
        values: Values of the states that the steps began in, of the same shape.
        next_values: Values of the states that they led to.
        terminated: Whether the episode came to an end there.
        done: Whether it ended there, or was cut off.
        discount: Discount factor.
        smoothing: Lambda: 0 trusts the values, 1 the rewards.
    """
    differences = rewards + discount * next_values * (1.0 - terminated) - values
    advantages = np.zeros_like(differences)
    following = np.zeros(differences.shape[1:])
    for step in range(len(differences) - 1, -1, -1):
        following = differences[step] + discount * smoothing * following * (1.0 - done[step])
        advantages[step] = following
    return advantages


def baseline_features(states: np.ndarray) -> np.ndarray:
    """Return what the linear baseline sees of an episode (Duan et al. 2016): states, their squares, time to the third.

    Args:
        states: Standardised states of one episode, of shape `(steps, state_dim)`.

    Returns:
        An array of shape `(steps, 2 * state_dim + 4)`, float64.
    """
    states = np.clip(states.astype("float64"), -_MOST, _MOST)
    time = np.arange(len(states))[:, np.newaxis] / _LONG_EPISODE
    return np.concatenate([states, states**2, time, time**2, time**3, np.ones_like(time)], axis=1)


def fitted_baseline(features: np.ndarray, returns: np.ndarray) -> np.ndarray:
    """Return the weights of the ridge regression of returns on features, of shape `(features,)`.

    Args:
        features: Of shape `(steps, features)`.
        returns: Returns to go, of shape `(steps,)`.
    """
    regularised = features.T @ features + _RIDGE * len(features) * np.eye(features.shape[1])
    return np.linalg.solve(regularised, features.T @ returns)
