"""Ten thousand runs, five of which go on: seconds to index them, milliseconds to ask about them.

python benchmarks/runs.py
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from record import machine, print_table, write_result

from kplug.runs import open_run
from kplug.runs.directory import create_run_directory, write_atomically
from kplug.runs.index import INDEX_FILE, RunIndex, find, summaries
from kplug.runs.process import identity
from kplug.runs.records import MetricRecord, RecordWriter
from kplug.runs.spec import spec_from

QUESTION = "val_loss<0.3 and model=vae"
ROUNDS = 15
LIVE = 5


def make_runs(root: Path, count: int) -> None:
    """Make directories of runs with 50 epochs each: the last five go on, the others were completed an hour ago."""
    for number in range(count):
        model = {"name": "kplug/vae", "parameters": {"latent_dim": number % 32, "beta": 1.0}}
        directory = create_run_directory(root, spec_from({"model": model, "dataset": "kplug/digits"}), {})
        writer = RecordWriter(directory.metrics)
        for epoch in range(50):
            metrics = {"loss": 1 / (epoch + 1), "val_loss": (number % 100) / 100 + 1 / (epoch + 1)}
            writer.write_metrics(MetricRecord(11 * epoch, epoch, time.time(), metrics, epoch_end=True))
        writer.close()
        state = {"state": "completed"} if number < count - LIVE else {"state": "running", **_here()}
        write_atomically(directory.status, json.dumps({**state, "created": time.time(), "epoch": 50}))
        os.utime(directory.path, (time.time() - 3600,) * 2)


def main() -> None:
    """Measure, print and record."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--runs", type=int, default=10_000)
    count = arguments.parse_args().runs
    where = machine()
    with tempfile.TemporaryDirectory(prefix="kplug-runs-") as folder:
        root = Path(folder)
        make_runs(root, count)
        going_on = sum(one["state"] == "running" for one in summaries(root))
        if going_on != LIVE:
            raise SystemExit(f"{going_on} runs go on instead of {LIVE}")
        rebuilding = []
        for _ in range(3):
            for path in root.glob(f"{INDEX_FILE}*"):
                path.unlink()
            rebuilding.append(_seconds(lambda: summaries(root)))
        index = RunIndex(root)
        newest = index.refresh().runs[0]["id"]
        rows = {"index made anew (s)": rebuilding, **_by_turns(_contestants(root, index, newest))}
        answers = len(find(root, QUESTION).runs)
    figures = {
        name: {"median": round(statistics.median(values), 2), "least": round(min(values), 2)}
        for name, values in rows.items()
    }
    print_table([{"measured": name, **row} for name, row in figures.items()])
    write_result(
        "runs", {**figures, "answers": answers}, where, {"runs": count, "of which go on": LIVE, "rounds": ROUNDS}
    )


def _contestants(root: Path, index: RunIndex, newest: str) -> dict[str, Callable[[], object]]:
    listing = [sys.executable, "-m", "kplug", "runs", "list", "--runs-dir", str(root)]

    def process(command: list[str]) -> Callable[[], object]:
        return lambda: subprocess.run(command, check=True, capture_output=True)

    return {
        "looking at the directories alone (ms)": lambda: _look(root),
        f"{QUESTION} (ms)": lambda: find(root, QUESTION),
        "val_loss<0.03 (ms)": lambda: find(root, "val_loss<0.03"),
        "sorted by val_loss, 20 of all (ms)": lambda: find(root, sort="val_loss", limit=20),
        "all summaries (ms)": lambda: summaries(root),
        "refresh in a living process (ms)": index.refresh,
        "a run by its id (ms)": lambda: open_run(newest, root),
        "a run by the beginning of its id (ms)": lambda: open_run(newest[:-1], root),
        f"kplug runs list --where '{QUESTION}' (ms)": process([*listing, "--where", QUESTION]),
        "kplug --help (ms)": process([sys.executable, "-m", "kplug", "--help"]),
        "bare python (ms)": process([sys.executable, "-c", ""]),
    }


def _by_turns(contestants: dict[str, Callable[[], object]]) -> dict[str, list[float]]:
    """Return milliseconds, each contestant once a round, so that a slow moment is everybody's."""
    rows: dict[str, list[float]] = {name: [] for name in contestants}
    for _ in range(ROUNDS):
        for name, work in contestants.items():
            rows[name].append(1000 * _seconds(work))
    return rows


def _look(root: Path) -> None:
    for name in os.listdir(root):  # noqa: PTH208 - as quick as Python can
        os.stat(f"{root}/{name}")  # noqa: PTH116


def _here() -> dict[str, object]:
    """Return what is known of a worker that lives as long as this process."""
    return {**identity(), "heartbeat": time.time()}


def _seconds(work) -> float:
    begun = time.perf_counter()
    work()
    return time.perf_counter() - begun


if __name__ == "__main__":
    main()
