"""How long commands take, whole processes, beside what they must not import.

python benchmarks/cli.py
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time

from record import print_table, write_result

KPLUG = [sys.executable, "-m", "kplug"]
COMMANDS = {
    "python -c pass": [sys.executable, "-c", "pass"],
    "import typer": [sys.executable, "-c", "import typer"],
    "import tensorflow": [sys.executable, "-c", "import tensorflow"],
    "kplug --help": [*KPLUG, "--help"],
    "kplug list": [*KPLUG, "list"],
    "kplug list losses": [*KPLUG, "list", "losses"],
    "kplug show vae": [*KPLUG, "show", "vae"],
    "kplug runs list": [*KPLUG, "runs", "list"],
    "kplug train … --detach": [*KPLUG, "train", "vae", "--data", "digits", "--epochs", "1", "--detach"],
}
SLOW = {"import tensorflow": 3, "kplug train … --detach": 7}
TARGETS = {"kplug --help": 150, "kplug list": 150, "kplug train … --detach": 400}


def measure(command: list[str], runs: int) -> dict[str, float]:
    """Return the least and the median wall time in milliseconds, after one warm-up."""
    times = []
    for _ in range(runs + 1):
        begun = time.perf_counter()
        subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=True)
        times.append((time.perf_counter() - begun) * 1000)
        _wait_for_runs()
    return {"min_ms": round(min(times[1:])), "median_ms": round(statistics.median(times[1:]))}


def _wait_for_runs() -> None:
    """Let detached runs end, so that they take no time from the next measurement."""
    from kplug.runs import list_runs

    while any(not run.ended for run in list_runs()):
        time.sleep(0.1)


def main() -> None:
    """Measure, print and record."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=15)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as home:
        os.environ["KPLUG_HOME"] = home
        figures = {name: measure(command, SLOW.get(name, arguments.runs)) for name, command in COMMANDS.items()}
    rows = [{"command": name, **figure, "target_ms": TARGETS.get(name, "")} for name, figure in figures.items()]
    print_table(rows)
    write_result("cli", figures)


if __name__ == "__main__":
    main()
