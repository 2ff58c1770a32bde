"""Columns of a file of records, kept in a hidden file beside it, so that a long run is not parsed at each look.

The file can be deleted at any time. What it holds is believed where the records' file is in the very state in which it
was read, or a checksum says that it still begins with what was read. Exports and the index pass over hidden files.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import sys
import time
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

_VERSION = 1
_LEAST_BYTES = 1_000_000
_QUIET_NANOSECONDS = 60 * 10**9
_BLOCK_BYTES = 1 << 20
_CHECKSUM_BYTES = 9


class Signature(NamedTuple):
    """The state of a file: between two equal ones, nothing has been written to it."""

    size: int
    inode: int
    modified: int
    changed: int


def signature_of(file: BinaryIO) -> Signature:
    """Return the state of an open file."""
    stat = os.fstat(file.fileno())
    return Signature(stat.st_size, stat.st_ino, stat.st_mtime_ns, stat.st_ctime_ns)


@dataclass(frozen=True)
class CachedSeries:
    """Columns, and what they are the columns of.

    Attributes:
        covered: Bytes of the records' file, from its beginning, that were read.
        checksum: Their CRC-32.
        malformed: Lines among them that are no records.
        rows: Records among them.
        metrics: Names of the metrics.
        columns: Their bytes: int64 steps and epochs, float64 times and metrics, one byte each for the ends of epochs.
    """

    covered: int
    checksum: int
    malformed: int
    rows: int
    metrics: Sequence[str]
    columns: Sequence[bytes | memoryview]


class SeriesCache:
    """The hidden file beside one file of records.

    It is written for large files alone, and seldom, since the index takes a change in a run's directory for a change of
    the run: when a quarter has been added to what it covers, or the records have come to rest.

    Args:
        path: The records' file.
    """

    def __init__(self, path: Path) -> None:
        self._path = path.with_name(f".{path.name}.columns")
        self._covered = 0
        self._signature: Signature | None = None
        self._writable = True

    def read(self, records: BinaryIO, signature: Signature) -> CachedSeries | None:
        """Return what is kept, if it is whole and the records' file begins with what it covers."""
        try:
            content = self._path.read_bytes()
            header, columns = _unpacked(content)
            found = CachedSeries(columns=columns, **header["series"])
            kept = Signature(*header["signature"])
            if kept != signature and _checksum(records, found.covered) != found.checksum:
                return None
        except (OSError, ValueError, KeyError, TypeError):
            return None
        self._covered, self._signature = found.covered, kept
        return found

    def outdated(self) -> None:
        """Take note that the records' file has been cut: what is kept is not worth keeping."""
        self._covered, self._signature = 0, None

    def is_due(self, covered: int, signature: Signature) -> bool:
        """Say whether columns that cover so much of a file in that state should be kept."""
        if covered < _LEAST_BYTES or not self._writable or signature == self._signature:
            return False
        return covered > 1.25 * self._covered or time.time_ns() - signature.modified > _QUIET_NANOSECONDS

    def write(self, series: CachedSeries, signature: Signature) -> None:
        """Keep columns; where that is not possible, do without, and do not try again."""
        aside = self._path.with_name(f"{self._path.name}.{secrets.token_hex(4)}.new")
        try:
            with aside.open("wb") as file:
                file.writelines(_packed(series, signature))
            aside.replace(self._path)
        except OSError:
            self._writable = False
            with contextlib.suppress(OSError):
                aside.unlink(missing_ok=True)
        else:
            self._covered, self._signature = series.covered, signature


def _packed(series: CachedSeries, signature: Signature) -> list[bytes | memoryview]:
    """Return a file's parts: a line with the checksum of the rest, a line of JSON, the columns."""
    header = {
        "version": _VERSION,
        "byteorder": sys.byteorder,
        "signature": signature,
        "series": {
            "covered": series.covered,
            "checksum": series.checksum,
            "malformed": series.malformed,
            "rows": series.rows,
            "metrics": series.metrics,
        },
    }
    line = json.dumps(header).encode()
    # The columns begin where a number of eight bytes may.
    line += b" " * (-(_CHECKSUM_BYTES + len(line) + 1) % 8) + b"\n"
    parts = [line, *series.columns]
    checksum = 0
    for part in parts:
        checksum = zlib.crc32(part, checksum)
    return [b"%08x\n" % checksum, *parts]


def _unpacked(content: bytes) -> tuple[dict[str, Any], list[memoryview]]:
    """Return the header and the columns of a file.

    Raises:
        ValueError: If it is damaged, or of another version or machine.
    """
    whole = memoryview(content)
    if b"%08x\n" % zlib.crc32(whole[_CHECKSUM_BYTES:]) != content[:_CHECKSUM_BYTES]:
        raise ValueError("damaged")
    start = content.index(b"\n", _CHECKSUM_BYTES) + 1
    header = json.loads(content[_CHECKSUM_BYTES:start])
    if (header["version"], header["byteorder"]) != (_VERSION, sys.byteorder):
        raise ValueError("of another version or machine")
    rows, metrics = header["series"]["rows"], header["series"]["metrics"]
    columns = []
    for width in (8, 8, 8, *[8] * len(metrics), 1):
        columns.append(whole[start : start + rows * width])
        start += rows * width
    if start != len(content):
        raise ValueError("columns of other lengths")
    return header, columns


def _checksum(records: BinaryIO, size: int) -> int | None:
    """Return the CRC-32 of a file's first bytes; `None` if it has fewer."""
    checksum = 0
    records.seek(0)
    while size > 0:
        content = records.read(min(_BLOCK_BYTES, size))
        if not content:
            return None
        checksum = zlib.crc32(content, checksum)
        size -= len(content)
    return checksum
