"""Shared by the tests of losses: gradients on any backend, a dtype policy for one test."""

from __future__ import annotations

from collections.abc import Callable, Iterator

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


@pytest.fixture
def set_dtype_policy() -> Iterator[Callable[[str], None]]:
    """Set Keras' global dtype policy for the length of one test."""
    before = keras.config.dtype_policy()
    yield keras.config.set_dtype_policy
    keras.config.set_dtype_policy(before)


@pytest.fixture(scope="session")
def on_xla() -> None:
    """Skip where `jit_compile=True` does not mean XLA."""
    if keras.backend.backend() == "torch":
        pytest.skip("PyTorch has no XLA")
