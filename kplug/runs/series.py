"""Metric records as columns: read in blocks, kept in a cache beside them, thinned out for a plot.

Beside `metric_arrays.py` the one module of `kplug.runs` that imports NumPy: who needs no columns does not wait for it.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from kplug.errors import RunStorageError
from kplug.runs.metric_arrays import LineParser, MetricArrays, no_arrays, pandas
from kplug.runs.records import RecordReader
from kplug.runs.series_cache import CachedSeries, SeriesCache, Signature, signature_of

# What is read and parsed at once: more does not fit in a processor's cache, and takes longer.
_BLOCK_BYTES = 1 << 16
_TAIL_BYTES = 4096


class SeriesReader:
    """Reads metric records into columns, and at each `refresh` what has been appended since.

    It passes over the same lines as `RecordReader` does. When a resumed run has cut the file and goes on with other
    records, the file is read anew. Of a large file, the columns are kept in a hidden file beside it.

    Args:
        path: The file of records; it need not be there yet.

    Attributes:
        malformed: Lines that are no metric records.

    Example:

    ```python
    reader = SeriesReader(run.directory.metrics)
    while not run.ended:
        if reader.refresh():
            arrays = reader.arrays()
            x, y = decimated(arrays.steps, arrays.metrics["loss"], points=400)
    ```
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._cache = SeriesCache(path)
        self._cache_read = False
        self._begin()

    def refresh(self) -> bool:
        """Read what is new, and say whether the columns have changed.

        Raises:
            RunStorageError: If the file cannot be read.
        """
        before = self._offset
        try:
            with self._path.open("rb") as file:
                return self._read(file, signature_of(file))
        except FileNotFoundError:
            self._begin()
            return before > 0
        except OSError as error:
            raise RunStorageError(f"{self._path} cannot be read: {error.strerror or error}.") from error

    def arrays(self) -> MetricArrays:
        """Return the columns as of the last `refresh`; later ones leave them as they are."""
        return self._columns.arrays()

    def _begin(self) -> None:
        self._parser = LineParser()
        self._columns = _GrowingColumns(no_arrays())
        self._offset = 0
        self._checksum = 0
        self._tail = b""
        self.malformed = 0

    def _read(self, file: BinaryIO, signature: Signature) -> bool:
        changed = not self._goes_on(file)
        if changed:
            self._begin()
            self._cache.outdated()
        if not self._cache_read:
            self._cache_read = True
            changed = self._take_cached(file, signature) or changed
        for block in _whole_lines(file, self._offset, signature.size):
            self._add(block)
            changed = True
        if self._cache.is_due(self._offset, signature):
            self._cache.write(self._to_cache(), signature)
        return changed

    def _goes_on(self, file: BinaryIO) -> bool:
        """Say whether the file goes on where it was left: whether the bytes before that place are what they were.

        A resumed run may have cut it further back and be beyond that place again. But then the lines before it were
        written later, and records say when they were written.
        """
        file.seek(self._offset - len(self._tail))
        return file.read(len(self._tail)) == self._tail

    def _take_cached(self, file: BinaryIO, signature: Signature) -> bool:
        cached = self._cache.read(file, signature)
        if cached is None:
            return False
        self._parser = LineParser(cached.metrics)
        self._columns = _GrowingColumns(_arrays_from(cached))
        self._offset, self._checksum, self.malformed = cached.covered, cached.checksum, cached.malformed
        start = max(0, self._offset - _TAIL_BYTES)
        file.seek(start)
        self._tail = file.read(self._offset - start)
        return True

    def _add(self, block: bytes) -> None:
        arrays, malformed = self._parser.parse(block)
        self._columns.append(arrays)
        self.malformed += malformed
        self._offset += len(block)
        self._checksum = zlib.crc32(block, self._checksum)
        self._tail = (self._tail + block[-_TAIL_BYTES:])[-_TAIL_BYTES:]

    def _to_cache(self) -> CachedSeries:
        arrays = self.arrays()
        columns = (arrays.steps, arrays.epochs, arrays.times, *arrays.metrics.values(), arrays.epoch_end)
        return CachedSeries(
            covered=self._offset,
            checksum=self._checksum,
            malformed=self.malformed,
            rows=len(arrays),
            metrics=tuple(arrays.metrics),
            columns=tuple(column.view(np.uint8).data for column in columns),
        )


def read_arrays(path: Path) -> MetricArrays:
    """Return all metric records of a file as columns."""
    reader = SeriesReader(path)
    reader.refresh()
    return reader.arrays()


def system_frame(path: Path) -> Any:
    """Return samples of the machine as a pandas data frame; what is known of each GPU as `gpus.0.memory_bytes`, ….

    Raises:
        KplugError: If pandas is not installed.
    """
    return pandas().DataFrame([_flat(sample) for sample in RecordReader(path).read()])


def decimated(x: np.ndarray, y: np.ndarray, points: int) -> tuple[np.ndarray, np.ndarray]:
    """Thin a curve out for a plot, keeping the extremes.

    Points that are not finite are left out. The others are cut into stretches of equally many, and each keeps its
    first, lowest, highest and last one (M4; Jugel et al., 2014).

    Args:
        x: Positions, one-dimensional.
        y: Values, as many.
        points: How many to keep at most; 4 at least.

    Returns:
        The kept `x` and `y`, in their order.

    Raises:
        ValueError: If `points` is less than 4.
    """
    from tsdownsample import M4Downsampler

    if points < 4:
        raise ValueError(f"A curve is thinned out to 4 points at least. Received: points={points}")
    finite = np.isfinite(x) & np.isfinite(y)
    if not finite.all():
        x, y = x[finite], y[finite]
    if len(y) <= points:
        return x, y
    kept = np.unique(M4Downsampler().downsample(y, n_out=points - points % 4))
    return x[kept], y[kept]


class _GrowingColumns:
    """Columns with room at their ends, so that appending to them does not copy them each time."""

    def __init__(self, arrays: MetricArrays) -> None:
        self._rows = len(arrays)
        self._fixed = [arrays.steps, arrays.epochs, arrays.times, arrays.epoch_end]
        self._metrics = dict(arrays.metrics)

    def append(self, arrays: MetricArrays) -> None:
        start, self._rows = self._rows, self._rows + len(arrays)
        new = (arrays.steps, arrays.epochs, arrays.times, arrays.epoch_end)
        self._fixed = [self._extended(column, start, values) for column, values in zip(self._fixed, new, strict=True)]
        for name in dict.fromkeys((*self._metrics, *arrays.metrics)):
            column = self._metrics[name] if name in self._metrics else np.full(start, math.nan)
            self._metrics[name] = self._extended(column, start, arrays.metrics.get(name, math.nan))

    def arrays(self) -> MetricArrays:
        steps, epochs, times, epoch_end = (self._view(column) for column in self._fixed)
        metrics = {name: self._view(column) for name, column in self._metrics.items()}
        return MetricArrays(steps, epochs, times, epoch_end, metrics)

    def _extended(self, column: np.ndarray, start: int, values: np.ndarray | float) -> np.ndarray:
        if len(column) < self._rows:
            column, old = np.empty(max(self._rows, 2 * start), column.dtype), column
            column[:start] = old[:start]
        column[start : self._rows] = values
        return column

    def _view(self, column: np.ndarray) -> np.ndarray:
        view = column[: self._rows]
        view.flags.writeable = False
        return view


def _whole_lines(file: BinaryIO, start: int, end: int) -> Iterator[bytes]:
    """Yield what is between two places of a file in blocks of whole lines; what is behind the last newline is not."""
    file.seek(start)
    begun: list[bytes] = []
    while content := file.read(min(_BLOCK_BYTES, end - start)):
        start += len(content)
        whole = content.rfind(b"\n") + 1
        if whole:
            yield b"".join((*begun, content[:whole]))
            begun = []
        begun.append(content[whole:])


def _arrays_from(cached: CachedSeries) -> MetricArrays:
    kinds = (np.int64, np.int64, *[np.float64] * (1 + len(cached.metrics)), np.bool_)
    columns: list[np.ndarray] = [
        np.frombuffer(column, kind) for column, kind in zip(cached.columns, kinds, strict=True)
    ]
    steps, epochs, times, *values, epoch_end = columns
    return MetricArrays(steps, epochs, times, epoch_end, dict(zip(cached.metrics, values, strict=True)))


def _flat(value: Any, name: str = "") -> dict[str, Any]:
    """Return the entries of lists and dicts within each other, by their path."""
    if not isinstance(value, dict | list):
        return {name: value}
    entries = value.items() if isinstance(value, dict) else enumerate(value)
    return {
        path: one for key, entry in entries for path, one in _flat(entry, f"{name}.{key}" if name else str(key)).items()
    }
