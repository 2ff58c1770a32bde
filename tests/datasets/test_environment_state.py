"""The state of an environment: what was one object is one again, behind a checkpoint too; what cannot be kept."""

from __future__ import annotations

import enum
import itertools
import random
from collections import deque

import gymnasium
import numpy as np
import pytest

from kplug.datasets.environment_copies import EnvironmentCopies
from kplug.datasets.environment_recipe import EnvironmentRecipe
from kplug.datasets.environment_state import NotRestorableError, restore_state, state_of
from kplug.training.checkpoints import Checkpoint, Checkpoints
from kplug.training.structures import StateWriter, read_back

pytestmark = pytest.mark.neutral
NAME = "kplug-tests/Noisy-v0"


class Noisy(gymnasium.Env):
    """A point that noise pushes; its generator, its position and its list of visits go by two names each."""

    observation_space = gymnasium.spaces.Box(-np.inf, np.inf, (2,))
    action_space = gymnasium.spaces.Box(-1.0, 1.0, (1,))

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.noise = self.np_random
        self.position = self.seen = self.np_random.normal(size=2)
        self.visits = []
        self.recent = {"all": self.visits, "last": deque([self.visits], maxlen=2)}
        self.count = 0
        return self.seen.astype("float32"), {}

    def step(self, action):
        self.count += 1
        self.position += action[0] + self.noise.normal(size=2)
        self.position[0] += self.np_random.normal()
        self.visits.append(self.count)
        return self.seen.astype("float32"), float(len(self.recent["last"][-1])), self.count == 7, False, {}


@pytest.fixture
def register():
    def as_noisy(environment):
        gymnasium.register(NAME, entry_point=environment)
        return EnvironmentRecipe(NAME)

    yield as_noisy
    gymnasium.registry.pop(NAME, None)


def through_a_checkpoint(state, folder):
    """Write a state to a checkpoint's files and read it back."""
    writer = StateWriter()
    written = writer.written(state)
    Checkpoints(folder).save(Checkpoint(1, {"state": written}, writer.arrays))
    found, problems = Checkpoints(folder).newest()
    assert not problems
    return read_back(found.state["state"], found.arrays)


def restored(attributes, folder):
    """Return the attributes of an environment that a checkpoint brought back."""
    environment, again = Noisy(), Noisy()
    vars(environment).update(attributes)
    restore_state(again, through_a_checkpoint(state_of(environment), folder))
    return again


def test_copies_go_on_behind_a_checkpoint_as_if_not_interrupted(register, tmp_path):
    recipe = register(Noisy)
    assert recipe.facts.not_restorable is None
    copies, again = EnvironmentCopies(recipe, [3, 4]), EnvironmentCopies(recipe, [5, 6])
    actions = np.random.default_rng(0).uniform(-1, 1, (30, 2, 1))
    for action in actions[:10]:
        copies.step(action)
    again.restore_training_state(through_a_checkpoint(copies.training_state(), tmp_path / "checkpoints"))
    for action in actions[10:]:
        wanted, found = copies.step(action), again.step(action)
        np.testing.assert_array_equal(found.next_states, wanted.next_states)
        np.testing.assert_array_equal(found.rewards, wanted.rewards)
        np.testing.assert_array_equal(again.states, copies.states)
    first, second = (environment.unwrapped for environment in again._environments)
    assert first.noise is first.np_random
    assert first.noise is not second.noise


@pytest.mark.parametrize(
    "value",
    [
        np.random.default_rng(1),
        np.random.Generator(np.random.MT19937(1)),
        random.Random(1),
        np.arange(6.0).reshape(2, 3),
        [1, 2],
        {"a": 1},
        deque([1, 2], maxlen=3),
        (1, [2]),
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_was_one_object_is_one_object_again(value, tmp_path):
    again = restored({"one": value, "other": value, "inside": [{"deep": value}]}, tmp_path)
    assert type(again.one) is type(value)
    assert again.one is not value
    assert again.one is again.other is again.inside[0]["deep"]


def test_equal_objects_stay_apart(tmp_path):
    again = restored({"one": [1], "other": [1], "arrays": [np.zeros(2), np.zeros(2)]}, tmp_path)
    assert again.one == again.other
    assert again.one is not again.other
    assert again.arrays[0] is not again.arrays[1]


def test_generators_that_share_their_bits_share_them_again(tmp_path):
    first = np.random.default_rng(1)
    again = restored({"first": first, "second": np.random.Generator(first.bit_generator)}, tmp_path)
    assert again.first.bit_generator is again.second.bit_generator
    assert [again.first.random(), again.second.random()] == [first.random(), first.random()]


def test_collections_that_hold_themselves_come_back(tmp_path):
    items, table, queue = [], {}, deque(maxlen=4)
    pair = (items, table)
    items += [items, pair]
    table.update({"self": table, ("a", ("b", 1)): queue})
    queue.append(queue)
    again = restored({"items": items, "pair": pair, "queue": queue}, tmp_path)
    assert again.items[0] is again.items
    assert again.items[1] is again.pair
    assert again.pair[0] is again.items
    table = again.pair[1]
    assert table["self"] is table
    assert table["a", ("b", 1)] is again.queue is again.queue[0]
    assert again.queue.maxlen == 4


def test_deep_nesting_is_no_obstacle():
    deep = innermost = []
    for _ in range(5000):
        innermost.append([])
        innermost = innermost[0]
    environment, again = Noisy(), Noisy()
    environment.deep = deep
    restore_state(again, state_of(environment))
    depth = 0
    while again.deep:
        again.deep, depth = again.deep[0], depth + 1
    assert depth == 5000


def test_what_a_wrapper_shares_with_its_environment_stays_shared(tmp_path):
    def wrapped():
        wrapper = gymnasium.Wrapper(Noisy())
        wrapper.reset(seed=1)
        wrapper.generator = wrapper.unwrapped.np_random
        return wrapper

    first, again = wrapped(), wrapped()
    first.step([0.5])
    restore_state(again, through_a_checkpoint(state_of(first), tmp_path))
    assert again.generator is again.unwrapped.np_random is again.unwrapped.noise
    assert again.generator.random() == first.generator.random()


def test_numbers_texts_and_arrays_come_back_exactly(tmp_path):
    values = {
        "numbers": [0.1, -0.0, float("inf"), 1e-320, 2**200, True, None],
        "texts": {"": "ä\x00\ud800", 0: "0", True: 2, 0.5: "half", (): "empty", "object": 1, "__array__": 2},
        "scalars": [np.float32(0.1), np.int8(-3), np.bool_(True), np.str_("a"), np.complex64(1j)],
        "arrays": [np.float16([0.1]), np.array(3), np.zeros((0, 2)), np.array(["a", "bc"]), np.array([1 + 2j])],
        "fortran": np.asfortranarray(np.arange(6).reshape(2, 3)),
        "swapped": np.arange(3, dtype=">i4"),
        "date": np.datetime64("2020-02-03"),
    }
    again = vars(restored({**values, "undefined": float("nan")}, tmp_path))
    assert str(again.pop("undefined")) == "nan"
    for name in ("numbers", "texts", "scalars"):
        assert repr(again[name]) == repr(values[name])
    for found, wanted in zip(again["arrays"], values["arrays"], strict=True):
        np.testing.assert_array_equal(found, wanted, strict=True)
    np.testing.assert_array_equal(again["fortran"], values["fortran"], strict=True)
    assert again["fortran"].flags.f_contiguous
    np.testing.assert_array_equal(again["swapped"], values["swapped"], strict=True)
    assert (again["date"], again["date"].dtype) == (values["date"], values["date"].dtype)


def test_a_state_does_not_change_with_the_environment():
    class Own(Noisy):
        def training_state(self):
            return {"visits": self.visits, "count": self.count}

    plain, own = Noisy(), Own()
    for environment in (plain, own):
        environment.reset(seed=0)
        environment.step([0.0])
    states = state_of(plain), state_of(own)
    for environment in (plain, own):
        environment.step([0.0])
    again = Noisy()
    restore_state(again, states[0])
    assert again.visits == [1]
    assert states[1]["layers"] == [{"own": {"visits": [1], "count": 1}}]


class Color(enum.IntEnum):
    RED = 1


@pytest.mark.parametrize(
    ("value", "what"),
    [
        (object(), "object"),
        ([{"deep": object()}], "object"),
        (Color.RED, "Color"),  # a checkpoint would make a number of it
        (np.array([None]), "ndarray"),
        ({1, 2}, "set"),
        (np.random.RandomState(0), "RandomState"),
    ],
)
def test_what_cannot_be_kept_is_named_with_its_owner(value, what):
    environment = Noisy()
    environment.held = value
    with pytest.raises(NotRestorableError, match=f"Noisy holds a {what}"):
        state_of(environment)


class CountsForAll(Noisy):
    """The fifth episode of all environments of the process is another one than the fourth."""

    episodes = itertools.count()

    def reset(self, *, seed=None, options=None):
        state, info = super().reset(seed=seed)
        return state + next(self.episodes), info


class HiddenGenerator(Noisy):
    """An attribute that is a function draws with a generator of its own, in resets alone."""

    def __init__(self):
        self.draw = np.random.default_rng(0).normal

    def reset(self, *, seed=None, options=None):
        state, info = super().reset(seed=seed)
        return state + np.float32(self.draw()), info


class NeverResetUnseeded(Noisy):
    def reset(self, *, seed=None, options=None):
        if seed is None:
            raise RuntimeError("no seed")
        return super().reset(seed=seed)


class FailsRestored(Noisy):
    """A function closes over a list that is another one than the list that is put back."""

    def __init__(self):
        self.rows = rows = [0]
        self.add = lambda: rows.append(0)

    def step(self, action):
        self.add()
        self.count += self.rows[len(self.visits)]
        return super().step(action)


@pytest.mark.parametrize(
    ("environment", "why"),
    [
        (CountsForAll, "next state does not follow"),
        (HiddenGenerator, "next state does not follow"),
        (NeverResetUnseeded, "fails when that is tried: no seed"),
        (FailsRestored, "fails when that is tried: list index out of range"),
    ],
)
def test_what_goes_wrong_behind_an_episodes_end_is_known_before_training(register, environment, why):
    assert why in register(environment).facts.not_restorable


def test_the_generator_that_all_code_shares_is_part_of_a_checkpoint_and_may_be_drawn_from(register):
    class Shared(Noisy):
        def reset(self, *, seed=None, options=None):
            state, info = super().reset(seed=seed)
            return state + np.float32(np.random.normal() + random.random()), info

    assert register(Shared).facts.not_restorable is None


def test_an_environment_that_never_ends_is_tried_for_a_bounded_time(register):
    class Endless(Noisy):
        steps = resets = 0

        def reset(self, *, seed=None, options=None):
            Endless.resets += 1
            return super().reset(seed=seed)

        def step(self, action):
            Endless.steps += 1
            state, reward, *_ = super().step(action)
            return state, reward, False, False, {}

    assert register(Endless).facts.not_restorable is None
    assert Endless.steps < 120
    # One for its first step, two before what is remembered, one in each that goes on from it, one to begin with.
    assert Endless.resets == 6


def test_what_a_wrapper_was_made_with_is_no_state():
    wrapped = gymnasium.wrappers.TransformReward(gymnasium.make("Pendulum-v1"), lambda reward: reward / 10)
    wrapped.reset(seed=0)
    assert len(state_of(wrapped)["layers"]) == 5
