"""A model made again with other seeds."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import keras
import numpy as np
from keras import ops

from kplug_bayes.prediction.model_parts import nested_layers, seed_states


def reseeded(model: keras.Model, seed: int) -> keras.Model:
    """Return a model of the same configuration whose weights begin, and whose layers draw, by another seed.

    Each `seed` in the configuration, of initializers and of layers alike, is replaced. What no optimizer trains is
    taken from the model: adapted statistics and vocabularies, moving averages, weights of layers that are not
    trainable. It is compiled as the model is, with an optimizer of its own.

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
    _take_state(again, model)
    if model.compiled:
        again.compile_from_config(model.get_compile_config())
    return again


def _take_state(again: keras.Model, model: keras.Model) -> None:
    """Give a model the state of another, all but trainable weights and seed generators."""
    own = [*again.trainable_variables, *seed_states(again)]
    values = [ops.convert_to_numpy(variable) for variable in own]
    with TemporaryDirectory() as directory:
        # Layers such as Normalization compute with what they make of their variables when these are loaded.
        path = Path(directory) / "state.weights.h5"
        model.save_weights(path)
        again.load_weights(path)
        for number, (mine, other) in enumerate(zip(nested_layers(again), nested_layers(model), strict=True)):
            if hasattr(other, "save_assets"):
                assets = Path(directory) / str(number)
                assets.mkdir()
                other.save_assets(str(assets))
                if any(assets.iterdir()):
                    mine.load_assets(str(assets))
    for variable, value in zip(own, values, strict=True):
        variable.assign(value)


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
