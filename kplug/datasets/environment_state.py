"""The state of an environment, taken apart into plain values, so that it can be put back without pickle."""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

_PLAIN = (bool, int, float, str, np.generic, type(None))
_FIXED = ("metadata", "spec", "reward_range", "render_mode")
"""Attributes that say what an environment is, and do not change while it is stepped."""


class NotRestorableError(TypeError):
    """An environment holds something that is no plain value: a simulator's handle, say."""


def state_of(environment: Any) -> list[dict[str, Any]]:
    """Return the state of an environment and of each wrapper around it, outermost first.

    An environment that has the methods `training_state()` and `restore_training_state(state)` is asked for its state;
    of others it is all attributes that are numbers, texts, arrays, random generators, and collections of them.

    Args:
        environment: A `gymnasium.Env`.

    Raises:
        NotRestorableError: If there is an attribute of another kind, but for spaces and the like that never change.
    """
    return [_layer_state(layer) for layer in _layers(environment)]


def restore_state(environment: Any, state: list[dict[str, Any]]) -> None:
    """Put back what `state_of` returned, in an environment that was made alike."""
    for layer, remembered in zip(_layers(environment), state, strict=True):
        if "own" in remembered:
            layer.restore_training_state(remembered["own"])
        else:
            vars(layer).update({name: _copied(value) for name, value in remembered["attributes"].items()})


def _layers(environment: Any) -> Iterator[Any]:
    while True:
        yield environment
        inner = vars(environment).get("env")
        if inner is None:
            return
        environment = inner


def _layer_state(layer: Any) -> dict[str, Any]:
    own = getattr(type(layer), "training_state", None)
    if own is not None:
        return {"own": layer.training_state()}
    kept = {name: value for name, value in vars(layer).items() if not _never_changes(name, value)}
    try:
        return {"attributes": {name: _copied(value) for name, value in kept.items()}}
    except NotRestorableError as error:
        raise NotRestorableError(f"{type(layer).__name__} holds {error}") from None


def _never_changes(name: str, value: Any) -> bool:
    from gymnasium import Env, Space
    from gymnasium.envs.registration import EnvSpec

    return name in _FIXED or callable(value) or isinstance(value, Env | Space | EnvSpec)


def _copied(value: Any) -> Any:
    if isinstance(value, _PLAIN):
        return value
    copy = _COPIES.get(type(value))
    if copy is None or (isinstance(value, np.ndarray) and value.dtype.kind not in "biufSU"):
        raise NotRestorableError(f"a {type(value).__name__}")
    return copy(value)


def _copied_generator(generator: np.random.Generator) -> np.random.Generator:
    bits: Any = getattr(np.random, type(generator.bit_generator).__name__)()
    bits.state = generator.bit_generator.state
    return np.random.Generator(bits)


def _copied_random(generator: random.Random) -> random.Random:
    copy = random.Random()
    copy.setstate(generator.getstate())
    return copy


_COPIES: dict[type, Callable[[Any], Any]] = {
    np.ndarray: np.copy,
    list: lambda values: [_copied(one) for one in values],
    tuple: lambda values: tuple(_copied(one) for one in values),
    dict: lambda values: {_copied(key): _copied(one) for key, one in values.items()},
    deque: lambda values: deque((_copied(one) for one in values), values.maxlen),
    np.random.Generator: _copied_generator,
    random.Random: _copied_random,
}
