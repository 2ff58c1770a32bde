"""Gradient steps on TensorFlow: a loop inside one graph."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf

from kplug.models.control.gradient_steps.eager_fit import FitSteps

__all__ = ["FitSteps", "compiled", "for_fit"]


def for_fit(blocks: Any) -> tf.data.Dataset:
    """Return an environment's blocks of steps as a data set without TensorFlow's thread that tunes buffers.

    An iterator that is dropped waits for that thread's next turn, when it misses the word to end (TensorFlow 2.21 tells
    it before it can see that it is true): as long again as the iterator has been in use, a minute at most.
    """
    parts = tuple(np.stack(part) for part in zip(*(blocks[index] for index in range(len(blocks))), strict=True))
    options = tf.data.Options()
    options.autotune.enabled = False
    return tf.data.Dataset.from_tensor_slices(parts).with_options(options)


def compiled(model: Any, jit_compile: bool) -> Callable[[dict[str, Any]], dict[str, Any]]:
    """Return a function that takes one gradient step on each of several batches.

    Args:
        model: Has `losses(batch)`, which returns the loss and a dictionary of numbers to log; `end_step()`, called
            behind each step; and an optimizer for its trainable variables.
        jit_compile: Whether to compile with XLA.

    Returns:
        A function of batches, `{name: (batches, batch_size, ...)}`, that changes the model's variables and returns the
        means of the logged numbers.
    """

    def step(batch: dict[str, Any]) -> dict[str, Any]:
        with tf.GradientTape() as tape:
            loss, logs = model.losses(batch)
            scaled = model.optimizer.scale_loss(loss)
        variables = model.trainable_variables
        gradients = model.limited(tape.gradient(scaled, variables))
        # In the body of a loop TensorFlow does not by itself put what reads variables before what changes them.
        with tf.control_dependencies([*gradients, *logs.values()]):
            model.optimizer.apply(gradients, variables)
        model.end_step()
        return logs

    def steps(batches: dict[str, Any]) -> dict[str, Any]:
        count = tf.shape(next(iter(batches.values())))[0]

        def body(index: Any, sums: Any) -> Any:
            logs = step({name: values[index] for name, values in batches.items()})
            return index + 1, {name: sums[name] + tf.cast(value, "float32") for name, value in logs.items()}

        begin = {name: tf.zeros(()) for name in model.logged}
        _, sums = tf.while_loop(lambda index, _: index < count, body, (tf.constant(0), begin))
        return {name: value / tf.cast(count, "float32") for name, value in sums.items()}

    traced = tf.function(steps, autograph=False, jit_compile=jit_compile, reduce_retracing=not jit_compile)
    return lambda batches: traced({name: tf.constant(values) for name, values in batches.items()})
