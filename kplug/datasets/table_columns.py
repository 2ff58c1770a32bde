"""From the columns of a person's table, numbers or texts, to a data set."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from kplug.datasets.dataset import Dataset
from kplug.datasets.tables import table
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
        cells: Numbers, float64 of shape `(rows,)`; or texts.
    """

    name: str
    cells: np.ndarray | list[str]

    @property
    def numeric(self) -> bool:
        """Whether the cells are numbers."""
        return isinstance(self.cells, np.ndarray)


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
    blocks, names = zip(*(_encode(column, source) for column in features), strict=True)
    widths = [len(group) for group in names]
    return table(
        np.concatenate(blocks, axis=1),
        y,
        feature_names=[name for group in names for name in group],
        class_names=class_names,
        columns=np.repeat([column.numeric for column in features], widths),
        standardize=standardize,
        validation_fraction=validation_fraction,
        test_fraction=test_fraction,
        seed=seed,
        source=source,
    )


def _check_known(parameter: str, given: Sequence[str], names: Sequence[str], source: str) -> None:
    unknown = next((name for name in given if name not in names), None)
    if unknown is not None:
        raise DataError(
            f"{source} has no column {unknown!r}, which `{parameter}` names. Its columns: {', '.join(names)}."
        )


def _encode(column: Column, source: str) -> tuple[np.ndarray, list[str]]:
    """Return a block of columns, and their names."""
    if isinstance(column.cells, np.ndarray):
        return column.cells[:, np.newaxis], [column.name]
    categories = sorted(set(column.cells))
    if len(categories) > _MOST_CATEGORIES:
        raise DataError(
            f"{source}, column {column.name!r}, has {len(categories)} different texts ({categories[0]!r}, "
            f"{categories[1]!r}, …); at most {_MOST_CATEGORIES} become categories. If they are numbers, write them "
            f"like 3.14; otherwise leave the column out with `ignore`."
        )
    block = np.eye(len(categories))[_codes(column.cells, categories)]
    return block, [f"{column.name}={category}" for category in categories]


def _encode_target(column: Column, kind: TargetKind, source: str) -> tuple[np.ndarray, list[str] | None]:
    """Return what to predict, and the names of the classes if it is classes."""
    place = f"{source}, column {column.name!r}"
    cells = column.cells
    if isinstance(cells, np.ndarray):
        whole = bool((cells == np.round(cells)).all())
        different = len(np.unique(cells))
        recurring = different <= _MOST_NUMBERED_CLASSES and len(cells) >= 2 * different
        if kind == "regression" or (kind == "auto" and not (whole and recurring)):
            return cells, None
        if not whole:
            raise DataError(
                f"{place}: classes must be texts or whole numbers. There is {cells[cells != np.round(cells)][0]:g}. "
                "Round the numbers, or predict them: `target_kind` 'regression'."
            )
    elif kind == "regression":
        raise DataError(
            f"{place}: a number cannot be predicted of texts such as {cells[0]!r}. "
            "Choose another `target`, or `target_kind` 'classification'."
        )
    classes = sorted(set(cells))
    names = [label if isinstance(label, str) else f"{label:.0f}" for label in classes]
    if len(classes) < 2:
        raise DataError(f"{place}: all rows are of the same class, {names[0]!r}. Choose another `target`.")
    if 2 * len(classes) > len(cells):
        raise DataError(
            f"{place}: {len(classes)} classes in {len(cells)} rows are too many to learn. Choose another `target`, or "
            "predict numbers: `target_kind` 'regression'."
        )
    return _codes(cells, classes), names


def _codes(cells: Sequence[Any] | np.ndarray, values: Sequence[Any]) -> np.ndarray:
    """Return the position of each cell among the values."""
    positions = {value: position for position, value in enumerate(values)}
    return np.array([positions[cell] for cell in cells])
