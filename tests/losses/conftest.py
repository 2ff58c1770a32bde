"""Shared by the tests of losses: a dtype policy for one test."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import keras
import pytest


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
