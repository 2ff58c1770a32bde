"""What a run costs over a bare script: seconds per epoch, seconds to the first batch, microseconds per recorded step.

    python benchmarks/run_overhead.py

The bare script trains the same model with the same settings under `fit`, with no record and no heartbeat; by turns with
runs started through kplug. A second bare script uses plain `fit` on arrays, as most people write it.
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
from types import SimpleNamespace

from record import print_table, write_result

EPOCHS = 60
WARM_UP_EPOCHS = 5

BARE = """
import json, sys, time
kplug_like = sys.argv[1] == "same settings"
if kplug_like:
    from kplug.training.performance import choose_execution, set_up_backend
    machine = set_up_backend("tensorflow")
import keras
import kplug

class Times(keras.callbacks.Callback):
    first, ends = None, []
    def on_train_batch_begin(self, batch, logs=None):
        self.first = self.first or time.time()
    def on_epoch_end(self, epoch, logs=None):
        self.ends.append(time.time())

keras.utils.set_random_seed(0)
digits = kplug.datasets.digits()
vae, adam, times = kplug.VAE(), keras.optimizers.Adam(), Times()
if kplug_like:
    from kplug.training.fused_adam import fuse
    from kplug.training.pipeline import fit_arguments, training_arrays
    arrays = training_arrays(digits.train)
    vae.build((None, 8, 8, 1))
    execution = choose_execution("tensorflow", machine, vae, adam, arrays, 128)
    vae.compile(adam, steps_per_execution=execution.steps_per_execution)
    fuse(vae.optimizer)
    data, callbacks = fit_arguments(digits, arrays, execution.pipeline, 128, 0)
else:
    vae.compile(adam)
    data, callbacks = {"x": digits.train[0], "validation_data": digits.validation, "batch_size": 128}, []
vae.fit(**data, epochs=int(sys.argv[2]), verbose=0, callbacks=[*callbacks, times])
print("TIMES", json.dumps({"first": times.first, "ends": times.ends}))
"""


def bare(how: str) -> tuple[float, float]:
    """Train in a bare script; return seconds to the first batch and the median seconds per epoch."""
    begun = time.time()
    done = subprocess.run([sys.executable, "-c", BARE, how, str(EPOCHS)], capture_output=True, text=True, check=True)
    times = json.loads(done.stdout.rpartition("TIMES ")[2])
    return times["first"] - begun, _seconds_per_epoch(times["ends"])


def through_kplug(root: Path) -> tuple[float, float]:
    """Train in a run; return the same."""
    from kplug.runs.completion import complete
    from kplug.runs.launch import launch

    spec = complete({"model": "vae", "dataset": "digits", "epochs": EPOCHS})
    begun = time.time()
    run = launch(spec, root)
    while not run.ended:
        time.sleep(0.2)
    ends = [record.time for record in run.metrics() if record.epoch_end]
    return run.status["first_batch"] - begun, _seconds_per_epoch(ends)


def _seconds_per_epoch(ends: list[float]) -> float:
    return statistics.median(b - a for a, b in zip(ends[WARM_UP_EPOCHS:], ends[WARM_UP_EPOCHS + 1 :], strict=False))


def microseconds_per_step(steps: int = 20_000) -> float:
    """Return what the recorder's callback takes per step, recording and all."""
    from kplug.runs.records import RecordWriter
    from kplug.training.recorder import Recorder

    status = SimpleNamespace(
        update=lambda **_: None, progress=lambda **_: None, stop_requested=SimpleNamespace(is_set=lambda: False)
    )
    with tempfile.TemporaryDirectory() as folder:
        recorder = Recorder(RecordWriter(Path(folder) / "metrics.jsonl"), status)
        recorder.set_params({"epochs": 1, "steps": steps})
        recorder.on_train_begin()
        recorder.on_epoch_begin(0)
        logs = {"loss": 1.0, "kl_loss": 2.0, "reconstruction_loss": 3.0}
        begun = time.perf_counter()
        for batch in range(steps):
            recorder.on_train_batch_begin(batch)
            recorder.on_train_batch_end(batch, logs)
        return (time.perf_counter() - begun) / steps * 1e6


def main() -> None:
    """Measure, print and record."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=6)
    arguments = parser.parse_args()
    ways = {
        "kplug run": None,
        "bare fit, same settings": "same settings",
        "bare fit, plain": "plain",
    }
    measured: dict[str, list[tuple[float, float]]] = {name: [] for name in ways}
    with tempfile.TemporaryDirectory() as root:
        for number in range(arguments.rounds):
            for name in ways if number % 2 == 0 else reversed(ways):
                how = ways[name]
                measured[name].append(through_kplug(Path(root)) if how is None else bare(how))
    ours = measured["kplug run"]
    figures: dict[str, dict[str, float]] = {
        name: {
            "seconds_to_first_batch": round(statistics.median(first for first, _ in values), 2),
            "seconds_per_epoch": round(statistics.median(epoch for _, epoch in values), 4),
            "kplug_epoch_ratio": round(statistics.median(a[1] / b[1] for a, b in zip(ours, values, strict=True)), 3),
            "kplug_later_seconds": round(statistics.median(a[0] - b[0] for a, b in zip(ours, values, strict=True)), 2),
        }
        for name, values in measured.items()
    }
    print_table([{"way": name, **figure} for name, figure in figures.items()])
    callback = round(microseconds_per_step(), 2)
    print(f"recorder: {callback} microseconds per step")
    write_result("run_overhead", {**figures, "recorder_microseconds_per_step": callback})


if __name__ == "__main__":
    main()
