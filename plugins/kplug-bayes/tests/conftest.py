"""Shared by all tests."""

from __future__ import annotations

import os

import pytest

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")


@pytest.fixture(scope="session")
def other_backends() -> tuple[str, ...] | None:
    """Backends that layers are compared on: all, from TensorFlow; runs on the others need not repeat it."""
    return None if os.environ.get("KERAS_BACKEND", "tensorflow") == "tensorflow" else ()
