"""A person's own table, as text with separated values."""

from __future__ import annotations

import re
from array import array
from collections.abc import Iterable, Sequence
from csv import Error as CSVError
from csv import reader
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Literal

import numpy as np

from kplug.catalog.facts import component
from kplug.datasets.dataset import Dataset
from kplug.datasets.limits import LARGEST, Fraction, Seed, check_choice, check_fractions, check_seed
from kplug.datasets.paths import existing_file
from kplug.datasets.table_columns import TARGET_KINDS, Column, TargetKind, choose_columns, table_of_columns, text_column
from kplug.errors import DataError

_DELIMITERS = (",", ";", "\t", "|")
_MISSING = {"na", "n/a", "nan", "null", "?"}
_OF_A_CELL = "Fill it in, remove the row, or leave the column out with `ignore`."
_GROUPED = re.compile(r"[+-]?[1-9]\d{0,2}((,\d{3})+(\.\d+)?|(\.\d{3})+,\d+)")
_ROWS_AT_A_TIME = 10_000
_TEXTS = np.dtypes.StringDType()

DecimalSign = Literal[".", ","]


@component(
    tasks=["tabular-classification", "tabular-regression", "density-estimation"],
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
    decimal: DecimalSign | None = None,
    standardize: bool = True,
    validation_fraction: Fraction = 0.1,
    test_fraction: Fraction = 0.2,
    seed: Seed = 0,
) -> Dataset:
    """Your own table from a CSV file: numbers standardised, texts one-hot, any column as the target.

    The first line names the columns. A column is taken for numbers if more than half of its cells are; a cell that is
    none is then an error. Other columns are categories: one feature of 0 or 1 for each of their texts, in the order of
    the alphabet. The texts are those of all rows, so that the features are the same for every seed; of one that no
    training row has, the feature is 0 in all of them. Every cell must be filled.

    Args:
        path: The file, in UTF-8.
        target: The column to predict; by default the last one that is not ignored.
        target_kind: `"classification"`, `"regression"`, or `"auto"`: classes if the target is texts, or whole numbers
            of at most 20 different values, each met twice on average.
        ignore: Columns to leave out, such as the number of a row.
        categorical: Columns to take for categories although they look like numbers, such as postcodes.
        delimiter: The sign between cells; by default that of comma, semicolon, tab and `|` which the first line has
            most of.
        decimal: The sign before decimals. By default a point, but in a file whose delimiter is no comma, a comma in
            every column of which that makes more numbers. Numbers with another sign, or with signs between thousands,
            are refused; so is a column of numbers like 1,234, which may be more than a thousand or less than two.
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
        DataError: If the file cannot be read, a row has too few or too many cells, a cell is missing, no number or not
            surely one, or there are too few rows or classes. The message names the file, the line and the column.

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
    check_choice("decimal", decimal, (".", ",", None))
    check_fractions(validation_fraction=validation_fraction, test_fraction=test_fraction)
    check_seed(seed)
    file = existing_file(path)
    features, predicted = _columns(_read(file, delimiter), target, target_kind, ignore, categorical, decimal)
    return table_of_columns(
        features,
        predicted,
        target_kind=target_kind,
        standardize=standardize,
        validation_fraction=validation_fraction,
        test_fraction=test_fraction,
        seed=seed,
        source=str(file),
    )


@dataclass(frozen=True)
class _Cells:
    """A file's cells as texts, by columns, which need a small part of the memory that a Python text each would."""

    source: str
    delimiter: str
    names: list[str]
    columns: list[np.ndarray]
    lines: array[int]

    def texts(self, name: str) -> list[str]:
        return self.columns[self.names.index(name)].tolist()

    def place(self, row: int, name: str) -> str:
        return f"{self.source}, line {self.lines[row]}, column {name!r}"


def _read(path: Path, delimiter: str | None) -> _Cells:
    names: list[str] = []
    lines = array("q")

    def rows() -> Iterable[list[str]]:
        for row in source:
            if not row:
                continue
            stripped = [cell.strip() for cell in row]
            if not names:
                names.extend(_header(stripped, path))
                continue
            if len(row) != len(names):
                raise DataError(
                    f"{path}, line {source.line_num}, has {len(row)} cells, but the first line names {len(names)} "
                    f"columns. Correct the line; a cell with {delimiter!r} in it needs quotation marks around it."
                )
            lines.append(source.line_num)
            yield stripped

    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            if delimiter is None:
                first = file.readline()
                delimiter = max(_DELIMITERS, key=first.count)
                file.seek(0)
            source = reader(file, delimiter=delimiter, strict=True)
            parts = list(_by_columns(rows()))
    except UnicodeDecodeError as error:
        raise DataError(f"{path} is not text in UTF-8 ({error.reason}). Save it as UTF-8, and as CSV.") from error
    except CSVError as error:
        raise DataError(f"{path}, line {source.line_num}, cannot be read as CSV: {error}. Correct the line.") from error
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}.") from error
    if not parts:
        raise DataError(f"{path} has no rows. A first line with the columns' names and a line for each row are needed.")
    return _Cells(str(path), delimiter, names, [np.concatenate(column) for column in zip(*parts, strict=True)], lines)


def _by_columns(rows: Iterable[list[str]]) -> Iterable[list[np.ndarray]]:
    """Yield the columns of some rows at a time."""
    rows = iter(rows)
    while some := list(islice(rows, _ROWS_AT_A_TIME)):
        yield [np.array(column, _TEXTS) for column in zip(*some, strict=True)]


def _header(names: list[str], path: Path) -> list[str]:
    for number, name in enumerate(names, start=1):
        if not name:
            raise DataError(
                f"{path}: column {number} has no name in the first line. "
                "Name it; if it only numbers the rows, leave it out with `ignore`."
            )
    return names


def _columns(
    cells: _Cells,
    target: str | None,
    target_kind: TargetKind,
    ignore: Sequence[str],
    categorical: Sequence[str],
    decimal: DecimalSign | None,
) -> tuple[list[Column], Column]:
    """Return the columns to predict from, and the one to predict."""
    features, target = choose_columns(cells.names, target, ignore, categorical, cells.source)
    kinds = dict.fromkeys(features, "either")
    kinds[target] = {"auto": "either", "classification": "class", "regression": "number"}[target_kind]
    kinds |= {name: "text" for name in categorical if name in kinds}
    columns = {name: _column(cells, name, kind, decimal) for name, kind in kinds.items()}
    return [columns[name] for name in features], columns[target]


def _column(cells: _Cells, name: str, kind: str, decimal: DecimalSign | None) -> Column:
    """Read a column as `"text"`, `"number"`, `"class"` (whole numbers or else texts) or `"either"`."""
    texts = cells.texts(name)
    missing = {""} if kind == "text" else {"", *_MISSING}
    for row, text in enumerate(texts):
        if text.lower() in missing:
            told = "is empty" if not text else f"is {text!r}, which stands for a missing value"
            as_text = "" if not text else f" To take {text!r} for a category, name the column in `categorical`."
            raise DataError(f"{cells.place(row, name)}: the cell {told}. {_OF_A_CELL}{as_text}")
    if kind == "text":
        return text_column(name, texts)
    numbers = _numbers(cells, name, texts, decimal)
    read = _read_ones(numbers)
    if kind == "class" and not all(number is not None and number == round(number) for number in numbers):
        return text_column(name, texts)
    if kind == "either" and 2 * read <= len(texts):
        return text_column(name, texts)
    for row, number in enumerate(numbers):
        if number is None:
            remedy = "choose another `target_kind`" if kind == "number" else "name the column in `categorical`"
            raise DataError(
                f"{cells.place(row, name)}: {texts[row]!r} is no finite number; {read} of the column's {len(texts)} "
                f"cells are. Correct it, remove the row, or {remedy}."
            )
    return Column(name, np.array(numbers, "float64"))


def _numbers(cells: _Cells, name: str, texts: Sequence[str], decimal: DecimalSign | None) -> list[float | None]:
    """Read finite numbers, with the decimal sign that is given or else reads more; `None` where there is none."""
    sign: DecimalSign = decimal or "."
    numbers = [_number(text, sign) for text in texts]
    if None not in numbers:
        return numbers
    if decimal is None and cells.delimiter != ",":
        with_commas = [_number(text, ",") for text in texts]
        gained = [texts[row] for row, number in enumerate(with_commas) if numbers[row] is None and number is not None]
        if _read_ones(with_commas) > _read_ones(numbers) and not all(map(_GROUPED.fullmatch, gained)):
            sign, numbers = ",", with_commas
    other: DecimalSign = "." if sign == "," else ","
    unread = [row for row, text in enumerate(texts) if numbers[row] is None and ("," in text or "." in text)]
    doubtful = [row for row in unread if _GROUPED.fullmatch(texts[row]) or _number(texts[row], other) is not None]
    if doubtful and 2 * (_read_ones(numbers) + len(doubtful)) > len(texts):
        raise DataError(
            f"{cells.place(doubtful[0], name)}: {texts[doubtful[0]]!r} is a number only with a sign between thousands, "
            f"or with {other!r} before decimals. Write numbers without signs between thousands, choose `decimal` "
            f"{other!r} if that is what it is, or name the column in `categorical`."
        )
    return numbers


def _number(text: str, decimal: DecimalSign) -> float | None:
    """Return a number that single precision can hold, or `None`. Digit groups as Python has them, `1_000`, are none."""
    if decimal == ",":
        if "." in text:
            return None
        text = text.replace(",", ".")
    try:
        number = float(text)
    except ValueError:
        return None
    return number if abs(number) <= LARGEST and "_" not in text else None


def _read_ones(numbers: Sequence[float | None]) -> int:
    return len(numbers) - numbers.count(None)
