"""The callback through which a fit tells its run what happens."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from typing import Any

import keras
import numpy as np

from kplug.runs.records import MetricRecord, RecordWriter
from kplug.training.position import Position
from kplug.training.status import StatusWriter


class Recorder(keras.callbacks.Callback):
    """Records metrics by step and by epoch, keeps the status, and stops when asked to.

    Which steps are recorded follows from their number alone, so that a run that was interrupted has the records of one
    that was not.

    Args:
        writer: Where metric records go.
        status: The run's status.
        every: Steps from one record to the next.
        position: Where the training begins.
        printing: Whether to print each epoch's metrics.

    Attributes:
        position: How far the training is.
        began: Whether the training has begun: what the model is from then on, is this run's.
        cut: Whether the epoch was left before its end.
        completed: Whether the training went to its end.
    """

    def __init__(
        self,
        writer: RecordWriter,
        status: StatusWriter,
        every: int = 1,
        position: Position | None = None,
        printing: bool = True,
    ) -> None:
        super().__init__()
        self._writer = writer
        self._status = status
        self._every = every
        self._printing = printing
        self.position = position or Position()
        self._first_step = self.position.step - self.position.batch
        self._seen_batch = False
        self.began = False
        self.cut = False
        self.completed = False

    @property
    def stopping(self) -> bool:
        """Whether the run was asked to stop."""
        return self._status.stop_requested.is_set()

    def on_train_begin(self, logs: Mapping[str, Any] | None = None) -> None:
        self.began = True
        self._status.update(
            state="running",
            epochs=self.params.get("epochs"),
            steps_per_epoch=self.params.get("steps"),
            epoch=self.position.epoch,
            step=self.position.step,
            first_step=self.position.step,
        )

    def on_train_batch_begin(self, batch: int, logs: Mapping[str, Any] | None = None) -> None:
        if not self._seen_batch:
            self._seen_batch = True
            self._status.progress(first_batch=time.time())

    def on_train_batch_end(self, batch: int, logs: Mapping[str, Any] | None = None) -> None:
        # An execution of several steps counts them all, though the epoch's last may have had fewer left.
        steps = self.params.get("steps")
        done = min(batch + 1, steps or batch + 1)
        before = self.position.step
        # An epoch's last batch is no place to go on from: validation and the callbacks come first.
        self.position = Position(self.position.epoch, 0 if done == steps else done, self._first_step + done)
        self._status.trained = True
        self._status.progress(epoch=self.position.epoch, step=self.position.step)
        # After its last batch the epoch is finished first. Of data of unknown length, nobody can say which that is.
        if self.stopping and done != steps:
            self.model.stop_training = self.cut = True
        if self.position.step // self._every > before // self._every:
            self._record(logs or {}, self.position.epoch, epoch_end=False)

    def on_epoch_end(self, epoch: int, logs: Mapping[str, Any] | None = None) -> None:
        if self.cut:
            return
        logs = scalar_metrics(logs or {})
        self._record(logs, epoch, epoch_end=True)
        ended = bool(self.model.stop_training)
        self.model.stop_training = ended or self.stopping
        self.position = Position(epoch + 1, 0, self.position.step, ended)
        self._first_step = self.position.step
        self._status.progress(epoch=epoch + 1)
        self.completed = ended or epoch + 1 == self.params.get("epochs")
        if self._printing:
            self._print(epoch, logs)

    def _print(self, epoch: int, logs: Mapping[str, float]) -> None:
        shown = "  ".join(f"{name} {value:.6g}" for name, value in logs.items())
        print(f"epoch {epoch + 1}/{self.params.get('epochs')}  {shown}", flush=True)
        odd = [name for name, value in logs.items() if not math.isfinite(value)]
        if odd:
            print(f"warning: not finite at the end of epoch {epoch + 1}: {', '.join(odd)}", flush=True)

    def on_train_end(self, logs: Mapping[str, Any] | None = None) -> None:
        self.completed = self.completed or not self.stopping

    def _record(self, logs: Mapping[str, Any], epoch: int, *, epoch_end: bool) -> None:
        self._writer.write_metrics(
            MetricRecord(self.position.step, epoch, time.time(), scalar_metrics(logs), epoch_end)
        )


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
