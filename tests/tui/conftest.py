"""Shared by the terminal's tests: how an app is driven, and runs to look at."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

_TIME_LIMIT_SECONDS = 60.0

Drive = Callable[[Callable[[], Coroutine[Any, Any, Any]]], Any]


@pytest.fixture
def drive() -> Drive:
    """Run an async function to its end, and return what it returns."""

    def run(steps: Callable[[], Coroutine[Any, Any, Any]]) -> Any:
        return asyncio.run(asyncio.wait_for(steps(), _TIME_LIMIT_SECONDS))

    return run
