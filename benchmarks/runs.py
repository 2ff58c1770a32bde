"""Ten thousand runs: seconds to index them, milliseconds to ask about them, and those of the whole command.

python benchmarks/runs.py
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from record import machine, print_table, write_result

from kplug.runs.directory import create_run_directory, write_atomically
from kplug.runs.index import INDEX_FILE, summaries
from kplug.runs.query import matching
from kplug.runs.records import MetricRecord, RecordWriter
from kplug.runs.spec import spec_from

QUESTION = "val_loss<0.3 and model=vae and latent_dim>8"
ROUNDS = 9


def make_runs(root: Path, count: int) -> None:
    """Make directories of completed runs with 50 epochs each."""
    for number in range(count):
        model = {"name": "kplug/vae", "parameters": {"latent_dim": number % 32, "beta": 1.0}}
        directory = create_run_directory(root, spec_from({"model": model, "dataset": "kplug/digits"}), {})
        writer = RecordWriter(directory.metrics)
        for epoch in range(50):
            metrics = {"loss": 1 / (epoch + 1), "val_loss": (number % 100) / 100 + 1 / (epoch + 1)}
            writer.write_metrics(MetricRecord(11 * epoch, epoch, time.time(), metrics, epoch_end=True))
        writer.close()
        write_atomically(directory.status, json.dumps({"state": "completed", "created": time.time(), "epoch": 50}))


def main() -> None:
    """Measure, print and record."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--runs", type=int, default=10_000)
    count = arguments.parse_args().runs
    where = machine()
    with tempfile.TemporaryDirectory(prefix="kplug-runs-") as folder:
        root = Path(folder)
        make_runs(root, count)
        rebuilding = []
        for _ in range(3):
            for path in root.glob(f"{INDEX_FILE}*"):
                path.unlink()
            rebuilding.append(_seconds(lambda: summaries(root)))
        found = summaries(root)
        command = [sys.executable, "-m", "kplug", "runs", "list", "--runs-dir", folder, "--where", QUESTION]
        rows = {
            "index made anew (s)": rebuilding,
            "index read (ms)": [1000 * _seconds(lambda: summaries(root)) for _ in range(ROUNDS)],
            "question answered (ms)": [1000 * _seconds(lambda: matching(found, QUESTION)) for _ in range(ROUNDS)],
            "kplug runs list --where … (ms)": [
                1000 * _seconds(lambda: subprocess.run(command, check=True, capture_output=True)) for _ in range(ROUNDS)
            ],
            "bare python (ms)": [
                1000 * _seconds(lambda: subprocess.run([sys.executable, "-c", ""], check=True)) for _ in range(ROUNDS)
            ],
        }
        answers = len(matching(found, QUESTION))
    figures = {
        name: {"median": round(statistics.median(values), 2), "least": round(min(values), 2)}
        for name, values in rows.items()
    }
    print_table([{"measured": name, **row} for name, row in figures.items()])
    write_result("runs", {**figures, "answers": answers}, where, {"runs": count, "rounds": ROUNDS})


def _seconds(work) -> float:
    begun = time.perf_counter()
    work()
    return time.perf_counter() - begun


if __name__ == "__main__":
    main()
