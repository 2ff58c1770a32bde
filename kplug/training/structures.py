"""Structures of Python's and NumPy's values as JSON and arrays, without pickle."""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Mapping
from typing import Any

import numpy as np

from kplug.training.checkpoints import can_be_kept

_ARRAY, _TUPLE, _SET, _FROZENSET, _DEQUE, _PAIRS, _GENERATOR, _RANDOM = _MARKS = (
    *("__array__", "__tuple__", "__set__", "__frozenset__"),
    *("__deque__", "__pairs__", "__generator__", "__random__"),
)


class StateWriter:
    """Takes structures apart into what JSON can hold and arrays.

    Attributes:
        arrays: The arrays met so far, by name.
    """

    def __init__(self) -> None:
        self.arrays: dict[str, np.ndarray] = {}

    def written(self, value: Any) -> Any:
        """Return numbers, texts, arrays, random generators, and collections of them, as JSON can hold them.

        Raises:
            TypeError: If there is something else among them.
        """
        if value is None or (isinstance(value, bool | int | float | str) and not isinstance(value, np.generic)):
            return value
        if isinstance(value, np.ndarray | np.generic) and can_be_kept(value.dtype):
            name = f"array-{len(self.arrays)}"
            # 0-d arrays are told from scalars, which callbacks compare and count with.
            self.arrays[name] = np.asarray(value)
            return {_ARRAY: name, "scalar": isinstance(value, np.generic)}
        if isinstance(value, list):
            return self._all(value)
        if isinstance(value, dict):
            return self._dictionary(value)
        return self._marked(value)

    def _all(self, values: Any) -> list[Any]:
        return [self.written(one) for one in values]

    def _dictionary(self, value: dict[Any, Any]) -> dict[str, Any]:
        if all(isinstance(key, str) and key not in _MARKS for key in value):
            return {key: self.written(one) for key, one in value.items()}
        return {_PAIRS: [[self.written(key), self.written(one)] for key, one in value.items()]}

    def _marked(self, value: Any) -> dict[str, Any]:
        kind = type(value)
        if kind is tuple:
            return {_TUPLE: self._all(value)}
        if kind in {set, frozenset}:
            return {_SET if kind is set else _FROZENSET: self._all(sorted(value, key=repr))}
        if kind is deque:
            return {_DEQUE: self._all(value), "maxlen": value.maxlen}
        if kind is np.random.Generator:
            return {_GENERATOR: self.written(value.bit_generator.state)}
        if kind is random.Random:
            return {_RANDOM: self.written(value.getstate())}
        what = f"an array of dtype {value.dtype}" if isinstance(value, np.ndarray | np.generic) else kind.__name__
        raise TypeError(f"{what} cannot be kept in a checkpoint")


def read_back(written: Any, arrays: Mapping[str, np.ndarray]) -> Any:
    """Return what `StateWriter.written` was given."""
    if isinstance(written, list):
        return [read_back(one, arrays) for one in written]
    if not isinstance(written, dict):
        return written
    mark = next((one for one in _MARKS if one in written), None)
    if mark is None:
        return {key: read_back(one, arrays) for key, one in written.items()}
    if mark == _ARRAY:
        array = arrays[written[_ARRAY]]
        return array[()] if written["scalar"] else array
    content = read_back(written[mark], arrays)
    if mark == _DEQUE:
        return deque(content, written["maxlen"])
    return _FROM_CONTENT[mark](content)


def _generator(state: Any) -> np.random.Generator:
    bits: Any = getattr(np.random, state["bit_generator"])()
    bits.state = state
    return np.random.Generator(bits)


def _python_generator(state: Any) -> random.Random:
    generator = random.Random()
    generator.setstate(state)
    return generator


_FROM_CONTENT: dict[str, Any] = {
    _TUPLE: tuple,
    _SET: set,
    _FROZENSET: frozenset,
    _PAIRS: dict,
    _GENERATOR: _generator,
    _RANDOM: _python_generator,
}
