"""A person's own table, as a Parquet file."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from kplug.catalog.facts import component
from kplug.datasets.dataset import Dataset
from kplug.datasets.limits import LARGEST, Fraction, Seed, check_choice, check_fractions, check_seed
from kplug.datasets.paths import existing_file
from kplug.datasets.table_columns import TARGET_KINDS, Column, TargetKind, choose_columns, table_of_columns, text_column
from kplug.errors import DataError

_PANDAS_INDEX = "__index_level_"


@component(
    tasks=["tabular-classification", "tabular-regression", "density-estimation"],
    provides=["input_shape", "num_features", "feature_names", "num_classes", "class_names"],
    references=["Apache Parquet, https://parquet.apache.org/docs/"],
)
def parquet(
    path: str | Path,
    target: str | None = None,
    target_kind: TargetKind = "auto",
    ignore: Sequence[str] = (),
    categorical: Sequence[str] = (),
    standardize: bool = True,
    validation_fraction: Fraction = 0.1,
    test_fraction: Fraction = 0.2,
    seed: Seed = 0,
) -> Dataset:
    """Your own table from a Parquet file: numbers standardised, texts one-hot, any column as the target.

    Needs the package pyarrow. Integers, floats and decimals are numbers; texts and truth values are categories: one
    feature of 0 or 1 for each of their values, in the order of the alphabet. The values are those of all rows, so that
    the features are the same for every seed; of one that no training row has, the feature is 0 in all of them. Every
    cell must be filled. An index that pandas has stored is left out.

    Args:
        path: The file.
        target: The column to predict; by default the last one that is not ignored.
        target_kind: `"classification"`, `"regression"`, or `"auto"`: classes if the target is texts, or whole numbers
            of at most 20 different values, each met twice on average.
        ignore: Columns to leave out, such as the number of a row.
        categorical: Columns of numbers to take for categories, such as postcodes.
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
        DataError: If pyarrow is missing, the file cannot be read, a column has another type, a cell is missing or not
            finite, or there are too few rows or classes. The message names the file, the row and the column.

    References:
        Apache Parquet, https://parquet.apache.org/docs/

    Example:

    ```python
    houses = kplug.datasets.parquet("houses.parquet", target="price", ignore=["id"])
    ```
    """
    check_choice("target_kind", target_kind, TARGET_KINDS)
    check_fractions(validation_fraction=validation_fraction, test_fraction=test_fraction)
    check_seed(seed)
    file = existing_file(path)
    arrow, stored = _read(file)
    names = [name for name in stored.column_names if not name.startswith(_PANDAS_INDEX)]
    if stored.num_rows == 0 or not names:
        raise DataError(f"{file} has no rows. Give a file with data.")
    features, target = choose_columns(names, target, ignore, categorical, str(file))

    def column(name: str) -> Column:
        return _column(arrow, stored, name, name in categorical, file)

    return table_of_columns(
        [column(name) for name in features],
        column(target),
        target_kind=target_kind,
        standardize=standardize,
        validation_fraction=validation_fraction,
        test_fraction=test_fraction,
        seed=seed,
        source=str(file),
    )


def _read(file: Path) -> tuple[Any, Any]:
    try:
        arrow = importlib.import_module("pyarrow")
        reading = importlib.import_module("pyarrow.parquet")
    except ImportError as error:
        raise DataError(
            f"{file} cannot be read: Parquet needs the package pyarrow, which is not installed. "
            "Install it (pip install pyarrow), or save the table as CSV and take the data set csv."
        ) from error
    try:
        return arrow, reading.read_table(file)
    except (OSError, ValueError) as error:
        raise DataError(f"{file} cannot be read as Parquet: {error}. Save the table anew.") from error


def _column(arrow: Any, stored: Any, name: str, categorical: bool, file: Path) -> Column:
    values = stored.column(name)
    types, kind = arrow.types, values.type
    if types.is_dictionary(kind):
        kind = kind.value_type
    numeric = types.is_integer(kind) or types.is_floating(kind) or types.is_decimal(kind)
    if not numeric and not (types.is_string(kind) or types.is_large_string(kind) or types.is_boolean(kind)):
        raise DataError(
            f"{file}, column {name!r}, has the type {kind}; numbers, texts and truth values can be used. "
            "Convert the column, or leave it out with `ignore`."
        )
    cells = values.to_pylist()
    for row, cell in enumerate(cells, start=1):
        if cell is None or (numeric and not abs(float(cell)) <= LARGEST):
            told = "is empty" if cell is None else f"is {cell}, no finite number of single precision"
            raise DataError(
                f"{file}, row {row}, column {name!r}: the cell {told}. "
                "Fill it in, remove the row, or leave the column out with `ignore`."
            )
    if numeric and not categorical:
        return Column(name, np.array(cells, "float64"))
    return text_column(name, [str(cell) for cell in cells])
