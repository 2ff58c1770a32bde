"""What a run costs over a bare script: seconds per epoch, seconds to the first batch, microseconds per recorded step.

    python benchmarks/run_overhead.py

Runs started through kplug take turns with bare scripts (`bare_fit.py`): one with the settings that the worker chooses
but no run around it, one with plain `fit` as most people write it.
"""

from __future__ import annotations

import argparse
import itertools
import json
import operator
import os
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from record import machine, print_table, spread, write_result
from side_by_side import by_round, child_environment, take_turns

from kplug.runs.completion import complete
from kplug.runs.launch import launch

PROGRAM = Path(__file__).with_name("bare_fit.py")
WARM_UP_EPOCHS = 4
TIME_LIMIT = 300


@dataclass(frozen=True)
class Timing:
    """One training.

    Attributes:
        first_batch_begun: Seconds from the start until Keras asked for the first batch; tracing comes after it.
        first_batch_done: Seconds from the start until the first execution was over, tracing included.
        epoch: Median seconds per epoch, validation included, after a few to warm up.
    """

    first_batch_begun: float
    first_batch_done: float
    epoch: float


def bare(way: str, epochs: int) -> Timing:
    """Train in a bare script; the start is the spawning of its process."""
    begun = time.time()
    seen = _answer(way, epochs)
    return Timing(
        seen["first_batch_begun"] - begun, seen["first_batch_done"] - begun, _seconds_per_epoch(seen["epoch_ends"])
    )


def through_kplug(epochs: int, root: Path) -> Timing:
    """Train in a run; the start is the making of its directory."""
    run = launch(complete({"model": "vae", "dataset": "digits", "epochs": epochs}), root)
    patience = time.monotonic() + TIME_LIMIT
    while not run.ended and time.monotonic() < patience:
        time.sleep(0.5)
    status, records = run.status, run.metrics()
    if status["state"] != "completed":
        raise SystemExit(f"run {run.id} is {status['state']}:\n{run.log()}")
    return Timing(
        status["first_batch"] - status["created"],
        records[0].time - status["created"],
        _seconds_per_epoch([record.time for record in records if record.epoch_end]),
    )


def _answer(way: str, epochs: int) -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, str(PROGRAM), way, str(epochs)],
        capture_output=True,
        env=child_environment(),
        text=True,
        check=False,
    )
    if done.returncode:
        raise SystemExit(f"bare_fit.py {way} ended with exit code {done.returncode}:\n{done.stderr[-2000:]}")
    return json.loads(done.stdout.splitlines()[-1])


def _seconds_per_epoch(ends: list[float]) -> float:
    ends = ends[WARM_UP_EPOCHS - 1 :]
    return statistics.median(after - before for before, after in itertools.pairwise(ends))


def compare(measured: dict[str, list[Timing]]) -> dict[str, Any]:
    """Return each way's medians, and kplug's figures against them, round by round."""
    ours = measured["kplug run"]
    figures: dict[str, Any] = {}
    for way, timings in measured.items():
        pairs = {
            name: ([getattr(one, name) for one in ours], [getattr(one, name) for one in timings])
            for name in ("first_batch_begun", "first_batch_done", "epoch")
        }
        figures[way] = {
            **{f"{name}_seconds": round(statistics.median(theirs), 4) for name, (_, theirs) in pairs.items()},
            "epoch_seconds_by_round": [round(one.epoch, 4) for one in timings],
            "kplug_epoch_ratio": by_round(*pairs["epoch"]),
            "kplug_later_to_begin_seconds": by_round(*pairs["first_batch_begun"], operator.sub),
            "kplug_later_to_be_done_seconds": by_round(*pairs["first_batch_done"], operator.sub),
        }
    return figures


def main() -> None:
    """Measure, print and record."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=12)
    parser.add_argument("--epochs", type=int, default=24)
    arguments = parser.parse_args()
    where = machine()
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    with tempfile.TemporaryDirectory() as root:
        measured = take_turns(
            {
                "kplug run": lambda: through_kplug(arguments.epochs, Path(root)),
                "bare, same settings": lambda: bare("same-settings", arguments.epochs),
                "bare, plain fit": lambda: bare("plain", arguments.epochs),
            },
            arguments.rounds,
        )
    figures = compare(measured)
    print_table(
        [
            {
                "way": way,
                "s to first batch": row["first_batch_begun_seconds"],
                "s until done": row["first_batch_done_seconds"],
                "s per epoch": row["epoch_seconds"],
                "kplug's epoch ratio": spread(row["kplug_epoch_ratio"]),
                "kplug begins later by s": spread(row["kplug_later_to_begin_seconds"]),
                "is done later by s": spread(row["kplug_later_to_be_done_seconds"]),
            }
            for way, row in figures.items()
        ]
    )
    figures["recorder"] = {name: round(value, 1) for name, value in _answer("recorder", 100).items()}
    print("\nrecorder, timed within fit")
    print_table([figures["recorder"]])
    settings = {"rounds": arguments.rounds, "epochs": arguments.epochs, "warm_up_epochs": WARM_UP_EPOCHS}
    write_result("run_overhead", figures, where, settings)


if __name__ == "__main__":
    main()
