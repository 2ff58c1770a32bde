"""Small models that put a component through compilation, training, saving and loading."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import keras
import numpy as np
from keras import ops

import kplug


@keras.saving.register_keras_serializable(package="kplug")
class Stretch(keras.layers.Layer):
    """Multiplies by one weight that begins at 1: a model that can be trained and leaves its input as it is."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.supports_masking = True

    def build(self, input_shape: Any) -> None:
        del input_shape
        self.factor = self.add_weight(shape=(), initializer="ones", name="factor")

    def call(self, inputs: Any) -> Any:
        return ops.cast(inputs, self.compute_dtype) * ops.cast(self.factor, self.compute_dtype)

    def compute_output_shape(self, input_shape: Any) -> Any:
        return input_shape


@keras.saving.register_keras_serializable(package="kplug")
class Kept(keras.layers.Layer):
    """Hands on the first of its two inputs, with the second, of truth values, for its mask."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.supports_masking = True

    def call(self, inputs: Any) -> Any:
        return ops.copy(inputs[0])

    def compute_mask(self, inputs: Any, previous_mask: Any = None) -> Any:
        del previous_mask
        return ops.cast(inputs[1], "bool")

    def compute_output_shape(self, input_shape: Any) -> Any:
        return input_shape[0]


def masked_model(outputs: np.ndarray) -> keras.Model:
    """Return a model of outputs and a mask over the samples that puts out the outputs it is given, masked."""
    values, kept = keras.Input(outputs.shape[1:], dtype=outputs.dtype), keras.Input((), dtype="bool")
    return keras.Model([values, kept], Stretch()(Kept()([values, kept])))


def symbolic_inputs(batch: Any) -> Any:
    """Return the inputs of a model that takes batches like this one; in a dictionary they are named by their keys."""
    if isinstance(batch, dict):
        return {name: keras.Input(np.shape(part)[1:], dtype=part.dtype, name=name) for name, part in batch.items()}
    return keras.tree.map_structure(lambda array: keras.Input(array.shape[1:], dtype=array.dtype), batch)


def stretching_model(outputs: Any, dtype: str | None = None) -> keras.Model:
    """Return a model that puts out what it is given, an array or a dictionary of arrays, with one weight for each."""
    inputs = symbolic_inputs(outputs)
    stretched = keras.tree.map_structure(lambda tensor: Stretch(dtype=dtype)(tensor), inputs)  # noqa: PLW0108 - one layer each
    return keras.Model(inputs, stretched)


def saved_and_loaded(model: keras.Model) -> keras.Model:
    """Save a model and load it again, as a process that knows kplug alone would."""
    with tempfile.TemporaryDirectory(prefix="kplug-") as folder:
        path = Path(folder) / "model.keras"
        model.save(path)
        return kplug.load_model(path)


def ways_of_training() -> tuple[tuple[bool, str], ...]:
    """Return pairs of `jit_compile` and a dtype policy that together try each of them."""
    plain = ((False, "float32"), (False, "mixed_float16"))
    return plain if keras.backend.backend() == "torch" else (*plain, (True, "float32"))


def compiled_ways() -> tuple[bool, ...]:
    """Return the values of `jit_compile` that mean something different on this backend."""
    return (False,) if keras.backend.backend() == "torch" else (False, True)
