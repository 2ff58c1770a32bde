"""Random keys, sizes and disasters on every screen of the terminal: does it go on?

    python benchmarks/tui_fuzz.py --minutes 10

A directory of runs with hostile names, broken files, a log of 100 MB and a metric of half a million records is opened;
then random keys are pressed, the terminal is resized to 20x5 and below, and files vanish, are cut and filled with
garbage. What the keys do is done, except that no worker is started or ended. Any exception ends it with the keys that
led there, and so does a thread that no longer reads.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import random
import shutil
import tempfile
import time
from collections import deque
from pathlib import Path
from typing import Any

from record import machine, write_result

from kplug.errors import RunStorageError
from kplug.runs import launch
from kplug.runs.directory import RunDirectory, create_run_directory, write_atomically
from kplug.runs.labels import rename, tag
from kplug.runs.process import identity
from kplug.runs.records import MetricRecord, RecordWriter
from kplug.runs.run import Run
from kplug.runs.spec import spec_from
from kplug_tui.app import KplugApp
from kplug_tui.screens import new_run
from kplug_tui.settings import Settings

KEYS = [
    *"abcdefghijklmnoprstuvwxyzABCDEFGHIJKLMNOPRSTUVWXYZ0123456789",
    *("slash", "question_mark", "comma", "full_stop", "plus", "minus", "equals_sign", "space", "tab", "shift+tab"),
    *("left_square_bracket", "right_square_bracket", "left_parenthesis", "right_parenthesis", "less_than_sign"),
    *("up", "down", "left", "right", "pageup", "pagedown", "home", "end", "enter", "escape", "escape", "backspace"),
    *("delete", "f1", "f2", "f5", "ctrl+p", "ctrl+s", "ctrl+r", "ctrl+e", "ctrl+o", "shift+left", "shift+right"),
]
SIZES = [(200, 60), (120, 40), (80, 24), (60, 15), (40, 10), (20, 5), (5, 2)]
HOSTILE = [
    "\x1b[31mred\x1b[0m",
    "[bold red]x[/nothing]",
    "../../etc/passwd",
    "x" * 180,
    "漢字" * 40,
    "\u202egnp.exe",
    "",
]


def main() -> None:
    """Press keys for some minutes, and write down how many."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--minutes", type=float, default=10.0)
    arguments.add_argument("--seed", type=int, default=0)
    chosen = arguments.parse_args()
    where = machine()
    with tempfile.TemporaryDirectory(prefix="kplug-fuzz-", ignore_cleanup_errors=True) as folder:
        os.environ["KPLUG_HOME"] = folder
        figures = asyncio.run(pressed(Path(folder) / "runs", chosen.minutes * 60, chosen.seed))
    print(figures)
    write_result("tui_fuzz", figures, where, vars(chosen))


async def pressed(root: Path, seconds: float, seed: int) -> dict[str, Any]:
    """Press random keys for a while, and return what happened.

    Raises:
        RuntimeError: If the app ends, or shows a traceback; with the last keys.
    """
    rng = random.Random(seed)
    runs = make_runs(root, rng)
    app = KplugApp(root, Settings(low_bandwidth=seed % 2 == 1))
    app.action_quit = _nothing  # type: ignore[method-assign]
    app.action_suspend_process = lambda: None  # type: ignore[method-assign]
    # A run that is started or resumed here would be a real one, and what is ended would be this process.
    Run.kill = Run.stop = lambda run: None  # type: ignore[method-assign, assignment]
    launch.launch = new_run.launch = launch.resume = _refused  # type: ignore[assignment]
    os.chdir(root.parent)  # exports go where one types
    keys, disasters, seen = 0, 0, set()
    last: deque[str] = deque(maxlen=60)
    deadline = time.monotonic() + seconds
    async with app.run_test(size=(120, 40)) as pilot:
        while time.monotonic() < deadline:
            event = rng.random()
            if event < 0.02:
                size = rng.choice(SIZES)
                last.append(f"resize {size}")
                await pilot.resize_terminal(*size)
            elif event < 0.03:
                last.append("disaster")
                disaster(rng, runs)
                disasters += 1
            elif event < 0.05:
                last.append("visit")
                await visit(rng, pilot, runs)
            else:
                key = rng.choice(KEYS)
                last.append(key)
                await pilot.press(key)
                keys += 1
            seen.add(type(app.screen).__name__)
            if app._exception is not None or not app.is_running:
                raise RuntimeError(f"It ended after {list(last)}") from app._exception
            if not app.reader._thread.is_alive():
                raise RuntimeError(f"Nothing reads any more after {list(last)}")
            if keys % 50 == 0 and any("Traceback" in str(line) for line in _lines(app)):
                raise RuntimeError(f"A traceback is shown after {list(last)}")
    return {"keys": keys, "disasters": disasters, "screens": sorted(seen)}


async def visit(rng: random.Random, pilot: Any, runs: list[RunDirectory]) -> None:
    """Go to a screen, which random keys would find too rarely; by way of the first one."""
    app = pilot.app
    for _ in range(12):
        if len(app.screen_stack) > 1:
            await pilot.press("escape")
    if len(app.screen_stack) > 4:
        return
    ids = [directory.id for directory in runs]
    rng.choice(
        [
            lambda: app.open_run(rng.choice(ids)),
            lambda: app.open_run(rng.choice(ids)),
            lambda: app.open_comparison(rng.sample(ids, rng.randrange(2, 10))),
            lambda: app.open_new_run({"model": "vae", "dataset": "digits"}),
            app.action_settings,
            lambda: app.action_go("catalog"),
            lambda: app.action_go("devices"),
            lambda: app.action_go("runs"),
        ]
    )()
    await pilot.pause()


def make_runs(root: Path, rng: random.Random) -> list[RunDirectory]:
    """Make runs of all states, with names that would do harm."""
    runs = []
    for number, state in enumerate(["running", "queued", "completed", "failed", "stopped", "lost", "completed"] * 3):
        spec = spec_from({"model": "kplug/vae", "dataset": "kplug/digits", "epochs": 20})
        directory = create_run_directory(root, spec, {})
        writer = RecordWriter(directory.metrics)
        for step in range(500_000 if number == 2 else 200):
            metrics = {"loss": rng.choice([1.0, 1e30, -1e-30, float("nan"), float("inf"), 3.0]), "acc[0]": 0.5}
            ended = {**metrics, "val_loss": rng.random(), "[red]m[/]": 1.0}
            writer.write_metrics(MetricRecord(step, step // 10, 1000.0 + step, ended, epoch_end=step % 10 == 9))
        writer.close()
        now = time.time()
        status = {"state": state, "created": now, "first_batch": now, "step": 200, "steps_per_epoch": 10, "epochs": 20}
        write_atomically(directory.status, json.dumps({**status, **identity(), "error": HOSTILE[number % 7]}))
        lines = 1_700_000 if number == 0 else 200
        directory.log.write_text("".join(f"\x1b[2J line {line} {HOSTILE[line % 7]}\n" for line in range(lines)))
        (directory.artifacts / "picture.png").write_bytes(b"\x89PNG no picture")
        (directory.artifacts / "table.csv").write_text("a,b\n1,2\n")
        directory.events.write_text('{"time": 1, "event": "started"}\nno json\n')
        with contextlib.suppress(Exception):
            rename(directory, HOSTILE[number % 7])
            tag(directory, ["odd", "[b]"])
        runs.append(directory)
    return runs


def disaster(rng: random.Random, runs: list[RunDirectory]) -> None:
    """Do to a run's files what one hopes will not happen."""
    directory = rng.choice(runs)
    files = [directory.spec, directory.status, directory.metrics, directory.log, directory.events, directory.labels]
    path = rng.choice([*files, directory.artifacts / "picture.png"])
    with contextlib.suppress(OSError):
        kind = rng.randrange(5)
        if kind == 0:
            path.write_bytes(rng.randbytes(300))
        elif kind == 1:
            os.truncate(path, path.stat().st_size // 2)
        elif kind == 2:
            path.unlink()
        elif kind == 3:
            path.write_text('{"state": "running", "step": "x", "epochs": [], "gpus": 3, "metrics": 7}\n')
        elif rng.random() < 0.1:
            shutil.rmtree(directory.path)


def _lines(app: KplugApp) -> list[str]:
    return app.export_screenshot().splitlines() if app.size.width > 20 else []


def _refused(*arguments: Any, **options: Any) -> Any:
    """Start nothing, and say so as a directory does that is not there."""
    raise RunStorageError("[b]no[/b] worker is started here")


async def _nothing() -> None:
    """Go on: the keys are random, and some mean to leave."""


if __name__ == "__main__":
    main()
