"""Shared by the terminal's tests: how an app is driven, and runs to look at."""

from __future__ import annotations

import asyncio
import itertools
import json
import time
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest

from kplug.runs.directory import RunDirectory, create_run_directory, write_atomically
from kplug.runs.process import identity
from kplug.runs.records import MetricRecord, RecordWriter
from kplug.runs.spec import spec_from

_TIME_LIMIT_SECONDS = 600.0

Drive = Callable[[Callable[[], Coroutine[Any, Any, Any]]], Any]


@pytest.fixture
def drive() -> Drive:
    """Run an async function to its end, and return what it returns."""

    def run(steps: Callable[[], Coroutine[Any, Any, Any]]) -> Any:
        return asyncio.run(asyncio.wait_for(steps(), _TIME_LIMIT_SECONDS))

    return run


MakeRun = Callable[..., RunDirectory]


@pytest.fixture
def make_run(tmp_path: Path) -> MakeRun:
    """Make a run in `tmp_path / "runs"`: its state, its losses by epoch, and fields of its spec."""

    numbers = itertools.count()

    def make(
        state: str = "completed",
        losses: tuple[float, ...] = (3.0, 2.0, 1.0),
        run_id: str | None = None,
        now: float | None = None,
        **fields: Any,
    ) -> RunDirectory:
        spec = spec_from({"model": "kplug/vae", "dataset": "kplug/digits", "epochs": 4, **fields})
        directory = create_run_directory(tmp_path / "runs", spec, {})
        # Ids of one second are in no order; these are in the order in which they were made.
        number = next(numbers)
        run_id = run_id or f"20250101-{number:06}-vae-digits-{number:04x}"
        directory = RunDirectory(directory.path.rename(tmp_path / "runs" / run_id))
        now = time.time() if now is None else now
        writer = RecordWriter(directory.metrics)
        for epoch, loss in enumerate(losses):
            for step in range(5):
                record = MetricRecord(5 * epoch + step + 1, epoch, now - 100 + epoch, {"loss": loss + 0.1 * (4 - step)})
                writer.write_metrics(record)
            ended = {"loss": loss, "val_loss": loss + 0.5, "accuracy": 1.0 - loss / 10}
            writer.write_metrics(MetricRecord(5 * epoch + 5, epoch, now - 99 + epoch, ended, epoch_end=True))
        writer.close()
        directory.log.write_text("".join(f"epoch {epoch + 1}/4\n" for epoch in range(len(losses))))
        status = {"state": state, "created": now - 120, "started": now - 110, "first_batch": now - 100, **identity()}
        status |= {"epochs": 4, "steps_per_epoch": 5, "epoch": len(losses), "step": 5 * len(losses)}
        write_atomically(directory.status, json.dumps(status))
        return directory

    return make


Until = Callable[..., Coroutine[Any, Any, None]]


@pytest.fixture
def until() -> Until:
    """Wait until something is true of an app that a pilot drives."""

    async def wait(pilot: Any, true: Callable[[], Any], patience: float = 20.0) -> None:
        deadline = time.monotonic() + patience
        while not true():
            assert time.monotonic() < deadline, f"it never came true; on the screen:\n{_text_on(pilot.app)}"
            await pilot.pause(0.02)

    return wait


@pytest.fixture
def text_on() -> Callable[[Any], str]:
    """Return what stands on an app's screen."""
    return _text_on


def _text_on(app: Any) -> str:
    return "\n".join("".join(one.text for one in strip) for strip in app.screen._compositor.render_strips())
