"""What layers that draw share: a seed generator of their own, whose state is saved with the weights."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

_GENERATOR_STATE = "seed_generator_state"


class DrawingLayer(keras.layers.Layer):
    """A layer that draws random numbers from a generator of its own.

    With a seed the draws repeat, and go on after saving and loading where they were.

    Args:
        seed: Whole number that makes the draws repeat, or `None`.
        **kwargs: Keras' own layer arguments (`name`, `dtype`, …).
    """

    def __init__(self, seed: int | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.seed = seed
        self.seed_generator = keras.random.SeedGenerator(seed)

    @property
    def precise_dtype(self) -> str:
        """The layer's own compute dtype, or float32 where that is less precise."""
        return str(keras.backend.result_type(self.compute_dtype, "float32"))

    def save_own_variables(self, store: Any) -> None:
        super().save_own_variables(store)
        store[_GENERATOR_STATE] = ops.convert_to_numpy(self.seed_generator.state)

    def load_own_variables(self, store: Any) -> None:
        names = [name for name in store.keys() if name != _GENERATOR_STATE]  # noqa: SIM118 - no dictionary
        super().load_own_variables({name: store[name] for name in names})
        self.seed_generator.state.assign(store[_GENERATOR_STATE])

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "seed": self.seed}
