"""The steps that were taken, to be learned from again and again."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from kplug.datasets.environment_copies import Step

_FIELDS = ("states", "actions", "rewards", "next_states", "terminated")
_FIRST_ROWS = 4096


class ReplayBuffer:
    """The newest steps, in arrays; older ones give way to them.

    Memory is taken as it is needed: a buffer that is never filled costs what is in it.

    Args:
        capacity: Most steps that are kept.
        state_dim: Numbers in a state.
        action_dim: Numbers in an action.
    """

    def __init__(self, capacity: int, state_dim: int, action_dim: int) -> None:
        self._capacity = capacity
        widths = (state_dim, action_dim, None, state_dim, None)
        self._shapes = [() if width is None else (width,) for width in widths]
        self._arrays = [np.empty((0, *shape), "float32") for shape in self._shapes]
        self._size = self._next = 0

    def __len__(self) -> int:
        return self._size

    def add(self, step: Step) -> None:
        """Keep what one step of all copies gave."""
        count = len(step.rewards)
        self._make_room(min(self._size + count, self._capacity))
        rows = np.arange(self._next, self._next + count) % self._capacity
        for array, name in zip(self._arrays, _FIELDS, strict=True):
            array[rows] = getattr(step, name)
        self._next = int((self._next + count) % self._capacity)
        self._size = min(self._size + count, self._capacity)

    def draw(self, generator: np.random.Generator, batches: int, batch_size: int) -> dict[str, np.ndarray]:
        """Return steps drawn with replacement, each field of shape `(batches, batch_size, ...)`, float32."""
        rows = generator.integers(self._size, size=(batches, batch_size))
        return {name: array[rows] for name, array in zip(_FIELDS, self._arrays, strict=True)}

    def training_state(self) -> dict[str, Any]:
        """Return what `restore_training_state` takes back."""
        return {"arrays": [array[: self._size] for array in self._arrays], "next": self._next}

    def restore_training_state(self, state: Mapping[str, Any]) -> None:
        """Go on where another process stopped."""
        self._arrays = [np.array(array) for array in state["arrays"]]
        self._size, self._next = len(self._arrays[0]), state["next"]

    def _make_room(self, rows: int) -> None:
        there = len(self._arrays[0])
        if rows <= there:
            return
        more = min(max(2 * there, rows, _FIRST_ROWS), self._capacity) - there
        self._arrays = [
            np.concatenate([array, np.empty((more, *array.shape[1:]), "float32")]) for array in self._arrays
        ]
