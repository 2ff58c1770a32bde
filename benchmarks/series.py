"""A million metric records as columns: seconds to read them, cold and from the cache, and to thin them out for a plot.

python benchmarks/series.py --peer-python PATH_TO_A_PYTHON_WITH_PANDAS

Beside pandas reading the same file, and TensorBoard's reader the same scalars from event files.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from importlib import metadata
from pathlib import Path

from record import machine, print_table, write_result

from kplug.runs import Run
from kplug.runs.directory import RunDirectory
from kplug.runs.exchange import export_run
from kplug.runs.records import MetricRecord, RecordWriter

FILES = {"one metric": (1_000_000, 1), "ten metrics": (100_000, 10)}
STEPS_PER_EPOCH = 1000

# Each reading is a process of its own, and its memory is nobody else's; imports are not counted.
KPLUG = """
import sys, time
from pathlib import Path
from kplug.runs import series
import tsdownsample
begun, worked = time.perf_counter(), time.process_time()
arrays = series.read_arrays(Path(sys.argv[1]))
read, worked = time.perf_counter() - begun, time.process_time() - worked
steps = ~arrays.epoch_end
begun = time.perf_counter()
x, y = series.decimated(arrays.steps[steps], arrays.metrics["loss"][steps], 400)
print(read, time.perf_counter() - begun, worked)
"""
PANDAS = """
import sys, time
import pandas
begun = time.perf_counter()
table = pandas.read_json(sys.argv[1], lines=True)
metrics = pandas.DataFrame(table["metrics"].tolist())
print(time.perf_counter() - begun, len(metrics))
"""
TENSORBOARD = """
import sys, time
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
begun = time.perf_counter()
events = EventAccumulator(sys.argv[1], size_guidance={"tensors": 0})
events.Reload()
print(time.perf_counter() - begun, sum(len(events.Tensors(tag)) for tag in events.Tags()["tensors"]))
"""


def main() -> None:
    """Measure, print and record."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--peer-python", default=sys.executable)
    arguments.add_argument("--rounds", type=int, default=5)
    arguments.add_argument("--peer-rounds", type=int, default=2)
    options = arguments.parse_args()
    where = machine()
    figures = {name: _measured(*shape, options) for name, shape in FILES.items()}
    rows = [
        {"file": file, "measured": name, **(row if isinstance(row, dict) else {"median": row, "least": row})}
        for file, measured in figures.items()
        for name, row in measured.items()
    ]
    print_table(rows)
    peers = {name: metadata.version(name) for name in ("msgspec", "tsdownsample", "tensorboard")}
    peers["pandas"] = _printed("import pandas; print(pandas.__version__)", python=options.peer_python).strip()
    write_result("series", figures, where, {"rounds": options.rounds, "peer_rounds": options.peer_rounds}, peers)


def _measured(records: int, metrics: int, options: argparse.Namespace) -> dict[str, dict | float]:
    with tempfile.TemporaryDirectory(prefix="kplug-series-") as folder:
        directory = RunDirectory(Path(folder) / "run")
        directory.path.mkdir()
        _write_records(directory.metrics, records, metrics)
        cache = directory.path / ".metrics.jsonl.columns"
        cold, worked, warm, thinned, export = [], [], [], [], []
        for _ in range(options.rounds):
            cache.unlink(missing_ok=True)
            read, _, processor = _output(KPLUG, directory.metrics)
            cold.append(read)
            worked.append(processor)
            read, thinning, _ = _output(KPLUG, directory.metrics)
            warm.append(read)
            thinned.append(thinning)
        logs = Path(folder) / "logs"
        begun = time.perf_counter()
        export_run(Run(directory), logs)
        export.append(time.perf_counter() - begun)
        return {
            "read cold (s)": _summary(cold),
            "processor time of that (s)": _summary(worked),
            "read from the cache (s)": _summary(warm),
            "thinned out to 400 points (s)": _summary(thinned),
            "pandas.read_json (s)": _summary(
                [_output(PANDAS, directory.metrics, options.peer_python)[0] for _ in range(options.peer_rounds)]
            ),
            "written for TensorBoard (s)": _summary(export),
            "TensorBoard's EventAccumulator (s)": _summary(
                [_output(TENSORBOARD, logs / "train")[0] for _ in range(options.peer_rounds)]
            ),
            "megabytes of records": round(directory.metrics.stat().st_size / 1e6, 1),
            "megabytes of cache": round(cache.stat().st_size / 1e6, 1),
        }


def _write_records(path: Path, records: int, metrics: int) -> None:
    writer = RecordWriter(path)
    names = ["loss", *(f"metric_{index}" for index in range(1, metrics))]
    for step in range(1, records + 1):
        values = {name: 2.5 / (1 + 1e-4 * step) + step * 0.618034 % 1 / (2 + index) for index, name in enumerate(names)}
        epoch, done = divmod(step, STEPS_PER_EPOCH)
        writer.write_metrics(MetricRecord(step, epoch, 1.79e9 + 0.1234567 * step, values))
        if not done:
            ended = {**values, **{f"val_{name}": value for name, value in values.items()}}
            writer.write_metrics(MetricRecord(step, epoch - 1, 1.79e9 + 0.1234567 * step, ended, epoch_end=True))
    writer.close()


def _output(code: str, path: Path, python: str = sys.executable) -> list[float]:
    return [float(one) for one in _printed(code, str(path), python=python).split()]


def _printed(code: str, *arguments: str, python: str) -> str:
    return subprocess.run([python, "-c", code, *arguments], check=True, capture_output=True, text=True).stdout


def _summary(values: list[float]) -> dict[str, float]:
    return {"median": round(statistics.median(values), 4), "least": round(min(values), 4)}


if __name__ == "__main__":
    main()
