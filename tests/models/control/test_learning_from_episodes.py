"""What the algorithms learn from when episodes end and when they are cut off: advantages and returns, in float64."""

from __future__ import annotations

import gymnasium
import numpy as np
from float64_networks import dense, exact, log_density, policy_weights, standardized, with_random_weights

import kplug
from kplug.models.control import environment_learner

LIMIT, DISCOUNT, SMOOTHING = 5, 0.9, 0.7
OPTIONS = {
    "state_dim": 2,
    "action_dim": 2,
    "action_low": [-2.0, 0.5],
    "action_high": [2.0, 3.5],
    "units": (4,),
    "discount": DISCOUNT,
    "seed": 0,
}


class Episodes(gymnasium.Env):
    """Episodes of which some come to an end at their third step; the others go on, until their time is over.

    A state is the number that the episode was begun with and the steps so far, and what is earned follows from it.
    """

    observation_space = gymnasium.spaces.Box(-10, 10, (2,))
    action_space = gymnasium.spaces.Box(np.float32([-2, 0.5]), np.float32([2, 3.5]))

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.begin, self.count = float(np.float32(self.np_random.uniform(-1, 1))), 0
        return self._state(), {}

    def step(self, action):
        self.count += 1
        return self._state(), earned(self.begin, self.count), comes_to_an_end(self.begin, self.count), False, {}

    def _state(self):
        return np.float32([self.begin, self.count])


def earned(begin, count):
    return float(np.cos(4 * begin + 2 * count))


def comes_to_an_end(begin, count):
    return begin > 0 and count == 3


def learned_from(monkeypatch, model):
    """Return the first batches that a model would take gradient steps on, in `Episodes`."""
    taken = []

    def recorded(batches):
        taken.append({name: np.float64(values) for name, values in batches.items()})
        return dict.fromkeys(model.logged, 0.0)

    monkeypatch.setattr(environment_learner, "compiled", lambda *arguments: recorded)
    name = "kplug-tests/Episodes-v0"
    gymnasium.register(name, entry_point=Episodes, max_episode_steps=LIMIT)
    try:
        data = kplug.datasets.gymnasium(name, copies=2, steps_per_block=60, steps_per_epoch=60)
        model.compile("sgd")
        model.fit(data.train, epochs=1, verbose=0)
    finally:
        del gymnasium.registry[name]
    return taken[0]


def by_episode(model, standardized):
    """Yield the rows of each episode in their order, the number that it was begun with, and the steps before each."""
    mean, scale = exact([model.policy.state_mean, model.policy.state_scale])
    for begin in np.unique(standardized[:, 0]):
        rows = np.flatnonzero(standardized[:, 0] == begin)
        rows = rows[np.argsort(standardized[rows, 1])]
        yield rows, begin * scale[0] + mean[0], np.rint(standardized[rows, 1] * scale[1] + mean[1]).astype(int).tolist()


def test_ppo_learns_from_advantages_that_go_on_behind_a_limit_of_time_and_not_behind_an_end(monkeypatch):
    model = kplug.PPO(
        rollout_steps=60,
        passes=2,
        batch_size=60,
        smoothing=SMOOTHING,
        normalize_observations=False,
        normalize_rewards=False,
        **OPTIONS,
    )
    with_random_weights(model)
    batches = learned_from(monkeypatch, model)
    assert batches["states"].shape == (2, 60, 2)
    critic = exact(model.critic.weights)

    def value(begin, count):
        return dense(critic, standardized(model, np.array([[begin, count]])), np.tanh)[0, 0]

    for number in range(2):
        batch = {name: values[number] for name, values in batches.items()}
        ended = []
        for rows, begin, counts in by_episode(model, batch["states"]):
            values, errors = [value(begin, count) for count in counts], []
            for count in counts:
                following = 0.0 if comes_to_an_end(begin, count + 1) else value(begin, count + 1)
                errors.append(earned(begin, count + 1) + DISCOUNT * following - value(begin, count))
            wanted = [
                sum((DISCOUNT * SMOOTHING) ** (later - now) * errors[later] for later in range(now, len(errors)))
                for now in range(len(errors))
            ]
            np.testing.assert_allclose(batch["advantages"][rows], wanted, rtol=1e-4, atol=1e-5)
            np.testing.assert_allclose(batch["returns"][rows], np.add(wanted, values), rtol=1e-4, atol=1e-5)
            ended.append(comes_to_an_end(begin, counts[-1] + 1))
        # More than the two that the rollout broke off are of either kind.
        assert min(sum(ended), len(ended) - sum(ended)) > 2
        *network, log_std = policy_weights(model.policy)
        mean = dense(network, batch["states"], np.tanh)
        np.testing.assert_allclose(
            batch["log_density"], log_density(batch["unsquashed"], mean, log_std), rtol=1e-4, atol=1e-4
        )


def test_reinforce_learns_from_the_returns_of_whole_episodes(monkeypatch):
    model = with_random_weights(kplug.Reinforce(**OPTIONS, episodes_per_update=4))
    batch = {name: values[0] for name, values in learned_from(monkeypatch, model).items()}
    steps = batch["weights"] == 1
    assert set(batch["weights"]) == {0, 1}
    states, advantages = batch["states"][steps], batch["advantages"][steps]
    returns = np.zeros(len(states))
    for rows, begin, counts in by_episode(model, states):
        # Whole episodes: to their end, or to the limit of time.
        assert counts == list(range(3 if begin > 0 else LIMIT))
        for row, count in zip(rows, counts, strict=True):
            returns[row] = sum(
                DISCOUNT ** (later - count) * earned(begin, later + 1) for later in counts if later >= count
            )
    # There is no baseline before the first update.
    np.testing.assert_allclose(advantages, (returns - returns.mean()) / returns.std(), rtol=1e-3, atol=1e-4)
