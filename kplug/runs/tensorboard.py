"""Runs as TensorBoard reads them: event files laid out as Keras' own callback does.

TensorBoard's protocol buffers and its framing of records do without TensorFlow.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, NamedTuple

from kplug.errors import SpecError
from kplug.runs.records import MetricRecord
from kplug.runs.run import Run

_TRAIN = "train"
_VALIDATION = "validation"
_VALIDATION_PREFIX = "val_"
_FLOAT = 1
_SCALARS = "scalars"
_FILE_VERSION = "brain.Event:2"


class _Scalar(NamedTuple):
    folder: str
    tag: str
    step: int
    time: float
    value: float


def write_events(run: Run, folder: Path) -> None:
    """Write a run's metrics as TensorBoard event files.

    Those of whole epochs are `epoch_loss` and the like by the epoch's number, in `train` and, without `val_` in front
    of their names, in `validation`; those of steps are `batch_loss` and the like in `train`, by the step's number.

    Args:
        run: The run.
        folder: Where to; made here, with the directories above it.

    Raises:
        SpecError: If TensorBoard is not installed.
        OSError: If the directory is there already, or cannot be written.
    """
    tensorboard = _TensorBoard()
    folder.mkdir(parents=True)
    writers: dict[str, _EventWriter] = {}
    with ExitStack() as open_files:
        for record in run.metrics():
            for scalar in _scalars(record):
                if scalar.folder not in writers:
                    path = folder / scalar.folder / f"events.out.tfevents.{int(scalar.time)}.{run.id}.v2"
                    path.parent.mkdir()
                    file = open_files.enter_context(path.open("wb"))
                    writers[scalar.folder] = _EventWriter(tensorboard, file, scalar.time)
                writers[scalar.folder].write(scalar)


def _scalars(record: MetricRecord) -> Iterator[_Scalar]:
    for name, value in record.metrics.items():
        if not record.epoch_end:
            yield _Scalar(_TRAIN, f"batch_{name}", record.step, record.time, value)
        elif name.startswith(_VALIDATION_PREFIX):
            bare = name.removeprefix(_VALIDATION_PREFIX)
            yield _Scalar(_VALIDATION, f"epoch_{bare}", record.epoch, record.time, value)
        else:
            yield _Scalar(_TRAIN, f"epoch_{name}", record.epoch, record.time, value)


class _TensorBoard:
    """What is needed of the package `tensorboard`."""

    def __init__(self) -> None:
        try:
            self.event = importlib.import_module("tensorboard.compat.proto.event_pb2").Event
            self.summary = importlib.import_module("tensorboard.compat.proto.summary_pb2")
            self.record_writer = importlib.import_module("tensorboard.summary.writer.record_writer").RecordWriter
        except ImportError:
            raise SpecError("TensorBoard's files need tensorboard. Install it with: pip install tensorboard") from None


class _EventWriter:
    """Writes scalars into one event file."""

    def __init__(self, tensorboard: _TensorBoard, file: Any, time: float) -> None:
        self._tensorboard = tensorboard
        self._records = tensorboard.record_writer(file)
        self._known: set[str] = set()
        self._write(tensorboard.event(wall_time=time, file_version=_FILE_VERSION))

    def write(self, scalar: _Scalar) -> None:
        event = self._tensorboard.event(wall_time=scalar.time, step=scalar.step)
        value = event.summary.value.add(tag=scalar.tag)
        value.tensor.dtype = _FLOAT
        value.tensor.tensor_shape.SetInParent()
        value.tensor.float_val.append(scalar.value)
        if scalar.tag not in self._known:
            # What a tag's values are, its first one says for all.
            self._known.add(scalar.tag)
            value.metadata.plugin_data.plugin_name = _SCALARS
            value.metadata.data_class = self._tensorboard.summary.DATA_CLASS_SCALAR
        self._write(event)

    def _write(self, event: Any) -> None:
        self._records.write(event.SerializeToString())
