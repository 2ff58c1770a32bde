"""Adam's update as TensorFlow's one kernel per variable, where Keras runs about a dozen operations.

The arithmetic is that of `keras.optimizers.Adam` (the last bits may differ). The optimizer stays what it is, so its
configuration, its state and the saved model do not change.
"""

from __future__ import annotations

from typing import Any

import tensorflow as tf


def fuse(optimizer: Any) -> None:
    """Make an Adam optimizer without AMSGrad update each variable with one kernel.

    Args:
        optimizer: A `keras.optimizers.Adam` on the TensorFlow backend. Sparse gradients still take its own update.
    """
    unfused = optimizer.update_step

    def update_step(gradient: Any, variable: Any, learning_rate: Any) -> None:
        if not isinstance(gradient, tf.Tensor):
            unfused(gradient, variable, learning_rate)
            return
        dtype = tf.as_dtype(variable.dtype)
        index = optimizer._get_variable_index(variable)
        step = tf.cast(optimizer.iterations.value + 1, dtype)
        tf.raw_ops.ResourceApplyAdam(
            var=_handle(variable),
            m=_handle(optimizer._momentums[index]),
            v=_handle(optimizer._velocities[index]),
            beta1_power=tf.pow(tf.cast(optimizer.beta_1, dtype), step),
            beta2_power=tf.pow(tf.cast(optimizer.beta_2, dtype), step),
            lr=tf.cast(learning_rate, dtype),
            beta1=tf.cast(optimizer.beta_1, dtype),
            beta2=tf.cast(optimizer.beta_2, dtype),
            epsilon=tf.cast(optimizer.epsilon, dtype),
            grad=tf.cast(gradient, dtype),
        )

    optimizer.update_step = update_step


def _handle(variable: Any) -> Any:
    """Return the resource of a TensorFlow variable, or of the one that a Keras variable wraps."""
    return (variable if isinstance(variable, tf.Variable) else variable.value).handle
