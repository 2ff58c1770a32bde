"""Metric records as columns, and how lines become such.

Beside `series.py` the one module of `kplug.runs` that imports NumPy.
"""

from __future__ import annotations

import importlib
import math
import operator
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec
import numpy as np

from kplug.errors import KplugError
from kplug.runs.records import metric_records

_MOST_NAMES = 256
# What msgspec takes for the name of a field.
_FIT_FOR_A_FIELD = re.compile(r'[^"\\\x00-\x1f]*')
_LINE_FEED, _OPENING, _CLOSING = b"\n{}"  # as numbers


@dataclass(frozen=True, eq=False)
class MetricArrays:
    """Metric records as columns: entry `i` of each is of the same record.

    Attributes:
        steps: Optimizer steps done; int64.
        epochs: Epochs begun before, counted from 0; int64.
        times: Seconds since the Unix epoch; float64.
        epoch_end: Whether these are the metrics of a whole epoch; bool.
        metrics: Name -> values, float64; NaN where a record lacks the metric or its value was not finite.
    """

    steps: np.ndarray
    epochs: np.ndarray
    times: np.ndarray
    epoch_end: np.ndarray
    metrics: Mapping[str, np.ndarray] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.steps)

    def frame(self) -> Any:
        """Return the columns as a pandas data frame: `step`, `epoch`, `time`, `epoch_end` and the metrics.

        A metric that has the name of another column gets `metrics.` in front.

        Raises:
            KplugError: If pandas is not installed.
        """
        columns = {"step": self.steps, "epoch": self.epochs, "time": self.times, "epoch_end": self.epoch_end}
        others = {f"metrics.{name}" if name in columns else name: values for name, values in self.metrics.items()}
        return pandas().DataFrame({**columns, **others})


class LineParser:
    """Makes columns of blocks of lines.

    Lines as `RecordWriter` writes them are decoded straight into their types, once the metrics' names are known. A
    block with any other line goes the way of `RecordReader`, so that what comes out is the same.

    Args:
        names: The metrics whose names are known.
    """

    def __init__(self, names: Iterable[str] = ()) -> None:
        self._names: list[str] = []
        self._decoder = _decoder(self._names)
        self._learn(names)

    def parse(self, block: bytes) -> tuple[MetricArrays, int]:
        """Return the records of a block of whole lines, and how many of its lines are none."""
        arrays = self._parsed_at_once(block)
        if arrays is not None:
            return arrays, 0
        records, malformed = metric_records(block)
        names = dict.fromkeys(name for record in records for name in record.metrics)
        self._learn(names)
        values = {name: np.array([record.metrics.get(name, math.nan) for record in records]) for name in names}
        return _arrays(records, values), malformed

    def _parsed_at_once(self, block: bytes) -> MetricArrays | None:
        lines = _lines_of_one_object(block)
        if lines is None:
            return None
        try:
            records = self._decoder.decode_lines(block)
            if len(records) != lines:
                return None
            values = [record.metrics for record in records]
            return _arrays(records, {name: _floats(values, f"m{index}") for index, name in enumerate(self._names)})
        except (msgspec.DecodeError, ValueError, OverflowError):
            return None

    def _learn(self, names: Iterable[str]) -> None:
        more = [name for name in names if name not in self._names and _FIT_FOR_A_FIELD.fullmatch(name)]
        if more and len(self._names) + len(more) <= _MOST_NAMES:
            self._names += more
            self._decoder = _decoder(self._names)


def no_arrays() -> MetricArrays:
    """Return the columns of no records."""
    return _arrays([], {})


def pandas() -> Any:
    """Return the package pandas.

    Raises:
        KplugError: If it is not installed.
    """
    try:
        return importlib.import_module("pandas")
    except ImportError:
        raise KplugError("Data frames need pandas. Install it with: pip install pandas") from None


def _decoder(names: Sequence[str]) -> msgspec.json.Decoder[Any]:
    """Return what decodes lines whose metrics have no other names than these."""
    fields = [
        (f"m{index}", float | None, msgspec.field(default=math.nan, name=name)) for index, name in enumerate(names)
    ]
    metrics = msgspec.defstruct("Metrics", fields, gc=False, forbid_unknown_fields=True)
    line = msgspec.defstruct(
        "Line",
        [("step", int), ("epoch", int), ("time", float), ("metrics", metrics), ("epoch_end", bool, False)],
        gc=False,
        forbid_unknown_fields=True,
    )
    return msgspec.json.Decoder(line)


def _lines_of_one_object(block: bytes) -> int | None:
    """Return how many lines a block has, if each begins and ends as an object does; else `None`.

    To the decoder a line break is as good as a space. Between a `}` and a `{` it can only be between two records.
    """
    text = np.frombuffer(block, np.uint8)
    ends = np.flatnonzero(text == _LINE_FEED)
    whole = text[0] == _OPENING and (text[ends - 1] == _CLOSING).all() and (text[ends[:-1] + 1] == _OPENING).all()
    return len(ends) if whole and b"\r" not in block else None


def _arrays(records: Sequence[Any], metrics: Mapping[str, np.ndarray]) -> MetricArrays:
    def column(name: str, kind: type) -> np.ndarray:
        return np.fromiter(map(operator.attrgetter(name), records), kind, len(records))

    return MetricArrays(
        column("step", np.int64), column("epoch", np.int64), column("time", float), column("epoch_end", bool), metrics
    )


def _floats(values: Sequence[Any], name: str) -> np.ndarray:
    try:
        return np.fromiter(map(operator.attrgetter(name), values), float, len(values))
    except TypeError:  # there are nulls among them, which np.array takes for NaN
        return np.array([getattr(one, name) for one in values], float)
