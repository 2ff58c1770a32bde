"""A function of a model's outputs, compiled for inference: one small function per backend, chosen once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras


def compiled_step(model: keras.Model, compute: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Return `x -> compute(model(x, training=False))`, compiled.

    Seed generators of the model go on from one call to the next, as in `predict`.

    Args:
        model: A built model.
        compute: Makes tensors of what the model puts out; it may draw by the generators of the model's layers.

    Returns:
        A function of one batch.
    """
    return _STEPS[keras.backend.backend()](model, compute)


def _on_tensorflow(model: keras.Model, compute: Callable[[Any], Any]) -> Callable[[Any], Any]:
    import tensorflow as tf

    step: Callable[[Any], Any] = tf.function(lambda x: compute(model(x, training=False)), reduce_retracing=True)
    return step


def _on_jax(model: keras.Model, compute: Callable[[Any], Any]) -> Callable[[Any], Any]:
    import jax

    variables = model.variables
    changing = [index for index, variable in enumerate(variables) if not variable.trainable]

    @jax.jit
    def step(values: list[Any], x: Any) -> tuple[Any, list[Any]]:
        with keras.StatelessScope(state_mapping=list(zip(variables, values, strict=True))) as scope:
            results = compute(model(x, training=False))
        after = [(scope.get_current_value(variables[index]), values[index]) for index in changing]
        return results, [before if now is None else now for now, before in after]

    def stateful(x: Any) -> Any:
        results, changed = step([variable.value for variable in variables], x)
        for index, value in zip(changing, changed, strict=True):
            variables[index].assign(value)
        return results

    return stateful


def _on_torch(model: keras.Model, compute: Callable[[Any], Any]) -> Callable[[Any], Any]:
    import torch

    def step(x: Any) -> Any:
        with torch.no_grad():
            return compute(model(x, training=False))

    return step


_STEPS = {"tensorflow": _on_tensorflow, "jax": _on_jax, "torch": _on_torch}
