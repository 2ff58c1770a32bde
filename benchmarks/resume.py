"""Runs killed at random moments and resumed until they finish: are they equal to the bit to those left alone?

    python benchmarks/resume.py --runs 100

Each contestant is a run of its own kind (dropout, augmentation, annealing, callbacks, mixed precision, a schedule). It
is killed with SIGKILL after a random time, resumed, killed again, until it has been killed often enough; then its last
checkpoint (weights, optimizer, random generators, callbacks, position), the model that it leaves, the names of its
artifacts and its metric records are compared with those of the same run without an interruption.
"""

from __future__ import annotations

import argparse
import io
import os
import random
import signal
import tempfile
import time
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from record import machine, write_result

from kplug.runs.completion import complete
from kplug.runs.launch import launch, resume
from kplug.runs.records import RecordReader
from kplug.runs.run import Run
from kplug.training.checkpoints import Checkpoints

RUNS: dict[str, tuple[dict[str, Any], list[str]]] = {
    "vae": (
        {"model": "vae", "dataset": "digits", "epochs": 12, "batch_size": 16, "callbacks": ["reduce_lr_on_plateau"]},
        ["model.annealing_steps=400", "reduce_lr_on_plateau.patience=1", "reduce_lr_on_plateau.min_delta=0.5"],
    ),
    "augmented_cnn": (
        {"model": "augmented_cnn", "dataset": "digits", "epochs": 5, "batch_size": 32, "callbacks": ["early_stopping"]},
        [
            "model.filters=[8,16]",
            "model.mixup=0.2",
            "model.noise=0.1",
            "early_stopping.patience=2",
            "early_stopping.restore_best_weights=true",
        ],
    ),
    "neural_topic_model": (
        {"model": "neural_topic_model", "dataset": "synthetic_topics", "epochs": 30, "batch_size": 64},
        [],
    ),
    "moving_averages": (
        {"model": "vae", "dataset": "digits", "epochs": 6, "batch_size": 16},
        ["model.architecture=dense", "model.units=[32]", "optimizer.use_ema=true", "optimizer.ema_momentum=0.9"],
    ),
    "mixed_precision": (
        {
            "model": "vae",
            "dataset": "digits",
            "epochs": 8,
            "batch_size": 32,
            "precision": "mixed_float16",
            "schedule": "cosine_decay",
        },
        ["model.architecture=dense", "model.units=[64]"],
    ),
}
CHECKPOINTS = {"checkpoint_seconds": 0.3}


def main() -> None:
    """Kill and resume, compare, and write the result."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--runs", type=int, default=100, help="how many runs to kill, each at least once")
    arguments.add_argument("--backend", default="tensorflow")
    arguments.add_argument("--only", choices=RUNS)
    arguments.add_argument("--seed", type=int, default=0)
    chosen = arguments.parse_args()
    where = machine()
    rng = random.Random(chosen.seed)
    root = Path(tempfile.mkdtemp(prefix="kplug-resume-"))
    names = [chosen.only] if chosen.only else list(RUNS)
    whole = {name: _uninterrupted(name, chosen.backend, root) for name in names}
    rows, kills = [], 0
    while len(rows) < chosen.runs:
        name = names[len(rows) % len(names)]
        reference, seconds = whole[name]
        run, killed = _interrupted(name, chosen.backend, root, seconds, rng)
        if not killed:
            continue  # it was over before its time had come
        kills += killed
        rows.append({"run": name, "kills": killed, "state": run.state, **_compared(reference, run)})
        print(rows[-1], flush=True)
    equal = sum(all(value for name, value in row.items() if name.endswith("_equal")) for row in rows)
    print(f"{equal} of {len(rows)} runs, killed {kills} times in all, equal the uninterrupted one to the bit")
    write_result(
        f"resume_{chosen.backend}",
        {
            "kills": kills,
            "runs": len(rows),
            "equal": equal,
            "malformed": sum(row["malformed"] for row in rows),
            "each": rows,
        },
        where,
        {"runs": chosen.runs, "seed": chosen.seed, "checkpoint_seconds": CHECKPOINTS["checkpoint_seconds"]},
    )


def _uninterrupted(name: str, backend: str, root: Path) -> tuple[Run, float]:
    run = _start(name, backend, root)
    while not run.ended:
        time.sleep(0.1)
    status = run.status
    print(f"{name}: {run.state}, {status['ended'] - status['first_batch']:.1f} s of training", flush=True)
    return run, status["ended"] - status["first_batch"]


def _start(name: str, backend: str, root: Path) -> Run:
    values, settings = RUNS[name]
    return launch(complete({**values, **CHECKPOINTS, "backend": backend}, settings), root)


def _interrupted(name: str, backend: str, root: Path, seconds: float, rng: random.Random) -> tuple[Run, int]:
    """Start a run and kill it, once, often, or at its very beginning, until it completes."""
    run, kills = _start(name, backend, root), 0
    planned = rng.choice([1, 1, 1, 2, 3])
    while True:
        if kills < planned and _kill_after(run, rng.uniform(0, 1.2 * seconds), rng.random() < 0.2):
            kills += 1
        while not run.ended:
            time.sleep(0.05)
        if run.state == "completed":
            return run, kills
        if run.state != "lost":
            raise RuntimeError(f"{run.id} {run.status}")
        resume(run)


def _kill_after(run: Run, seconds: float, while_starting: bool) -> bool:
    """Kill a run's worker that long after its first batch, or while it starts, and say whether it was there still."""
    begun = run.status.get("resumed", 0)
    while not run.ended:
        status = run.status
        if "pid" in status and (while_starting or (status.get("first_batch") or 0) > begun):
            break
        time.sleep(0.02)
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline and not run.ended:
        time.sleep(0.01)
    status = run.status
    if run.ended or "pid" not in status:
        return False
    try:
        os.kill(status["pid"], signal.SIGKILL)
    except ProcessLookupError:
        return False
    return True


def _compared(reference: Run, run: Run) -> dict[str, Any]:
    (first, _), (second, problems) = (Checkpoints(one.directory.checkpoints).newest() for one in (reference, run))
    if first is None or second is None:
        raise RuntimeError(f"{run.id} has no whole checkpoint: {problems}")
    equal = first.arrays.keys() == second.arrays.keys() and all(
        np.array_equal(array, second.arrays[name], equal_nan=array.dtype.kind == "f")
        for name, array in first.arrays.items()
    )
    readers = [RecordReader(one.directory.metrics) for one in (reference, run)]
    records = [
        [(one.step, one.epoch, dict(one.metrics), one.epoch_end) for one in reader.read_metrics()] for reader in readers
    ]
    return {
        "weights_equal": equal,
        "state_equal": _without_sizes(first.state) == _without_sizes(second.state),
        "model_equal": _same_model(reference, run),
        "artifacts_equal": [path.name for path in reference.artifacts()] == [path.name for path in run.artifacts()],
        "records_equal": records[0] == records[1],
        "malformed": readers[1].malformed,
        "test_equal": reference.status.get("test_metrics") == run.status.get("test_metrics"),
    }


def _without_sizes(state: Mapping[str, Any]) -> dict[str, Any]:
    """Return a checkpoint's state but for the bytes of its records, whose times have more digits or fewer."""
    return {name: value for name, value in state.items() if name != "metrics_bytes"}


def _same_model(reference: Run, run: Run) -> bool:
    """Say whether the models that two runs leave have the same weights: these have been averaged, checkpoints' not."""
    weights = [_weights(one.directory.artifacts / "model.keras") for one in (reference, run)]
    return weights[0].keys() == weights[1].keys() and all(
        np.array_equal(array, weights[1][name], equal_nan=array.dtype.kind == "f") for name, array in weights[0].items()
    )


def _weights(model: Path) -> dict[str, np.ndarray]:
    """Return all arrays of a saved model, its optimizer's too."""
    found: dict[str, np.ndarray] = {}
    with zipfile.ZipFile(model) as archive, h5py.File(io.BytesIO(archive.read("model.weights.h5"))) as file:
        file.visititems(lambda name, item: found.update({name: item[()]}) if isinstance(item, h5py.Dataset) else None)
    return found


if __name__ == "__main__":
    main()
