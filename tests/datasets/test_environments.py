"""Environments as data sets: splits, info record, copies stepped together, and what is refused."""

from __future__ import annotations

import sys

import gymnasium
import numpy as np
import pytest

import kplug
from kplug.datasets.environment_recipe import EnvironmentRecipe
from kplug.datasets.environment_steps import EvaluationEpisodes
from kplug.errors import DataError
from kplug.testing import check_dataset

pytestmark = pytest.mark.neutral


class Counter(gymnasium.Env):
    """Counts to three and ends; the reward is the action; what is asked for spoils a step."""

    def __init__(self, nan_at=None, actions=None, handle=False, low=-1.0, high=1.0):
        self.observation_space = gymnasium.spaces.Box(0, 10, (2,))
        self.action_space = actions or gymnasium.spaces.Box(low, high, (1,))
        self.nan_at = nan_at
        if handle:
            self.handle = object()

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.count, self.start = 0, self.np_random.random()
        return self._state(), {}

    def step(self, action):
        self.count += 1
        reward = float("nan") if self.count == self.nan_at else float(action[0])
        return self._state(), reward, self.count == 3, False, {}

    def _state(self):
        return np.array([self.count, self.start], "float32")


class Odd(Counter):
    """Does not do what Gymnasium's interface says."""

    def __init__(self, values=4, states=(2,)):
        super().__init__()
        self.values, self.observation_space = values, gymnasium.spaces.Box(-np.inf, np.inf, states)

    def step(self, action):
        return super().step(action)[: self.values]


@pytest.fixture(autouse=True)
def registered():
    def make(**arguments):
        return Counter(**arguments)

    gymnasium.register("kplug-tests/Counter-v0", entry_point=make)
    gymnasium.register("kplug-tests/Discrete-v0", entry_point=lambda: Counter(actions=gymnasium.spaces.Discrete(3)))
    gymnasium.register("kplug-tests/NeedsPackage-v0", entry_point=needs_package)
    gymnasium.register("kplug-tests/Odd-v0", entry_point=Odd)
    yield
    for name in ("Counter", "Discrete", "NeedsPackage", "Odd"):
        del gymnasium.registry[f"kplug-tests/{name}-v0"]


def odd(**arguments):
    return kplug.datasets.gymnasium("kplug-tests/Odd-v0", arguments)


def needs_package():
    raise gymnasium.error.DependencyNotInstalled("frobnicator is not installed, run `pip install frobnicator`")


def counter(**arguments):
    return kplug.datasets.gymnasium("kplug-tests/Counter-v0", arguments, steps_per_block=4, steps_per_epoch=8)


def test_the_info_record_says_what_the_environment_is_like():
    assert kplug.datasets.pendulum().info == {
        "state_dim": 3,
        "action_dim": 1,
        "action_low": [-2.0],
        "action_high": [2.0],
        "reward_threshold": None,
    }
    assert kplug.datasets.gymnasium("MountainCarContinuous-v0").info["reward_threshold"] == 90.0
    unbounded = counter(low=-np.inf, high=np.inf).info
    assert unbounded["action_low"] is None and unbounded["action_high"] is None


@pytest.mark.parametrize("name", ["pendulum", "gymnasium"])
def test_an_environment_is_a_data_set_as_kplug_uses_them(name):
    check_dataset(
        getattr(kplug.datasets, name), {"steps_per_epoch": 20, "steps_per_block": 10, "evaluation_episodes": 3}
    )


def test_copies_are_stepped_together_and_begin_anew_when_an_episode_is_over():
    copies = kplug.datasets.gymnasium("kplug-tests/Counter-v0", copies=2).train.copies()
    for count in (1, 2, 3):
        step = copies.step(np.array([[0.5], [-0.5]]))
        np.testing.assert_array_equal(step.rewards, np.float32([0.5, -0.5]))
        np.testing.assert_array_equal(step.next_states[:, 0], [count, count])
        assert step.done.tolist() == [count == 3] * 2
    assert copies.states[:, 0].tolist() == [0, 0]
    assert copies.states[0, 1] != copies.states[1, 1] != step.next_states[1, 1]


def test_evaluation_episodes_end_where_they_end_and_are_always_the_same():
    episodes = counter().validation
    returns, lengths = episodes.play(lambda states: np.full((len(states), 1), 0.25))
    np.testing.assert_allclose(returns, 0.75)
    assert lengths.tolist() == [3] * 10
    seen = []
    pendulum = kplug.datasets.pendulum(evaluation_episodes=2)
    for _ in range(2):
        pendulum.validation.play(lambda states: seen.append(states) or np.zeros((2, 1)))
    np.testing.assert_array_equal(seen[:200], seen[200:])
    other = pendulum.test.seeds.tolist()
    assert not set(other) & set(pendulum.validation.seeds.tolist())


def test_an_episode_that_is_over_is_not_stepped_on_while_others_go_on():
    class Uneven(Counter):
        def reset(self, *, seed=None, options=None):
            state = super().reset(seed=seed)
            self.length = 1 + seed % 4
            return state

        def step(self, action):
            assert self.count < self.length, "stepped on behind its end"
            state, reward, _, truncated, info = super().step(action)
            return state, reward, self.count == self.length, truncated, info

    gymnasium.register("kplug-tests/Uneven-v0", entry_point=Uneven, disable_env_checker=True)
    try:
        episodes = EvaluationEpisodes(EnvironmentRecipe("kplug-tests/Uneven-v0", {}), np.arange(6))
        returns, lengths = episodes.play(lambda states: np.full((len(states), 1), 0.5))
    finally:
        del gymnasium.registry["kplug-tests/Uneven-v0"]
    np.testing.assert_array_equal(lengths, [1, 2, 3, 4, 1, 2])
    np.testing.assert_allclose(returns, 0.5 * lengths)


def test_the_state_of_copies_can_be_put_back():
    copies = kplug.datasets.pendulum(copies=2).train.copies()
    actions = np.random.default_rng(0).uniform(-2, 2, (250, 2, 1))
    for action in actions[:130]:
        copies.step(action)
    state = copies.training_state()
    first = [copies.step(action).next_states for action in actions[130:]]
    again = kplug.datasets.pendulum(copies=2).train.copies()
    again.restore_training_state(state)
    # Past the end of an episode: the next one's beginning is drawn from the generator that was put back.
    np.testing.assert_array_equal([again.step(action).next_states for action in actions[130:]], first)


def test_an_environment_that_holds_a_handle_is_known_not_to_be_restorable():
    assert counter().train.recipe.facts.not_restorable is None
    assert "object" in counter(handle=True).train.recipe.facts.not_restorable


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: kplug.datasets.gymnasium("CartPole-v1"), r"has the actions Discrete\(2\).*Box"),
        (lambda: kplug.datasets.gymnasium("kplug-tests/Discrete-v0"), "Box of floating-point"),
        (lambda: kplug.datasets.gymnasium("Pendulun-v1"), "no environment 'Pendulun-v1'. Did you mean 'Pendulum-v1'"),
        (lambda: kplug.datasets.gymnasium("kplug-tests/NeedsPackage-v0"), "package that is missing: frobnicator"),
        (lambda: kplug.datasets.gymnasium("os:Pendulum-v1"), "names a module to import"),
        (lambda: kplug.datasets.gymnasium("Pendulum-v1", {"gravity": 3}), r"refuses its arguments \(gravity=3\)"),
        (lambda: counter(low=-1.0, high=np.inf), "some are bounded and others not"),
        (lambda: odd(values=4), r"Odd-v0 fails in its first step: ValueError.* `step` \(state, reward, terminated"),
        (lambda: odd(values=5, states=(3,)), "Odd-v0 gave states of 2 and 2 numbers, and says that they are Box.*3"),
        (lambda: odd(values=5, states=(8, 8, 3)), "Odd-v0 has pictures as its states"),
    ],
)
def test_environments_that_cannot_be_used_are_refused_with_the_reason(make, message):
    with pytest.raises(DataError, match=message):
        make()


def test_without_gymnasium_the_error_names_the_package(monkeypatch):
    monkeypatch.setitem(sys.modules, "gymnasium", None)
    with pytest.raises(DataError, match=r"package gymnasium.*pip install 'kplug\[control\]'"):
        kplug.datasets.pendulum()


def test_nan_from_an_environment_is_refused_naming_the_step():
    copies = kplug.datasets.gymnasium("kplug-tests/Counter-v0", {"nan_at": 2}, copies=2).train.copies()
    copies.step(np.zeros((2, 1)))
    with pytest.raises(DataError, match="gave the reward nan in step 2 of copy 0"):
        copies.step(np.zeros((2, 1)))


def test_steps_that_do_not_divide_are_refused():
    with pytest.raises(ValueError, match="`steps_per_block` must be a multiple of copies=3"):
        kplug.datasets.pendulum(copies=3)
    with pytest.raises(ValueError, match="`steps_per_epoch` must be a multiple of steps_per_block=300"):
        kplug.datasets.pendulum(steps_per_block=300)


def test_an_environment_that_is_asked_for_by_a_recipe_may_have_no_limit_of_its_own():
    assert EnvironmentRecipe("kplug-tests/Counter-v0").most_episode_steps == 1000
    assert EnvironmentRecipe("Pendulum-v1", {}, 50).most_episode_steps == 50
