"""Shared by the tests of layers: gradients on any backend."""

from __future__ import annotations

from collections.abc import Callable

import keras
import numpy as np
import pytest


@pytest.fixture(scope="session")
def gradient() -> Callable[..., np.ndarray]:
    """Give `gradient(function, x)`: the gradient of the sum of `function(x)` with respect to `x`, a NumPy array."""

    def of(function: Callable, x: np.ndarray, dtype: str = "float32") -> np.ndarray:
        x = keras.ops.cast(keras.ops.convert_to_tensor(x), dtype)
        if keras.backend.backend() == "tensorflow":
            import tensorflow as tf

            with tf.GradientTape() as tape:
                tape.watch(x)
                total = tf.reduce_sum(function(x))
            found = tape.gradient(total, x)
        elif keras.backend.backend() == "jax":
            import jax

            found = jax.grad(lambda value: function(value).sum())(x)
        else:
            import torch

            x = x.detach().requires_grad_()
            (found,) = torch.autograd.grad(function(x).sum(), x)
        return keras.ops.convert_to_numpy(keras.ops.cast(found, "float32"))

    return of
