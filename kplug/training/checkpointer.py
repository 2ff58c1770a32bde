"""The callback that writes checkpoints when they are due."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import keras

from kplug.errors import RunStorageError
from kplug.training.checkpoints import Checkpoint, Checkpoints
from kplug.training.position import Position
from kplug.training.recorder import Recorder
from kplug.training.structures import StateWriter


@dataclass(frozen=True)
class Schedule:
    """When checkpoints are written: when one of these has passed since the last, at the end, and when a run is stopped.

    Attributes:
        seconds: Seconds, or `None`.
        batches: Batches, or `None`.
        epochs: Epochs, or `None`.
    """

    seconds: float | None = None
    batches: int | None = None
    epochs: int | None = None


class Checkpointer(keras.callbacks.Callback):
    """Writes checkpoints when they are due.

    It is the last callback, so that what it keeps is what the others have seen. A checkpoint that cannot be written (a
    full disk) costs the run nothing but that checkpoint.

    Args:
        checkpoints: Where they go.
        schedule: When.
        recorder: Knows how far the training is.
        capture: Returns what is kept besides the position; its `RunStorageError` ends the training.
        written: Told the position of each checkpoint, and what went wrong or `None`.
        mid_epoch: Whether an epoch can be taken up in its middle.
    """

    def __init__(
        self,
        checkpoints: Checkpoints,
        schedule: Schedule,
        recorder: Recorder,
        capture: Callable[[], Mapping[str, Any]],
        written: Callable[[Position, str | None], None],
        mid_epoch: bool,
    ) -> None:
        super().__init__()
        self._checkpoints = checkpoints
        self._schedule = schedule
        self._recorder = recorder
        self._capture = capture
        self._written = written
        self._mid_epoch = mid_epoch
        self._last = recorder.position
        self._last_time = time.monotonic()

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        position = self._recorder.position
        # The checkpoint after an epoch's last batch is the epoch's: validation and the callbacks belong to it.
        if self._mid_epoch and position.batch and (self._recorder.cut or self._is_due(position)):
            self._save(position)

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        if self._recorder.cut:
            return
        position = self._recorder.position
        last = position.ended or position.epoch == self.params.get("epochs")
        if last or self._recorder.stopping or self._is_due(position):
            self._save(position)

    def _is_due(self, position: Position) -> bool:
        due = self._schedule
        return (
            (due.seconds is not None and time.monotonic() - self._last_time >= due.seconds)
            or (due.batches is not None and position.step - self._last.step >= due.batches)
            or (due.epochs is not None and position.epoch - self._last.epoch >= due.epochs)
        )

    def _save(self, position: Position) -> None:
        writer, problem = StateWriter(), None
        try:
            state = writer.written({"position": asdict(position), **self._capture()})
            self._checkpoints.save(Checkpoint(position.step, state, writer.arrays))
        except RunStorageError:
            raise
        except (OSError, TypeError) as error:
            problem = f"{type(error).__name__}: {error}"
        self._last, self._last_time = position, time.monotonic()
        self._written(position, problem)
