"""A model made again with other seeds."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np


def reseeded(model: keras.Model, seed: int) -> keras.Model:
    """Return a model of the same configuration whose weights begin, and whose layers draw, by another seed.

    Each `seed` in the configuration, of initializers and of layers alike, is replaced. It is compiled as the model is,
    with an optimizer of its own.

    Args:
        model: A built model that Keras can serialise.
        seed: What all its seeds follow from.

    Raises:
        ValueError: If the model is not built.
    """
    if not model.built:
        raise ValueError(
            "`model` must be built, so that others can be built like it: give it a keras.Input, or call it on some "
            f"samples. Received: model={model.name}, which is not built"
        )
    generator = np.random.default_rng(seed)
    again = type(model).from_config(_with_seeds(model.get_config(), generator))
    if not again.built:
        again.build_from_config(model.get_build_config())
    if model.compiled:
        again.compile_from_config(model.get_compile_config())
    return again


def _with_seeds(config: Any, generator: np.random.Generator) -> Any:
    if isinstance(config, list | tuple):
        return type(config)(_with_seeds(part, generator) for part in config)
    if not isinstance(config, dict):
        return config
    replaced = {}
    for key, value in config.items():
        is_seed = key == "seed" and (value is None or isinstance(value, int))
        replaced[key] = int(generator.integers(2**31)) if is_seed else _with_seeds(value, generator)
    return replaced
