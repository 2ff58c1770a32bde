"""Append-only records: one JSON object a line, written whole, read up to the last newline."""

from __future__ import annotations

import contextlib
import math
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson

from kplug.errors import RunStorageError


@dataclass(frozen=True)
class MetricRecord:
    """Metrics at one moment of a run.

    Attributes:
        step: Optimizer steps done.
        epoch: Epochs begun before it, counted from 0.
        time: Seconds since the Unix epoch.
        metrics: Name -> value; a value that was not finite is read back as NaN.
        epoch_end: Whether these are the metrics of the whole epoch.
    """

    step: int
    epoch: int
    time: float
    metrics: Mapping[str, float] = field(default_factory=dict)
    epoch_end: bool = False


class RecordWriter:
    """Appends records to a file; there is one writer per file.

    A torn last line, left by a crash, is cut off when the file is opened. A record that does not fit (a full disk)
    waits for those after it, and is written when there is room again.

    Args:
        path: The file; made if need be.

    Raises:
        RunStorageError: If the file cannot be opened.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._waiting = bytearray()
        self._torn = 0
        try:
            self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o644)
        except OSError as error:
            raise RunStorageError(f"{path} cannot be written: {error.strerror or error}.") from error
        self._cut_torn_tail()
        self._size = self._end()

    def cut(self, size: int) -> None:
        """Keep so many bytes of the records, those up to a checkpoint say.

        Raises:
            OSError: If the file cannot be cut.
        """
        if size < self._end():
            os.ftruncate(self._descriptor, size)
        self._cut_torn_tail()
        self._size = self._end()

    def flushed_size(self) -> int:
        """Make sure that all records are on the disk, and return the file's size.

        Raises:
            OSError: If they are not.
        """
        self._write_waiting()
        os.fsync(self._descriptor)
        return self._end()

    def write(self, record: Mapping[str, Any]) -> None:
        """Append one record, in one write."""
        self._waiting += orjson.dumps(record, option=orjson.OPT_APPEND_NEWLINE | orjson.OPT_SERIALIZE_NUMPY)
        with contextlib.suppress(OSError):
            self._write_waiting()

    def write_metrics(self, record: MetricRecord) -> None:
        """Append metrics. JSON has no NaN: a value that is not finite is written as null."""
        self.write(
            {
                "step": record.step,
                "epoch": record.epoch,
                "time": record.time,
                "metrics": record.metrics,
                **({"epoch_end": True} if record.epoch_end else {}),
            }
        )

    def close(self) -> None:
        """Close the file.

        Raises:
            RunStorageError: If there are records that could not be written.
        """
        try:
            self._write_waiting()
        except OSError as error:
            lost = self._waiting.count(b"\n")
            raise RunStorageError(
                f"{self._path} cannot be written: {error.strerror or error}. Records that are not in it: {lost}."
            ) from error
        finally:
            os.close(self._descriptor)

    def _write_waiting(self) -> None:
        """Write the lines that wait; if not all can be written, as many as fit whole.

        Raises:
            OSError: If some could not be written; they go on waiting.
        """
        end = self._end()
        if end < self._size:
            self._cut_torn_tail()  # somebody has shortened the file
        elif self._torn and end == self._size + self._torn:
            os.ftruncate(self._descriptor, self._size)  # half a line that could not be taken back at once
        # What else is there, somebody else has written, and it stays.
        self._size, self._torn = self._end(), 0
        written = 0
        try:
            while written < len(self._waiting):
                written += os.write(self._descriptor, memoryview(self._waiting)[written:])
        except OSError:
            whole = self._waiting.rfind(b"\n", 0, written) + 1
            self._torn = written - whole
            if self._end() == self._size + written:
                with contextlib.suppress(OSError):
                    os.ftruncate(self._descriptor, self._size + whole)
                    self._torn = 0
            written = whole
            raise
        finally:
            if written:
                self._size += written
                self._waiting = self._waiting[written:]

    def _end(self) -> int:
        return os.lseek(self._descriptor, 0, os.SEEK_END)

    def _cut_torn_tail(self) -> None:
        size = self._end()
        position = size
        while position > 0:
            start = max(0, position - 65536)
            newline = os.pread(self._descriptor, position - start, start).rfind(b"\n")
            if newline >= 0:
                position = start + newline + 1
                break
            position = start
        if position != size:
            os.ftruncate(self._descriptor, position)


class RecordReader:
    """Reads what has been appended since the last call.

    A run that is resumed cuts its records where its checkpoint was, and writes them anew: what was read is read again
    then.

    Attributes:
        malformed: Lines that are not JSON objects, which are passed over.
        restarts: How often the file was cut, so that the next records were again those from its beginning.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._offset = 0
        self._last = b""
        self.malformed = 0
        self.restarts = 0

    def read(self) -> list[dict[str, Any]]:
        """Return the records whose lines are complete and were not returned before.

        Raises:
            RunStorageError: If the file cannot be read.
        """
        records, malformed = _objects(self._new_lines())
        self.malformed += malformed
        return records

    def read_metrics(self) -> list[MetricRecord]:
        """Return the new records as metrics."""
        records, malformed = metric_records(self._new_lines())
        self.malformed += malformed
        return records

    def _new_lines(self) -> bytes:
        try:
            with self._path.open("rb") as file:
                file.seek(self._offset - len(self._last))
                if file.read(len(self._last)) != self._last:
                    file.seek(0)
                    self._offset, self._last, self.malformed = 0, b"", 0
                    self.restarts += 1
                content = file.read()
        except FileNotFoundError:
            return b""
        except OSError as error:
            raise RunStorageError(f"{self._path} cannot be read: {error.strerror or error}.") from error
        content = content[: content.rfind(b"\n") + 1]
        if content:
            self._offset += len(content)
            self._last = content[content.rfind(b"\n", 0, -1) + 1 :]
        return content


def metric_records(lines: bytes) -> tuple[list[MetricRecord], int]:
    """Return the metric records in whole lines, and how many lines are none."""
    objects, malformed = _objects(lines)
    records = []
    for one in objects:
        try:
            records.append(_metric_record(one))
        except (KeyError, TypeError, ValueError, AttributeError, OverflowError):
            malformed += 1
    return records, malformed


def _objects(lines: bytes) -> tuple[list[dict[str, Any]], int]:
    objects, malformed = [], 0
    for line in lines.splitlines():
        try:
            one = orjson.loads(line)
        except ValueError:
            one = None
        if isinstance(one, dict):
            objects.append(one)
        else:
            malformed += 1
    return objects, malformed


def _metric_record(record: Mapping[str, Any]) -> MetricRecord:
    metrics = {name: math.nan if value is None else float(value) for name, value in record["metrics"].items()}
    return MetricRecord(
        step=_count(record["step"]),
        epoch=_count(record["epoch"]),
        time=float(record["time"]),
        metrics=metrics,
        epoch_end=bool(record.get("epoch_end", False)),
    )


def _count(value: Any) -> int:
    number = int(value)
    if not -(2**63) <= number < 2**63:
        raise ValueError(f"no 64-bit integer: {number}")
    return number
