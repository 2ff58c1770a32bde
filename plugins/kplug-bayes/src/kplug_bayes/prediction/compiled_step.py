"""A function of a model's outputs, compiled for inference: one small function per backend, chosen once."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from kplug_bayes.prediction.model_parts import nested_layers, seed_states

Compute = Callable[[Any], Any]


class CompiledStep:
    """`x -> compute(model(x))` in inference, compiled; the model and its seed generators are left as they were.

    States of the seed generators are handed in and come out. The step does not keep the model alive.

    Args:
        model: A built model of one output.
        compute: Makes a list of tensors of what the model puts out; it may draw by the generators of its layers.
        noise: The layer by which `compute` draws, or `None`.

    Attributes:
        generators: The variables of the model's seed generators.
        draws: Whether the model draws, leaving `noise` aside; `None` before `look`.
    """

    def __init__(self, model: keras.Model, compute: Compute, noise: Any = None) -> None:
        self.generators = seed_states(model)
        self.draws: bool | None = None
        self._noise = None if noise is None else noise.seed_generator.state
        self._sizes: dict[Any, int] = {}
        self._changing: list[Any] = []
        mode = _inference(model)
        reference: Callable[[], Any] = weakref.ref(model)

        def results(x: Any) -> Any:
            outputs = keras.tree.flatten(reference()(x, **mode))
            if len(outputs) != 1:
                raise ValueError(
                    "The model must have one output: make one for each, keras.Model(model.inputs, model.outputs[0]) "
                    f"say. Received: {len(outputs)} outputs"
                )
            return compute(outputs[0])

        self._model = reference
        self._run = _RUNS[keras.backend.backend()](model, results, self.generators)

    def __call__(self, x: Any, states: Sequence[Any]) -> tuple[list[Any], list[Any]]:
        """Return what is computed of one batch, and the states of the generators after it."""
        before = [ops.convert_to_numpy(variable) for variable in self._changing]
        results, after = self._run(x, list(states))
        for variable, value in zip(self._changing, before, strict=True):
            variable.assign(value)
        return results, after

    def look(self, x: Any, states: Sequence[Any]) -> int:
        """Return the numbers that are put out for one sample; at first predict once, to see that and what draws."""
        arrays = keras.tree.flatten(x)
        shapes = tuple(tuple(array.shape[1:]) for array in arrays)
        if shapes not in self._sizes:
            others = [] if self.draws is not None else self._other_variables()
            before = [ops.convert_to_numpy(variable) for variable in others]
            results, after = self(x, states)
            for variable, value in zip(others, before, strict=True):
                if not np.array_equal(ops.convert_to_numpy(variable), value):
                    self._changing.append(variable)
                    variable.assign(value)
            self._sizes[shapes] = int(np.prod(results[0].shape)) // len(arrays[0])
            if self.draws is None:
                drawn = any(
                    not np.array_equal(ops.convert_to_numpy(old), ops.convert_to_numpy(new))
                    for variable, old, new in zip(self.generators, states, after, strict=True)
                    if variable is not self._noise
                )
                # On PyTorch Keras' own Dropout draws from the generator that all share.
                self.draws = drawn or not _equal(results[0], self(x, states)[0][0])
        return self._sizes[shapes]

    def _other_variables(self) -> list[Any]:
        # On the other backends the step changes no variable at all.
        if keras.backend.backend() != "tensorflow":
            return []
        own = {id(variable) for variable in self.generators}
        return [variable for variable in self._model().non_trainable_variables if id(variable) not in own]


def _equal(one: Any, other: Any) -> bool:
    return np.array_equal(ops.convert_to_numpy(one), ops.convert_to_numpy(other), equal_nan=True)


def _inference(model: keras.Model) -> dict[str, bool]:
    """Return the arguments that a model infers with."""
    # A functional model hands `training=False` to all its layers, also to those that were called with True.
    functional = isinstance(model, keras.Sequential) or hasattr(model, "operations")
    # This one alone takes no word for training.
    wrapped = any(isinstance(layer, keras.layers.TorchModuleWrapper) for layer in nested_layers(model))
    return {} if functional and not wrapped else {"training": False}


def _on_tensorflow(model: keras.Model, results: Compute, generators: list[Any]) -> Callable[..., Any]:
    import tensorflow as tf

    del model

    # Variables are set and put back: in loops of TensorFlow's own, draws need them and not a StatelessScope.
    def step(x: Any, states: list[Any]) -> Any:
        before = [tf.identity(variable.value) for variable in generators]
        for variable, state in zip(generators, states, strict=True):
            variable.assign(state)
        found = results(x)
        after = [tf.identity(variable.value) for variable in generators]
        for variable, state in zip(generators, before, strict=True):
            variable.assign(state)
        return found, after

    compiled: Callable[..., Any] = tf.function(step, reduce_retracing=True)
    return compiled


def _on_jax(model: keras.Model, results: Compute, generators: list[Any]) -> Callable[..., Any]:
    import jax

    own = {id(variable) for variable in generators}
    weights = [variable for variable in model.variables if id(variable) not in own]

    @jax.jit
    def step(values: list[Any], x: Any, states: list[Any]) -> Any:
        mapping = zip([*weights, *generators], [*values, *states], strict=True)
        with keras.StatelessScope(state_mapping=list(mapping)) as scope:
            found = results(x)
        return found, [scope.get_current_value(variable) for variable in generators]

    return lambda x, states: step([variable.value for variable in weights], x, states)


def _on_torch(model: keras.Model, results: Compute, generators: list[Any]) -> Callable[..., Any]:
    import torch

    del model

    def step(x: Any, states: list[Any]) -> Any:
        mapping = list(zip(generators, states, strict=True))
        with torch.no_grad(), keras.StatelessScope(state_mapping=mapping) as scope:
            found = results(x)
        return found, [scope.get_current_value(variable) for variable in generators]

    return step


_RUNS = {"tensorflow": _on_tensorflow, "jax": _on_jax, "torch": _on_torch}
