"""What is looked at in the data before anything is built: lengths, values that are no numbers, labels out of range."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import keras
import numpy as np
from keras import tree

from kplug.catalog.facts import Facts
from kplug.errors import DataError

_SPLITS = ("train", "validation", "test")
_PARTS = ("x", "y", "the sample weights")
_MOST_NAMES = 5


def check_splits(dataset: Any, facts: Facts) -> None:
    """Refuse data that no model can be trained on, or evaluated. Arrays are looked at; of others only the length is.

    Args:
        dataset: What the data set component returned: `train`, `validation`, `test` and `info`.
        facts: What the component states about itself. Labels are compared with `num_classes` of its info record if it
            is for classification, or does not say what it is for.

    Raises:
        DataError: If a split is empty, its arrays differ in length, or hold NaN, infinity or a number too large for
            Keras' float type, or a label is not one of the classes. The message names split, place and value.
    """
    info = getattr(dataset, "info", None) or {}
    classification = not facts.tasks or any(task.endswith("classification") for task in facts.tasks)
    num_classes = info.get("num_classes") if classification else None
    for split in _SPLITS:
        data = getattr(dataset, split, None)
        if data is None:
            continue
        _check_lengths(split, data)
        if not isinstance(data, tuple):
            continue
        for part, values in zip(_PARTS, data, strict=False):
            names = info.get("feature_names", ()) if part == "x" and isinstance(values, np.ndarray) else ()
            for place, array in _arrays(part, values):
                _check_finite(f"The {split} split", place, array, names)
        if num_classes and len(data) > 1 and isinstance(data[1], np.ndarray):
            _check_labels(f"The {split} split", data[1], int(num_classes))


def _check_lengths(split: str, data: Any) -> None:
    if not isinstance(data, tuple):
        lengths = [_length(data)]
    else:
        arrays = [pair for part, values in zip(_PARTS, data, strict=False) for pair in _arrays(part, values)]
        lengths = [len(array) for _, array in arrays] or [len(data)]
        if len(set(lengths)) > 1:
            listed = ", ".join(f"{place} {len(array)}" for place, array in arrays)
            raise DataError(
                f"The {split} split's arrays differ in length: {listed}. Every sample needs a value in each of them."
            )
    if 0 in lengths:
        without = "" if split == "train" else f", or return {split}=None"
        raise DataError(f"The {split} split is empty. Give it at least one sample{without}.")


def _length(data: Any) -> int | None:
    """Return how many batches a loader has, if it knows."""
    try:
        return len(data)
    except (TypeError, NotImplementedError):
        return None


def _arrays(part: str, values: Any) -> Iterator[tuple[str, np.ndarray]]:
    """Yield each array in a structure of dictionaries, lists and tuples, and how to call it."""
    for path, leaf in tree.flatten_with_path(values):
        if isinstance(leaf, np.ndarray) and leaf.ndim:
            yield part + "".join(f"[{key!r}]" for key in path), leaf


def _check_finite(split: str, place: str, array: np.ndarray, names: Sequence[str]) -> None:
    if array.dtype.kind != "f" or array.size == 0:
        return
    with np.errstate(over="ignore"):
        # NaN is the least and the greatest of what it is among.
        extremes = np.array([array.min(), array.max()]).astype(keras.config.floatx())
    if np.isfinite(extremes).all():
        return
    with np.errstate(over="ignore"):
        bad = ~np.isfinite(array.astype(keras.config.floatx()))
    first = tuple(map(int, np.argwhere(bad)[0]))
    value = array[first]
    what = "NaN" if np.isnan(value) else "infinity" if np.isinf(value) else f"{value:g}"
    remedy = "Fill in such values, or leave out" if not np.isfinite(value) else "Rescale such values, or leave out"
    if array.ndim == 2 and array.shape[1] > 1:
        where = f" in {_columns(bad, names)},"
        remedy += " the samples or the columns."
    else:
        where = f" at {first[1:]}," if array.ndim > 2 else ","
        remedy += " the samples."
    large = f" (too large for {keras.config.floatx()})" if np.isfinite(value) else ""
    samples = bad.reshape(len(bad), -1).any(axis=1).sum()
    raise DataError(
        f"{split} has {what}{large} in {place}{where} first in sample {first[0]}; "
        f"{samples} of {len(bad)} samples have such values. {remedy}"
    )


def _columns(bad: np.ndarray, names: Sequence[str]) -> str:
    """Return the columns that have bad values, by name where there are names."""
    columns = np.flatnonzero(bad.any(axis=0))
    shown: list[Any] = columns[:_MOST_NAMES].tolist()
    if len(names) == bad.shape[1]:
        shown = [repr(names[column]) for column in shown]
    more = f" and {len(columns) - _MOST_NAMES} more" if len(columns) > _MOST_NAMES else ""
    return f"column{'s' if len(columns) > 1 else ''} {', '.join(map(str, shown))}{more}"


def _check_labels(split: str, y: np.ndarray, num_classes: int) -> None:
    """Refuse labels of classes that are not there.

    Rows (one-hot, several labels) are looked at if they are whole numbers. One number a sample between 0 and 1 may be
    the probability of the second of two classes.
    """
    if y.dtype.kind not in "fiub":
        raise DataError(
            f"{split} has labels of the type {y.dtype}, such as {y.flat[0]!r}. Number the classes from 0 to "
            f"{num_classes - 1}."
        )
    one_each = y.ndim == 1 or y.shape[1:] == (1,)
    if y.dtype.kind == "f" and not one_each:
        return
    # A single class is how some say that there is one output for two.
    greatest = max(num_classes - 1, 1)
    bad = (y < 0) | (y > greatest)
    if y.dtype.kind == "f" and greatest > 1:
        bad |= y != np.round(y)
    if bad.any():
        first = tuple(map(int, np.argwhere(bad)[0]))
        raise DataError(
            f"{split} has the label {y[first]} in sample {first[0]}; the data set's `num_classes` is {num_classes}, so "
            f"labels must be whole numbers from 0 to {greatest} ({bad.reshape(len(bad), -1).any(axis=1).sum()} of "
            f"{len(bad)} samples have others). Number the classes from 0, or correct `num_classes`."
        )
