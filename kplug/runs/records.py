"""Append-only records: one JSON object a line, written whole, read up to the last newline."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson


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

    A torn last line, left by a crash, is cut off when the file is opened.

    Args:
        path: The file; made if need be.
        size: Bytes to keep of what is there; all by default.
    """

    def __init__(self, path: Path, size: int | None = None) -> None:
        self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o644)
        if size is not None and size < os.lseek(self._descriptor, 0, os.SEEK_END):
            os.ftruncate(self._descriptor, size)
        self._cut_torn_tail()

    def flushed_size(self) -> int:
        """Make sure that what was written is on the disk, and return the file's size."""
        os.fsync(self._descriptor)
        return os.lseek(self._descriptor, 0, os.SEEK_END)

    def write(self, record: Mapping[str, Any]) -> None:
        """Append one record, in one write."""
        line = orjson.dumps(record, option=orjson.OPT_APPEND_NEWLINE | orjson.OPT_SERIALIZE_NUMPY)
        written = os.write(self._descriptor, line)
        while written < len(line):
            written += os.write(self._descriptor, line[written:])

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
        """Close the file."""
        os.close(self._descriptor)

    def _cut_torn_tail(self) -> None:
        size = os.lseek(self._descriptor, 0, os.SEEK_END)
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

    Lines that are not JSON objects are counted in `malformed` and passed over.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._offset = 0
        self.malformed = 0

    def read(self) -> list[dict[str, Any]]:
        """Return the records whose lines are complete and were not returned before."""
        try:
            with self._path.open("rb") as file:
                file.seek(self._offset)
                content = file.read()
        except FileNotFoundError:
            return []
        end = content.rfind(b"\n") + 1
        self._offset += end
        return list(self._parsed(content[:end].splitlines()))

    def read_metrics(self) -> list[MetricRecord]:
        """Return the new records as metrics."""
        records = []
        for record in self.read():
            try:
                records.append(_metric_record(record))
            except (KeyError, TypeError, ValueError, AttributeError):
                self.malformed += 1
        return records

    def _parsed(self, lines: list[bytes]) -> Iterator[dict[str, Any]]:
        for line in lines:
            try:
                record = orjson.loads(line)
            except ValueError:
                self.malformed += 1
                continue
            if isinstance(record, dict):
                yield record
            else:
                self.malformed += 1


def _metric_record(record: Mapping[str, Any]) -> MetricRecord:
    metrics = {name: math.nan if value is None else float(value) for name, value in record["metrics"].items()}
    return MetricRecord(
        step=int(record["step"]),
        epoch=int(record["epoch"]),
        time=float(record["time"]),
        metrics=metrics,
        epoch_end=bool(record.get("epoch_end", False)),
    )
