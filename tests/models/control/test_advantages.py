"""Returns, advantages and the baseline, against slow loops in float64."""

from __future__ import annotations

import numpy as np
import pytest

from kplug.models.control.advantages import (
    baseline_features,
    fitted_baseline,
    generalized_advantages,
    returns_to_go,
)
from kplug.models.control.running_statistics import RunningStatistics

pytestmark = pytest.mark.neutral
RNG = np.random.default_rng(0)


def test_returns_to_go_are_the_discounted_sums_of_what_follows():
    rewards = RNG.normal(size=9)
    slow = [sum(0.9 ** (later - now) * rewards[later] for later in range(now, 9)) for now in range(9)]
    np.testing.assert_allclose(returns_to_go(rewards, 0.9), slow)


def test_advantages_are_the_weighted_sums_of_the_differences_up_to_an_episodes_end():
    shape, discount, smoothing = (12, 2), 0.9, 0.7
    rewards, values, next_values = RNG.normal(size=(3, *shape))
    terminated, truncated = np.zeros(shape), np.zeros(shape)
    terminated[4, 0] = truncated[7, 1] = truncated[9, 0] = 1
    done = terminated + truncated
    slow = np.zeros(shape)
    for copy in range(2):
        for now in range(12):
            weight = 1.0
            for later in range(now, 12):
                value_after = 0.0 if terminated[later, copy] else next_values[later, copy]
                slow[now, copy] += weight * (rewards[later, copy] + discount * value_after - values[later, copy])
                if done[later, copy]:
                    break
                weight *= discount * smoothing
    found = generalized_advantages(rewards, values, next_values, terminated, done, discount, smoothing)
    np.testing.assert_allclose(found, slow)


def test_the_baseline_finds_returns_that_are_quadratic_in_the_state():
    states = RNG.normal(size=(200, 2))
    returns = 3 + states[:, 0] - 2 * states[:, 1] ** 2
    features = baseline_features(states)
    assert features.shape == (200, 8)
    np.testing.assert_allclose(features @ fitted_baseline(features, returns), returns, atol=0.01)


def test_running_statistics_are_those_of_all_values():
    values = RNG.normal(3, 5, size=(100, 2))
    statistics = RunningStatistics(np.zeros(2), np.ones(2))
    for part in np.split(values, [7, 8, 60]):
        statistics.update(part)
    np.testing.assert_allclose(statistics.mean, values.mean(axis=0))
    np.testing.assert_allclose(statistics.variance, values.var(axis=0))
