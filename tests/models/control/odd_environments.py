"""Environments whose episodes end at odd times, and small learners for them."""

from __future__ import annotations

import gymnasium
import keras
import numpy as np

import kplug

FITTING = ("state_dim", "action_dim", "action_low", "action_high")
UNEVEN, ONE_STEP = "kplug-tests/Uneven-v0", "kplug-tests/OneStep-v0"


class Uneven(gymnasium.Env):
    """Has episodes of 2, 9, 2, 9, … steps; a state is the step's number and the episode's."""

    observation_space = gymnasium.spaces.Box(-np.inf, np.inf, (2,))
    action_space = gymnasium.spaces.Box(-1.0, 1.0, (1,))

    def __init__(self, handle=False, nan_in_reset=None):
        self.episode, self.nan_in_reset = 0, nan_in_reset
        if handle:
            self.handle = object()

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.episode, self.count = self.episode + 1, 0
        return self._state() * (np.nan if self.episode == self.nan_in_reset else 1), {}

    def step(self, action):
        self.count += 1
        return self._state(), 1.0, self.count == (9 if self.episode % 2 else 2), False, {}

    def _state(self):
        return np.array([self.count, self.episode], "float32")


class OneStep(gymnasium.Env):
    """Shows a number around five, takes an action, and ends at zero."""

    observation_space = gymnasium.spaces.Box(-np.inf, np.inf, (1,))
    action_space = gymnasium.spaces.Box(-1.0, 1.0, (1,))

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        return self.np_random.normal(5.0, 2.0, 1).astype("float32"), {}

    def step(self, action):
        return np.zeros(1, "float32"), float(action[0]), True, False, {}


def registered():
    """Register the environments for a test: the body of a fixture."""
    gymnasium.register(UNEVEN, entry_point=Uneven, max_episode_steps=50)
    gymnasium.register(ONE_STEP, entry_point=OneStep, max_episode_steps=50)
    yield
    for name in (UNEVEN, ONE_STEP):
        del gymnasium.registry[name]


def learner(name, data, **arguments):
    fitting = {one: data.info[one] for one in FITTING}
    model = getattr(kplug, name)(**{**fitting, "units": (8,), "seed": 0, **arguments})
    model.compile(keras.optimizers.Adam(1e-3))
    return model


def small_ppo(data, **arguments):
    return learner("PPO", data, **{"rollout_steps": 40, "batch_size": 20, "passes": 1, **arguments})


def uneven(**arguments):
    return kplug.datasets.gymnasium(UNEVEN, **{"steps_per_block": 20, "steps_per_epoch": 120, **arguments})
