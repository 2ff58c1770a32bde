"""Shared by the tests of models: small data, small compiled VAEs, numbers out of tensors."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import keras
import numpy as np
import pytest

import kplug


@pytest.fixture(scope="session")
def table() -> np.ndarray:
    """20 rows of 4 features between 0 and 1."""
    return np.random.default_rng(0).uniform(size=(20, 4)).astype("float32")


@pytest.fixture(scope="session")
def digits_8x8() -> np.ndarray:
    """12 grey images of shape (8, 8, 1)."""
    return kplug.get("digits")().test[0][:12]


@pytest.fixture(scope="session")
def small_vae() -> Callable[..., kplug.VAE]:
    """Make a compiled VAE with one hidden layer of 8 units.

    All randomness is set anew: use one VAE (it draws its weights at first sight of data) before making the next.
    """

    def make(optimizer: str | keras.Optimizer = "sgd", jit_compile: bool | str = "auto", **arguments) -> kplug.VAE:
        keras.utils.set_random_seed(0)
        vae = kplug.VAE(**{"units": (8,), "seed": 1, **arguments})
        vae.compile(optimizer, jit_compile=jit_compile)
        return vae

    return make


@pytest.fixture
def set_dtype_policy() -> Iterator[Callable[[str], None]]:
    """Set Keras' global dtype policy for the length of one test."""
    before = keras.config.dtype_policy()
    yield keras.config.set_dtype_policy
    keras.config.set_dtype_policy(before)
