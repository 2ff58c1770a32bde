"""A person's own table, as text with separated values."""

from __future__ import annotations

import math
from collections.abc import Sequence
from csv import Error as CSVError
from csv import reader
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from kplug.catalog.facts import component
from kplug.datasets.dataset import Dataset
from kplug.datasets.limits import Fraction, Seed, check_choice, check_fractions, check_seed
from kplug.datasets.paths import existing_file
from kplug.datasets.table_columns import TARGET_KINDS, Column, TargetKind, choose_columns, table_of_columns
from kplug.errors import DataError

_DELIMITERS = (",", ";", "\t", "|")
_MISSING = {"na", "n/a", "nan", "null", "?"}
_OF_A_CELL = "Fill it in, remove the row, or leave the column out with `ignore`."


@component(
    tasks=["tabular-classification", "tabular-regression"],
    provides=["input_shape", "num_features", "feature_names", "num_classes", "class_names"],
    references=["Shafranovich (2005), RFC 4180, https://www.rfc-editor.org/rfc/rfc4180"],
)
def csv(
    path: str | Path,
    target: str | None = None,
    target_kind: TargetKind = "auto",
    ignore: Sequence[str] = (),
    categorical: Sequence[str] = (),
    delimiter: str | None = None,
    standardize: bool = True,
    validation_fraction: Fraction = 0.1,
    test_fraction: Fraction = 0.2,
    seed: Seed = 0,
) -> Dataset:
    """Your own table from a CSV file: numbers standardised, texts one-hot, any column as the target.

    The first line names the columns. A column is taken for numbers if more than half of its cells are; a cell that is
    none is then an error. Other columns are categories: one feature of 0 or 1 for each of their texts, in the order of
    the alphabet. Every cell must be filled.

    Args:
        path: The file, in UTF-8.
        target: The column to predict; by default the last one that is not ignored.
        target_kind: `"classification"`, `"regression"`, or `"auto"`: classes if the target is texts, or whole numbers
            of at most 20 different values, each met twice on average.
        ignore: Columns to leave out, such as the number of a row.
        categorical: Columns to take for categories although they look like numbers, such as postcodes.
        delimiter: The sign between cells; by default that of comma, semicolon, tab and `|` which the first line has
            most of.
        standardize: Whether to subtract each number column's mean and divide by its standard deviation, both of the
            training split. The target is left as it is.
        validation_fraction: Share of the rows outside the test split that becomes the validation split.
        test_fraction: Share of the rows that becomes the test split.
        seed: Seed of the order in which the rows are split; classes are in proportion in every split.

    Returns:
        A `kplug.Dataset` with `x` of shape `(rows, features)`, float32, and either classes of shape `(rows,)`, int64,
        or numbers of shape `(rows, 1)`, float32; its info has `input_shape`, `num_features`, `feature_names`
        (`colour=red` for a category), and for classes `num_classes` and `class_names`.

    Raises:
        ValueError: If a parameter is out of range.
        DataError: If the file cannot be read, a row has too few or too many cells, a cell is missing or no number, or
            there are too few rows or classes. The message names the file, the line and the column.

    References:
        Shafranovich (2005), RFC 4180, https://www.rfc-editor.org/rfc/rfc4180

    Example:

    ```python
    houses = kplug.datasets.csv("houses.csv", target="price", ignore=["id"])
    ```
    """
    check_choice("target_kind", target_kind, TARGET_KINDS)
    if delimiter is not None and (len(delimiter) != 1 or delimiter in '"\r\n'):
        raise ValueError(f"`delimiter` must be one sign, and no quotation mark. Received: {delimiter!r}")
    check_fractions(validation_fraction=validation_fraction, test_fraction=test_fraction)
    check_seed(seed)
    cells = _read(existing_file(path), delimiter)
    features, target = choose_columns(cells.names, target, ignore, categorical, cells.source)
    kinds = {name: "text" if name in categorical else "either" for name in features}
    kinds[target] = {"auto": "either", "classification": "class", "regression": "number"}[target_kind]
    if target in categorical:
        kinds[target] = "text"
    columns = {name: _column(cells, name, kind) for name, kind in kinds.items()}
    return table_of_columns(
        [columns[name] for name in features],
        columns[target],
        target_kind=target_kind,
        standardize=standardize,
        validation_fraction=validation_fraction,
        test_fraction=test_fraction,
        seed=seed,
        source=cells.source,
    )


@dataclass(frozen=True)
class _Cells:
    source: str
    names: list[str]
    rows: list[list[str]]
    lines: list[int]

    def place(self, row: int, name: str) -> str:
        return f"{self.source}, line {self.lines[row]}, column {name!r}"


def _read(path: Path, delimiter: str | None) -> _Cells:
    rows: list[list[str]] = []
    lines: list[int] = []
    names: list[str] = []
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            if delimiter is None:
                first = file.readline()
                delimiter = max(_DELIMITERS, key=first.count)
                file.seek(0)
            source = reader(file, delimiter=delimiter, strict=True)
            for row in source:
                if not row:
                    continue
                stripped = [cell.strip() for cell in row]
                if not names:
                    names = _header(stripped, path)
                    continue
                if len(row) != len(names):
                    raise DataError(
                        f"{path}, line {source.line_num}, has {len(row)} cells, but the first line names {len(names)} "
                        f"columns. Correct the line; a cell with {delimiter!r} in it needs quotation marks around it."
                    )
                rows.append(stripped)
                lines.append(source.line_num)
    except UnicodeDecodeError as error:
        raise DataError(f"{path} is not text in UTF-8 ({error.reason}). Save it as UTF-8, and as CSV.") from error
    except CSVError as error:
        raise DataError(f"{path}, line {source.line_num}, cannot be read as CSV: {error}. Correct the line.") from error
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}.") from error
    if not rows:
        raise DataError(f"{path} has no rows. A first line with the columns' names and a line for each row are needed.")
    return _Cells(str(path), names, rows, lines)


def _header(names: list[str], path: Path) -> list[str]:
    for number, name in enumerate(names, start=1):
        if not name:
            raise DataError(
                f"{path}: column {number} has no name in the first line. "
                "Name it; if it only numbers the rows, leave it out with `ignore`."
            )
    return names


def _column(cells: _Cells, name: str, kind: str) -> Column:
    """Read a column as `"text"`, `"number"`, `"class"` (whole numbers or else texts) or `"either"`."""
    index = cells.names.index(name)
    texts = [row[index] for row in cells.rows]
    missing = {""} if kind == "text" else {"", *_MISSING}
    for row, text in enumerate(texts):
        if text.lower() in missing:
            told = "is empty" if not text else f"is {text!r}, which stands for a missing value"
            as_text = "" if not text else f" To take {text!r} for a category, name the column in `categorical`."
            raise DataError(f"{cells.place(row, name)}: the cell {told}. {_OF_A_CELL}{as_text}")
    if kind == "text":
        return Column(name, texts)
    numbers = [_number(text) for text in texts]
    read = sum(number is not None for number in numbers)
    if kind == "class" and not all(number is not None and number == round(number) for number in numbers):
        return Column(name, texts)
    if kind == "either" and 2 * read <= len(texts):
        return Column(name, texts)
    for row, number in enumerate(numbers):
        if number is None:
            remedy = "choose another `target_kind`" if kind == "number" else "name the column in `categorical`"
            raise DataError(
                f"{cells.place(row, name)}: {texts[row]!r} is no finite number; {read} of the column's {len(texts)} "
                f"cells are. Correct it, remove the row, or {remedy}."
            )
    return Column(name, np.array(numbers, "float64"))


def _number(text: str) -> float | None:
    """Return a finite number, or `None`. Python's own digit groups, `1_000`, are none in a table."""
    try:
        number = float(text)
    except ValueError:
        return None
    return number if math.isfinite(number) and "_" not in text else None
