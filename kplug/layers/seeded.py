"""What layers that draw share: a seed generator of their own, whose state is saved with the weights."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from keras import ops

_GENERATOR_STATE = "seed_generator_state"


def derived_seeds(seed: int | None, count: int) -> list[int | None]:
    """Return a seed for each of several layers: with one for all, they would draw the same numbers.

    Args:
        seed: What the seeds follow from, or `None` for none.
        count: How many.

    Returns:
        Whole numbers from 0 to 2^31 - 1, or `None` in each place.

    Example:

    >>> len(set(kplug.layers.derived_seeds(7, 3)))
    3
    """
    if seed is None:
        return [None] * count
    # Keras' generators take seeds of 32 bits with a sign.
    return [int(state >> 1) for state in np.random.SeedSequence(seed).generate_state(count)]


class SeededLayer(keras.layers.Layer):
    """A layer that draws random numbers from a generator of its own, `seed_generator`; to build layers upon.

    With a seed the draws repeat, and go on after saving and loading where they were.

    Args:
        seed: Whole number that makes the draws repeat, or `None`.
        **kwargs: Keras' own layer arguments (`name`, `dtype`, …).

    Example:

    >>> class Jitter(kplug.layers.SeededLayer):
    ...     def call(self, inputs):
    ...         return inputs + keras.random.normal(keras.ops.shape(inputs), seed=self.seed_generator)
    >>> first, second = (Jitter(seed=0)(np.zeros((2, 3), "float32")) for _ in range(2))
    >>> bool(keras.ops.all(first == second))
    True
    """

    def __init__(self, seed: int | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.seed = seed
        self.seed_generator = keras.random.SeedGenerator(seed)

    def save_own_variables(self, store: Any) -> None:
        super().save_own_variables(store)
        store[_GENERATOR_STATE] = ops.convert_to_numpy(self.seed_generator.state)

    def load_own_variables(self, store: Any) -> None:
        names = [name for name in store.keys() if name != _GENERATOR_STATE]  # noqa: SIM118 - no dictionary
        super().load_own_variables({name: store[name] for name in names})
        # Weights that another Keras layer saved have no generator state.
        if _GENERATOR_STATE in store:
            self.seed_generator.state.assign(store[_GENERATOR_STATE])

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "seed": self.seed}
