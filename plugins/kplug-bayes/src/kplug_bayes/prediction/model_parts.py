"""The layers of a model, those of nested models included, and the states of its seed generators."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import keras

_SEED_STATE = "seed_generator_state"
"""The name of the variable of each keras.random.SeedGenerator."""


def nested_layers(model: Any) -> Iterator[Any]:
    """Yield the layers of a model, and those that they have themselves."""
    # Only models have `layers`; other layers, blocks and wrappers say what they hold in this way alone.
    yield from model._flatten_layers(include_self=False)


def seed_states(model: keras.Model) -> list[Any]:
    """Return the variables of the seed generators by which a model's layers draw."""
    return [variable for variable in model.non_trainable_variables if variable.name == _SEED_STATE]
