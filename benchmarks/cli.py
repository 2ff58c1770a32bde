"""How long commands take, whole processes, beside what they must not import.

    python benchmarks/cli.py

Every command runs once per round. Descriptions of components are in their cache, from a round that is not counted.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from record import machine, print_table, spread, write_result
from side_by_side import by_round, child_environment, take_turns

from kplug.runs import list_runs

KPLUG = str(Path(sys.executable).with_name("kplug"))
COMMANDS = {
    "python -c pass": [sys.executable, "-c", "pass"],
    'python -c "import typer"': [sys.executable, "-c", "import typer"],
    'python -c "import tensorflow"': [sys.executable, "-c", "import tensorflow"],
    "kplug --help": [KPLUG, "--help"],
    "kplug list": [KPLUG, "list"],
    "kplug list losses": [KPLUG, "list", "losses"],
    "kplug show vae": [KPLUG, "show", "vae"],
    "kplug runs list": [KPLUG, "runs", "list"],
    "kplug train ... --detach": [KPLUG, "train", "vae", "--data", "digits", "--epochs", "1", "--detach"],
}
TARGETS = {"kplug --help": 150, "kplug list": 150}
"""Milliseconds that a command may take."""

TENSORFLOW = 'python -c "import tensorflow"'
TIME_LIMIT = 120


def measure(command: list[str], environment: dict[str, str]) -> float:
    """Return a command's wall time in milliseconds; a run that it starts is stopped and over afterwards."""
    begun = time.perf_counter()
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    milliseconds = (time.perf_counter() - begun) * 1000
    if done.returncode:
        raise SystemExit(f"{' '.join(command[1:])} ended with exit code {done.returncode}:\n{done.stderr}")
    if "--detach" in command:
        _end_runs()
    return milliseconds


def _end_runs() -> None:
    patience = time.monotonic() + TIME_LIMIT
    for run in list_runs():
        if not run.ended:
            run.stop()
        while not run.ended:
            if time.monotonic() > patience:
                raise SystemExit(f"run {run.id} does not end")
            time.sleep(0.1)


def main() -> None:
    """Measure, print and record."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=15)
    arguments = parser.parse_args()
    where = machine()
    with tempfile.TemporaryDirectory() as home:
        os.environ["KPLUG_HOME"] = home
        environment = child_environment()
        turns = {name: lambda command=command: measure(command, environment) for name, command in COMMANDS.items()}
        take_turns(turns, rounds=1)
        times = take_turns(turns, arguments.rounds)
    figures: dict[str, dict[str, Any]] = {
        name: {
            "min_ms": round(min(values), 1),
            "median_ms": round(statistics.median(values), 1),
            "ratio_to_import_tensorflow": by_round(values, times[TENSORFLOW]),
            **({"target_ms": TARGETS[name]} if name in TARGETS else {}),
        }
        for name, values in times.items()
    }
    print_table(
        [
            {
                "command": name,
                "min ms": row["min_ms"],
                "median ms": row["median_ms"],
                "target ms": row.get("target_ms", ""),
                "of import tensorflow": spread(row["ratio_to_import_tensorflow"]),
            }
            for name, row in figures.items()
        ]
    )
    write_result("cli", figures, where, {"rounds": arguments.rounds})


if __name__ == "__main__":
    main()
