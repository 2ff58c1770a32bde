"""The callback through which a fit tells its run what happens."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from typing import Any

import keras
import numpy as np

from kplug.runs.records import MetricRecord, RecordWriter
from kplug.training.status import StatusWriter

_STEP_RECORD_SECONDS = 0.1


class Recorder(keras.callbacks.Callback):
    """Records metrics by step (ten a second at most) and by epoch, keeps the status, and stops when asked to.

    Args:
        writer: Where metric records go.
        status: The run's status.
    """

    def __init__(self, writer: RecordWriter, status: StatusWriter) -> None:
        super().__init__()
        self._writer = writer
        self._status = status
        self._epoch = 0
        self._epoch_first_step = 0
        self._next_record = 0.0
        self._begun = False
        self._cut = False
        self.step = 0
        self.completed = False

    def on_train_begin(self, logs: Mapping[str, Any] | None = None) -> None:
        self._status.update(
            state="running", epochs=self.params.get("epochs"), steps_per_epoch=self.params.get("steps"), epoch=0, step=0
        )

    def on_epoch_begin(self, epoch: int, logs: Mapping[str, Any] | None = None) -> None:
        self._epoch = epoch
        self._epoch_first_step = self.step

    def on_train_batch_begin(self, batch: int, logs: Mapping[str, Any] | None = None) -> None:
        if not self._begun:
            self._begun = True
            self._status.progress(first_batch=time.time())

    def on_train_batch_end(self, batch: int, logs: Mapping[str, Any] | None = None) -> None:
        # An execution of several steps counts them all, though the epoch's last may have had fewer left.
        done = min(batch + 1, self.params.get("steps") or batch + 1)
        self.step = self._epoch_first_step + done
        self._status.trained = True
        self._status.progress(epoch=self._epoch, step=self.step)
        if self._status.stop_requested.is_set():
            self.model.stop_training = True
            # Of data of unknown length, nobody can say that this batch was the last.
            self._cut = done != self.params.get("steps")
        now = time.time()
        if now >= self._next_record:
            self._next_record = now + _STEP_RECORD_SECONDS
            self._record(logs or {}, now, epoch_end=False)

    def on_epoch_end(self, epoch: int, logs: Mapping[str, Any] | None = None) -> None:
        if self._cut:
            return
        logs = scalar_metrics(logs or {})
        self._record(logs, time.time(), epoch_end=True)
        self._status.progress(epoch=epoch + 1)
        self.completed = epoch + 1 == self.params.get("epochs")
        shown = "  ".join(f"{name} {value:.6g}" for name, value in logs.items())
        print(f"epoch {epoch + 1}/{self.params.get('epochs')}  {shown}", flush=True)
        odd = [name for name, value in logs.items() if not math.isfinite(value)]
        if odd:
            print(f"warning: not finite at the end of epoch {epoch + 1}: {', '.join(odd)}", flush=True)

    def on_train_end(self, logs: Mapping[str, Any] | None = None) -> None:
        # A callback such as EarlyStopping may have ended the run before its last epoch; that completes it too.
        self.completed = self.completed or not self._status.stop_requested.is_set()

    def _record(self, logs: Mapping[str, Any], now: float, *, epoch_end: bool) -> None:
        self._writer.write_metrics(MetricRecord(self.step, self._epoch, now, scalar_metrics(logs), epoch_end))


def scalar_metrics(logs: Mapping[str, Any]) -> dict[str, float]:
    """Return Keras' logs as numbers; a metric that is a vector (`F1Score`) becomes `name[0]`, `name[1]`, …."""
    scalars: dict[str, float] = {}
    for name, value in logs.items():
        if getattr(value, "shape", ()):
            entries = np.ravel(keras.ops.convert_to_numpy(value)).tolist()
            scalars.update((f"{name}[{index}]", float(entry)) for index, entry in enumerate(entries))
        else:
            scalars[name] = float(value)
    return scalars
