"""From the columns of a person's table, numbers or texts, to a data set."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from kplug.datasets.dataset import Dataset
from kplug.datasets.tables import split_targets, standardize_by, table_info
from kplug.errors import DataError

TargetKind = Literal["auto", "classification", "regression"]
TARGET_KINDS = ("auto", "classification", "regression")

_MOST_CATEGORIES = 100
_MOST_NUMBERED_CLASSES = 20


@dataclass(frozen=True)
class Column:
    """A column of a table, without missing cells.

    Attributes:
        name: The column's name.
        cells: Numbers, float64 of shape `(rows,)`; or of texts their positions among the categories, int32.
        categories: The different texts in the order of the alphabet; `None` for numbers.
    """

    name: str
    cells: np.ndarray
    categories: tuple[str, ...] | None = None


def text_column(name: str, texts: Sequence[str]) -> Column:
    """Return a column of texts."""
    categories = tuple(sorted(set(texts)))
    positions = {category: position for position, category in enumerate(categories)}
    return Column(name, np.fromiter(map(positions.__getitem__, texts), "int32", len(texts)), categories)


def choose_columns(
    names: Sequence[str], target: str | None, ignore: Sequence[str], categorical: Sequence[str], source: str
) -> tuple[list[str], str]:
    """Return the features' names in the table's order, and the target's.

    Args:
        names: All columns.
        target: The column to predict; the last that is not ignored by default.
        ignore: Columns to leave out.
        categorical: Columns to take as texts.
        source: What the table is from, for messages.

    Raises:
        ValueError: If `ignore` or `categorical` is a text rather than a list.
        DataError: If a column is not there, is there twice, or no feature is left.
    """
    for parameter, given in (("ignore", ignore), ("categorical", categorical)):
        if isinstance(given, str):
            raise ValueError(f"`{parameter}` must be a list of column names. Received: {given!r}")
    twice = next((name for name in names if list(names).count(name) > 1), None)
    if twice is not None:
        raise DataError(f"{source} has two columns named {twice!r}. Give every column a name of its own.")
    for parameter, given in (("target", [] if target is None else [target]), ("ignore", ignore)):
        _check_known(parameter, given, names, source)
    _check_known("categorical", categorical, names, source)
    kept = [name for name in names if name not in ignore]
    if target is None and kept:
        target = kept[-1]
    features = [name for name in kept if name != target]
    if target not in kept or not features:
        raise DataError(
            f"{source} needs a column to predict and at least one more that is not ignored. "
            f"Its columns: {', '.join(names)}."
        )
    return features, target


def table_of_columns(
    features: Sequence[Column],
    target: Column,
    *,
    target_kind: TargetKind,
    standardize: bool,
    validation_fraction: float,
    test_fraction: float,
    seed: int,
    source: str,
) -> Dataset:
    """Encode columns and split them: numbers as they are, texts one-hot.

    Args:
        features: The columns to predict from.
        target: The column to predict.
        target_kind: Whether the target is a class or a number; `"auto"` takes texts, and whole numbers of at most 20
            different values that recur, for classes.
        standardize: Whether to standardise the numbers by the training split.
        validation_fraction: Share of the rows outside the test split that becomes the validation split.
        test_fraction: Share of the rows that becomes the test split.
        seed: Seed of the order in which the rows are split.
        source: What the table is from, for messages.

    Raises:
        DataError: If a column has too many different texts, the target has one class only or is of the wrong kind, or
            there are too few rows.
    """
    y, class_names = _encode_target(target, target_kind, source)
    names = [name for column in features for name in _feature_names(column, source)]
    y, indices = split_targets(y, class_names, validation_fraction, test_fraction, seed, source)
    xs = [np.zeros((len(chosen), len(names)), "float32") for chosen in indices]
    first = 0
    for column in features:
        if column.categories is None:
            mean, scale = standardize_by(column.cells[indices[0], np.newaxis]) if standardize else (0.0, 1.0)
            values = (column.cells - mean) / scale
            for x, chosen in zip(xs, indices, strict=True):
                x[:, first] = values[chosen]
        else:
            for x, chosen in zip(xs, indices, strict=True):
                x[np.arange(len(x)), first + column.cells[chosen]] = 1
        first += len(column.categories or (column.name,))
    train, validation, test = ((x, y[chosen]) for x, chosen in zip(xs, indices, strict=True))
    return Dataset(train, validation, test, table_info(names, class_names))


def _check_known(parameter: str, given: Sequence[str], names: Sequence[str], source: str) -> None:
    unknown = next((name for name in given if name not in names), None)
    if unknown is not None:
        raise DataError(
            f"{source} has no column {unknown!r}, which `{parameter}` names. Its columns: {', '.join(names)}."
        )


def _feature_names(column: Column, source: str) -> list[str]:
    if column.categories is None:
        return [column.name]
    if len(column.categories) > _MOST_CATEGORIES:
        raise DataError(
            f"{source}, column {column.name!r}, has {len(column.categories)} different texts "
            f"({column.categories[0]!r}, {column.categories[1]!r}, …); at most {_MOST_CATEGORIES} become categories. "
            "If they are numbers, write them like 3.14; otherwise leave the column out with `ignore`."
        )
    return [f"{column.name}={category}" for category in column.categories]


def _encode_target(column: Column, kind: TargetKind, source: str) -> tuple[np.ndarray, Sequence[str] | None]:
    """Return what to predict, and the names of the classes if it is classes."""
    place = f"{source}, column {column.name!r}"
    cells, names = column.cells, column.categories
    if names is None:
        classes, codes = np.unique(cells, return_inverse=True)
        whole = bool((classes == np.round(classes)).all())
        recurring = len(classes) <= _MOST_NUMBERED_CLASSES and len(cells) >= 2 * len(classes)
        if kind == "regression" or (kind == "auto" and not (whole and recurring)):
            return cells, None
        if not whole:
            raise DataError(
                f"{place}: classes must be texts or whole numbers. There is {cells[cells != np.round(cells)][0]:g}. "
                "Round the numbers, or predict them: `target_kind` 'regression'."
            )
        cells, names = codes, tuple(f"{label:.0f}" for label in classes)
    elif kind == "regression":
        raise DataError(
            f"{place}: a number cannot be predicted of texts such as {names[cells[0]]!r}. "
            "Choose another `target`, or `target_kind` 'classification'."
        )
    if len(names) < 2:
        raise DataError(f"{place}: all rows are of the same class, {names[0]!r}. Choose another `target`.")
    if 2 * len(names) > len(cells):
        raise DataError(
            f"{place}: {len(names)} classes in {len(cells)} rows are too many to learn. Choose another `target`, or "
            "predict numbers: `target_kind` 'regression'."
        )
    return cells, names
