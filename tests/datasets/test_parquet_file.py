"""`parquet`: the same table as a CSV file gives the same data set; the package it needs is named."""

from __future__ import annotations

import datetime
import decimal
import sys

import numpy as np
import pytest

from kplug.datasets import csv, parquet
from kplug.errors import DataError

ROWS = {
    "length": [i / 4 for i in range(40)],
    "count": list(range(40)),
    "colour": [("red", "green")[i % 2] for i in range(40)],
    "kind": ["big" if i > 19 else "small" for i in range(40)],
}


@pytest.fixture
def write(tmp_path):
    arrow = pytest.importorskip("pyarrow")
    writing = pytest.importorskip("pyarrow.parquet")

    def write(columns):
        file = tmp_path / "table.parquet"
        writing.write_table(arrow.table(columns), file)
        return file

    return write


def test_without_pyarrow_it_is_named_and_so_is_the_way_round(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    file = tmp_path / "table.parquet"
    file.write_bytes(b"PAR1")
    with pytest.raises(DataError, match=r"table\.parquet cannot be read.*pip install pyarrow.*data set csv"):
        parquet(file)


@pytest.mark.parametrize(("content", "expected"), [(None, "There is no"), (b"", "is empty")])
def test_missing_and_empty_files(tmp_path, content, expected):
    file = tmp_path / "table.parquet"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(DataError, match=expected):
        parquet(file)


@pytest.mark.parametrize("parameter", ["validation_fraction", "test_fraction", "seed"])
def test_parameters_out_of_range(parameter):
    with pytest.raises(ValueError, match=f"`{parameter}`"):
        parquet("table.parquet", **{parameter: -1})


def test_equal_to_the_same_table_as_csv(write, tmp_path):
    text = tmp_path / "table.csv"
    lines = [",".join(map(str, row)) for row in zip(*ROWS.values(), strict=True)]
    text.write_text("\n".join([",".join(ROWS), *lines]))
    one, other = parquet(write(ROWS)), csv(text)
    assert one.info == other.info
    for split in ("train", "validation", "test"):
        for part, expected in zip(getattr(one, split), getattr(other, split), strict=True):
            np.testing.assert_array_equal(part, expected)


def test_types(write):
    arrow = pytest.importorskip("pyarrow")
    columns = {
        "truth": [i % 2 == 0 for i in range(20)],
        "price": [decimal.Decimal(i) / 4 for i in range(20)],
        "colour": arrow.array(["red", "blue"] * 10).dictionary_encode(),
        "code": [12345, 54321] * 10,
        "__index_level_0__": list(range(20)),
        "y": np.arange(20, dtype="float32") / 2,
    }
    data = parquet(write(columns), categorical=["code"], standardize=False)
    names = ("truth=False", "truth=True", "price", "colour=blue", "colour=red", "code=12345", "code=54321")
    assert data.info["feature_names"] == names
    x, y = (np.concatenate([split[part] for split in (data.train, data.test)]) for part in (0, 1))
    np.testing.assert_array_equal(x[:, 2], y[:, 0] / 2)


@pytest.mark.parametrize(
    ("columns", "expected"),
    [
        ({"a": [1.0, None, 2.0], "b": [1, 2, 3]}, r"row 2, column 'a': the cell is empty\. Fill it in"),
        ({"a": [1.0, 1.0, float("nan")], "b": [1, 2, 3]}, r"row 3, column 'a': the cell is nan, no finite number"),
        ({"a": [datetime.date(2020, 1, 1)] * 3, "b": [1, 2, 3]}, r"column 'a', has the type date32.*`ignore`"),
        ({"a": [1, 2, 3], "b": [1, 2, 3]}, None),
        ({"a": [], "b": []}, r"has no rows"),
        ({"a": [1, 2, 3]}, r"needs a column to predict"),
        ({"a": [1, 2, 3], "b": ["x", "x", "x"]}, r"all rows are of the same class, 'x'"),
    ],
)
def test_tables_that_cannot_be_used(write, columns, expected):
    file = write(columns)
    if expected is None:
        assert parquet(file).info["num_features"] == 1
        return
    with pytest.raises(DataError, match=expected):
        parquet(file)


def test_numbers_of_no_class(write):
    file = write({"a": [1, 2, 3], "b": [0.5, 1.0, 1.5]})
    with pytest.raises(DataError, match=r"column 'b': classes must be texts or whole numbers\. There is 0\.5"):
        parquet(file, target_kind="classification")


def test_a_file_of_another_kind(tmp_path):
    pytest.importorskip("pyarrow.parquet")
    file = tmp_path / "table.parquet"
    file.write_text("a,b\n1,2\n")
    with pytest.raises(DataError, match=r"cannot be read as Parquet"):
        parquet(file)
