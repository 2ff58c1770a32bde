"""The bare script of `run_overhead.py`: trains the default VAE on digits without a run and prints when things happened.

Run as `python bare_fit.py WAY EPOCHS`, where WAY is

- `plain`: `fit` on arrays, as most people write it;
- `same-settings`: the threads, pipeline, steps per execution and optimizer kernel that the worker chooses;
- `recorder`: the same with the worker's recorder in it, each of whose calls is timed.
"""

from __future__ import annotations

import contextlib
import json
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

BATCH_SIZE = 128


def main() -> None:
    """Train, and print one line of JSON."""
    way, epochs = sys.argv[1], int(sys.argv[2])
    fit = fit_plainly if way == "plain" else fit_as_the_worker_does
    with recorder_of(way) as recorder:
        times = fit(epochs, [] if recorder is None else [recorder])
        print(json.dumps(times if recorder is None else recorder.cost()))


def fit_plainly(epochs: int, callbacks: list[Any]) -> dict[str, Any]:
    """Train under plain `fit` and return when the first batch and each epoch were done."""
    import keras

    import kplug

    keras.utils.set_random_seed(0)
    digits, vae = kplug.datasets.digits(), kplug.VAE()
    vae.compile(keras.optimizers.Adam())
    times = _times()
    vae.fit(
        digits.train[0],
        validation_data=digits.validation,
        batch_size=BATCH_SIZE,
        epochs=epochs,
        verbose=0,
        callbacks=[*callbacks, times],
    )
    return times.seen


def fit_as_the_worker_does(epochs: int, callbacks: list[Any]) -> dict[str, Any]:
    """Train with the settings that the worker chooses and return the same."""
    from kplug.training.performance import choose_execution, set_up_backend

    machine = set_up_backend("tensorflow")
    import keras

    import kplug
    from kplug.training.assembly import prepare
    from kplug.training.fused_adam import fuse
    from kplug.training.pipeline import fit_arguments, training_arrays

    keras.utils.set_random_seed(0)
    digits, vae, adam = kplug.datasets.digits(), kplug.VAE(), keras.optimizers.Adam()
    arrays = training_arrays(digits.train)
    prepare(vae, arrays)
    execution = choose_execution("tensorflow", machine, vae, adam, arrays, BATCH_SIZE)
    vae.compile(adam, steps_per_execution=execution.steps_per_execution, jit_compile=execution.jit_compile)
    if execution.fused_adam:
        fuse(vae.optimizer)
    data, data_callbacks = fit_arguments(digits, arrays, execution, BATCH_SIZE, 0)
    times = _times()
    vae.fit(**data, epochs=epochs, verbose=0, callbacks=[*data_callbacks, *callbacks, times])
    return times.seen


def _times() -> Any:
    import keras

    class Times(keras.callbacks.Callback):
        # Keras then calls the batch hooks aside, as if there were none: a bare script has none.
        async_safe = True

        def __init__(self) -> None:
            super().__init__()
            self.seen: dict[str, Any] = {"epoch_ends": []}

        def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
            self.seen.setdefault("first_batch_begun", time.time())

        def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
            self.seen.setdefault("first_batch_done", time.time())

        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
            self.seen["epoch_ends"].append(time.time())

    return Times()


@contextlib.contextmanager
def recorder_of(way: str) -> Iterator[Any]:
    """Give the worker's recorder, writing to a run directory that is thrown away; `None` if the way has none."""
    if way != "recorder":
        yield None
        return
    from kplug.runs.directory import create_run_directory
    from kplug.runs.records import RecordWriter
    from kplug.runs.spec import spec_from
    from kplug.training.performance import set_up_backend
    from kplug.training.status import StatusWriter

    set_up_backend("tensorflow")
    with tempfile.TemporaryDirectory() as root:
        directory = create_run_directory(Path(root), spec_from({"model": "vae", "dataset": "digits"}), {})
        with StatusWriter(directory) as status, contextlib.closing(RecordWriter(directory.metrics)) as writer:
            yield _timed_recorder(writer, status)


def _timed_recorder(writer: Any, status: Any) -> Any:
    from kplug.training.recorder import Recorder

    class TimedRecorder(Recorder):
        def __init__(self) -> None:
            super().__init__(writer, status)
            self._seconds = {"step": 0.0, "epoch": 0.0}
            self._calls = {"step": 0, "epoch": 0}

        @contextlib.contextmanager
        def _timed(self, what: str) -> Iterator[None]:
            begun = time.perf_counter()
            yield
            self._seconds[what] += time.perf_counter() - begun

        def on_train_batch_begin(self, batch: int, logs: Mapping[str, Any] | None = None) -> None:
            with self._timed("step"):
                super().on_train_batch_begin(batch, logs)

        def on_train_batch_end(self, batch: int, logs: Mapping[str, Any] | None = None) -> None:
            with self._timed("step"):
                super().on_train_batch_end(batch, logs)
            self._calls["step"] += 1

        def on_epoch_begin(self, epoch: int, logs: Mapping[str, Any] | None = None) -> None:
            with self._timed("epoch"):
                super().on_epoch_begin(epoch, logs)

        def on_epoch_end(self, epoch: int, logs: Mapping[str, Any] | None = None) -> None:
            with self._timed("epoch"), contextlib.redirect_stdout(sys.stderr):
                super().on_epoch_end(epoch, logs)
            self._calls["epoch"] += 1

        def cost(self) -> dict[str, float]:
            return {
                "microseconds_per_step": self._seconds["step"] / self.step * 1e6,
                "microseconds_per_execution": self._seconds["step"] / self._calls["step"] * 1e6,
                "microseconds_per_epoch_end": self._seconds["epoch"] / self._calls["epoch"] * 1e6,
                "steps_per_execution": self.step / self._calls["step"],
            }

    return TimedRecorder()


if __name__ == "__main__":
    main()
