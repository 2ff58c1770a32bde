"""The state of an environment, taken apart into plain values, so that it can be put back without pickle."""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from copy import deepcopy
from typing import Any

import numpy as np

_PLAIN = (bool, int, float, str, type(None))
_DTYPES = "biufcSUmM"
_FIXED = ("metadata", "spec", "reward_range", "render_mode", "_saved_kwargs")
"""Attributes that say what an environment is, and do not change while it is stepped."""


class NotRestorableError(TypeError):
    """An environment holds something that is no plain value: a simulator's handle, say."""


def state_of(environment: Any) -> dict[str, Any]:
    """Return the state of an environment and of each wrapper around it.

    An environment that has the methods `training_state()` and `restore_training_state(state)` is asked for its state;
    of others it is all attributes that are numbers, texts, arrays, random generators, and collections of them. What is
    one object in several places (a generator that two attributes share, a list that holds itself) will be one again.

    Args:
        environment: A `gymnasium.Env`.

    Returns:
        `layers`, outermost first, and the `objects` that their attributes refer to by number: dictionaries, lists,
        numbers, texts, arrays, which a checkpoint can keep.

    Raises:
        NotRestorableError: If there is an attribute of another kind, but for spaces and the like that never change.
    """
    objects = _Objects()
    layers = [_layer_state(layer, objects) for layer in _layers(environment)]
    return {"layers": layers, "objects": objects.written}


def restore_state(environment: Any, state: Mapping[str, Any]) -> None:
    """Put back what `state_of` returned, in an environment that was made alike."""
    objects = _Restored(state["objects"])
    for layer, remembered in zip(_layers(environment), state["layers"], strict=True):
        if "own" in remembered:
            layer.restore_training_state(remembered["own"])
        else:
            vars(layer).update({name: objects.value(one) for name, one in remembered["attributes"].items()})


def _layers(environment: Any) -> Iterator[Any]:
    while True:
        yield environment
        inner = vars(environment).get("env")
        if inner is None:
            return
        environment = inner


def _layer_state(layer: Any, objects: _Objects) -> dict[str, Any]:
    own = getattr(type(layer), "training_state", None)
    if own is not None:
        return {"own": deepcopy(layer.training_state())}
    kept = {name: value for name, value in vars(layer).items() if not _never_changes(name, value)}
    try:
        return {"attributes": objects.attributes(kept)}
    except NotRestorableError as error:
        raise NotRestorableError(f"{type(layer).__name__} holds {error}") from None


def _never_changes(name: str, value: Any) -> bool:
    from gymnasium import Env, Space
    from gymnasium.envs.registration import EnvSpec

    return name in _FIXED or callable(value) or isinstance(value, Env | Space | EnvSpec)


class _Objects:
    """The objects that attributes hold, numbered in the order in which they were met.

    A number, a text or `None` stands for itself; any other object for `{"object": its number}`.

    Attributes:
        written: What each object is, in the order of the numbers: `{its kind: what it consists of}`.
    """

    def __init__(self) -> None:
        self.written: list[dict[str, Any]] = []
        self._met: list[Any] = []
        self._numbers: dict[int, int] = {}

    def attributes(self, values: Mapping[str, Any]) -> dict[str, Any]:
        references = {name: self._reference(value) for name, value in values.items()}
        # Each may name further objects, which are met thereby; no recursion, since objects may hold themselves.
        while len(self.written) < len(self._met):
            self.written.append(self._taken_apart(self._met[len(self.written)]))
        return references

    def _reference(self, value: Any) -> Any:
        if type(value) in _PLAIN or (isinstance(value, np.generic) and value.dtype.kind in _DTYPES):
            return value
        number = self._numbers.setdefault(id(value), len(self._met))
        if number == len(self._met):
            self._met.append(value)
        return {"object": number}

    def _taken_apart(self, value: Any) -> dict[str, Any]:
        kind = type(value)
        if kind is np.ndarray and value.dtype.kind in _DTYPES:
            return {"array": value.copy(order="K")}
        if kind in {list, tuple, deque}:
            content = {kind.__name__: [self._reference(one) for one in value]}
            return content if kind is not deque else {**content, "maxlen": value.maxlen}
        if kind is dict:
            return {"dict": [[self._reference(key), self._reference(one)] for key, one in value.items()]}
        if kind is np.random.Generator:
            return {"generator": self._reference(value.bit_generator)}
        if isinstance(value, np.random.BitGenerator) and kind is getattr(np.random, kind.__name__, None):
            return {"bits": value.state}
        if kind is random.Random:
            return {"random": value.getstate()}
        raise NotRestorableError(f"a {kind.__name__}")


class _Restored:
    """The objects that `_Objects` took apart, made anew.

    Args:
        written: Its attribute of that name.
    """

    def __init__(self, written: Sequence[Mapping[str, Any]]) -> None:
        self._written = written
        self._made: dict[int, Any] = {}
        # Collections are made empty and filled when they can be referred to; a tuple, maybe a key, is made whole.
        for number, one in enumerate(written):
            self._fill(self._object(number), one)

    def value(self, reference: Any) -> Any:
        """Return what stands for itself, or the object that is referred to."""
        return self._object(reference["object"]) if isinstance(reference, Mapping) else reference

    def _object(self, number: int) -> Any:
        if number not in self._made:
            one = self._written[number]
            self._made[number] = _MAKERS[next(iter(one))](one, self.value)
        return self._made[number]

    def _fill(self, made: Any, one: Mapping[str, Any]) -> None:
        if "list" in one or "deque" in one:
            made.extend(map(self.value, one[type(made).__name__]))
        elif "dict" in one:
            made.update((self.value(key), self.value(value)) for key, value in one["dict"])


def _bit_generator(state: Mapping[str, Any]) -> Any:
    bits = getattr(np.random, state["bit_generator"])()
    bits.state = state
    return bits


def _python_generator(state: Any) -> random.Random:
    generator = random.Random()
    generator.setstate(state)
    return generator


_MAKERS: dict[str, Callable[[Mapping[str, Any], Callable[[Any], Any]], Any]] = {
    "array": lambda one, value: one["array"].copy(order="K"),
    "list": lambda one, value: [],
    "tuple": lambda one, value: tuple(map(value, one["tuple"])),
    "deque": lambda one, value: deque(maxlen=one["maxlen"]),
    "dict": lambda one, value: {},
    "generator": lambda one, value: np.random.Generator(value(one["generator"])),
    "bits": lambda one, value: _bit_generator(one["bits"]),
    "random": lambda one, value: _python_generator(one["random"]),
}
