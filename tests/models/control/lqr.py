"""A linear-quadratic problem, whose best policy is known: `x' = A x + B u`, costs `x'Qx + u'Ru`."""

from __future__ import annotations

import gymnasium
import numpy as np
from scipy.linalg import solve_discrete_are

A = np.array([[0.9, 0.3], [-0.3, 0.9]])
B = np.eye(2)
Q = np.eye(2)
R = np.diag([1.0, 0.5])
DISCOUNT = 0.9
NAME = "kplug-tests/LinearQuadratic-v0"


class LinearQuadratic(gymnasium.Env):
    """A point that turns around zero and is to be pushed there; cut off after 20 steps."""

    observation_space = gymnasium.spaces.Box(-np.inf, np.inf, (2,))
    action_space = gymnasium.spaces.Box(-np.inf, np.inf, (2,))

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.x = self.np_random.uniform(-1, 1, 2)
        return self.x.astype("float32"), {}

    def step(self, action):
        cost = self.x @ Q @ self.x + action @ R @ action
        self.x = A @ self.x + B @ action
        return self.x.astype("float32"), -float(cost), False, False, {}


def register() -> None:
    if NAME not in gymnasium.registry:
        gymnasium.register(NAME, entry_point=LinearQuadratic, max_episode_steps=20)


def best_gain() -> np.ndarray:
    """Return K of the best policy `u = -K x`: the discounted Riccati equation, by scaling A and B."""
    a, b = DISCOUNT**0.5 * A, DISCOUNT**0.5 * B
    p = solve_discrete_are(a, b, Q, R)
    return np.linalg.solve(R + b.T @ p @ b, b.T @ p @ a)
