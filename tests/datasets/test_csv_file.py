"""`csv`: column types, targets, and what is said of files that cannot be used."""

from __future__ import annotations

import re

import numpy as np
import pytest

from kplug.datasets import csv
from kplug.errors import DataError


@pytest.fixture
def write(tmp_path):
    def write(content, name="table.csv"):
        file = tmp_path / name
        file.write_bytes(content if isinstance(content, bytes) else content.encode())
        return file

    return write


def flowers(rows=40):
    """Row i: length i, colour red, green or blue in turn, price 10 i + 1/2, kind big for the second half."""
    lines = ["length,colour,price,kind"]
    for i in range(rows):
        lines.append(f"{i},{('red', 'green', 'blue')[i % 3]},{10 * i}.5,{'big' if 2 * i >= rows else 'small'}")
    return "\n".join(lines) + "\n"


def joined(data):
    splits = (data.train, data.validation, data.test)
    x, y = (np.concatenate([split[part] for split in splits]) for part in (0, 1))
    order = np.argsort(x[:, 0])
    return x[order], y[order]


def test_numbers_texts_and_a_target_of_texts(write):
    data = csv(write(flowers()), standardize=False)
    assert data.info == {
        "input_shape": (5,),
        "num_features": 5,
        "feature_names": ("length", "colour=blue", "colour=green", "colour=red", "price"),
        "num_classes": 2,
        "class_names": ("big", "small"),
    }
    assert [len(split[0]) for split in (data.train, data.validation, data.test)] == [29, 3, 8]
    x, y = joined(data)
    assert (x.dtype, y.dtype) == (np.float32, np.int64)
    np.testing.assert_array_equal(x[:, 0], range(40))
    np.testing.assert_array_equal(x[:4, 1:4], [[0, 0, 1], [0, 1, 0], [1, 0, 0], [0, 0, 1]])
    np.testing.assert_array_equal(x[:, 4], np.arange(40) * 10 + 0.5)
    np.testing.assert_array_equal(y, [1] * 20 + [0] * 20)
    np.testing.assert_array_equal(np.bincount(data.test[1]), [4, 4])


def test_only_numbers_are_standardised_and_by_the_training_rows(write):
    file = write(flowers())
    raw, data = csv(file, standardize=False), csv(file)
    train = raw.train[0].astype("float64")
    for column in (0, 4):
        expected = (raw.test[0][:, column] - train[:, column].mean()) / train[:, column].std()
        np.testing.assert_allclose(data.test[0][:, column], expected, rtol=1e-5)
    np.testing.assert_array_equal(data.test[0][:, 1:4], raw.test[0][:, 1:4])


def test_a_constant_column_becomes_0(write):
    lines = [f"{i},0.1,{i}.5" for i in range(30)]
    data = csv(write("a,b,c\n" + "\n".join(lines)))
    assert set(data.train[0][:, 1]) == {0}


def test_a_target_of_numbers(write):
    data = csv(write(flowers()), target="price", ignore=["kind"], standardize=False)
    assert "num_classes" not in data.info
    x, y = joined(data)
    assert (y.shape, y.dtype) == ((40, 1), np.float32)
    np.testing.assert_array_equal(y[:, 0], x[:, 0] * 10 + 0.5)


@pytest.mark.parametrize(
    ("labels", "class_names"),
    [
        ([0, 1] * 15, ("0", "1")),
        ([2, 10, 1] * 10, ("1", "2", "10")),
        (["1.0", "2.0"] * 15, ("1", "2")),
        ([-1, 1] * 15, ("-1", "1")),
        (range(30), None),
        ([0.5, 1.5] * 15, None),
        ([*range(21), *range(21)], None),
    ],
)
def test_whole_numbers_of_few_values_are_classes(write, labels, class_names):
    lines = [f"{i},{label}" for i, label in enumerate(labels)]
    assert csv(write("a,b\n" + "\n".join(lines))).info.get("class_names") == class_names


def test_the_target_kind_can_be_chosen(write):
    file = write("a,b\n" + "\n".join(f"{i / 7},{i % 3}" for i in range(30)))
    assert csv(file, target_kind="classification").info["num_classes"] == 3
    numbers = csv(file, target_kind="regression")
    assert "num_classes" not in numbers.info
    assert set(numbers.train[1][:, 0]) == {0, 1, 2}


def test_classes_of_mixed_cells_are_texts_when_asked_for(write):
    file = write("a,b\n" + "\n".join(f"{i},{(1, 2, 3, 'x')[i % 4]}" for i in range(40)))
    assert csv(file, target_kind="classification").info["class_names"] == ("1", "2", "3", "x")


def test_postcodes_can_be_categories(write):
    file = write("code,b\n" + "\n".join(f"{('0123', '9876')[i % 2]},{i}.5" for i in range(30)))
    assert csv(file, categorical=["code"]).info["feature_names"] == ("code=0123", "code=9876")
    assert csv(file).info["feature_names"] == ("code",)


def test_na_can_be_a_category(write):
    file = write("garage,b\n" + "\n".join(f"{('NA', 'yes')[i % 2]},{i}.5" for i in range(30)))
    assert csv(file, categorical=["garage"]).info["feature_names"] == ("garage=NA", "garage=yes")


@pytest.mark.parametrize("sign", [",", ";", "\t", "|"])
def test_the_delimiter_is_found_or_given(write, sign):
    file = write(flowers().replace(",", sign))
    assert csv(file).info["num_features"] == 5
    assert csv(file, delimiter=sign).info["num_features"] == 5


def column(write, cells, sign=";", **parameters):
    """Return the names and the sorted values of the features of a column, in a file of that delimiter."""
    lines = [f'"{cell}"{sign}{i}' for i, cell in enumerate(cells)]
    data = csv(write(f"a{sign}b\n" + "\n".join(lines)), standardize=False, **parameters)
    x = np.concatenate([split[0] for split in (data.train, data.validation, data.test)])
    return data.info["feature_names"], sorted(x[:, 0].tolist())


@pytest.mark.parametrize("sign", [";", "\t", "|"])
@pytest.mark.parametrize(
    ("cells", "expected"),
    [
        (["3,25", "-4,5", "7"], [-4.5, 3.25, 7]),
        (["1,5e3", "+2,5", ",5"], [0.5, 2.5, 1500]),
        (["0,125", "1,250", "2,500"], [0.125, 1.25, 2.5]),
        (["1,234", "1,5", "2"], [1.234, 1.5, 2]),
        (["1.234", "2.5", "7"], [1.234, 2.5, 7]),
    ],
)
def test_decimal_commas_are_found(write, sign, cells, expected):
    names, values = column(write, cells * 4, sign)
    assert names == ("a",)
    np.testing.assert_allclose(values, np.repeat(expected, 4), rtol=1e-6)


def test_columns_of_one_file_may_differ_in_the_decimal_sign(write):
    lines = [f"{i},5;{i}.5;t{i % 2};{i}" for i in range(20)]
    data = csv(write("a;b;c;d\n" + "\n".join(lines)), standardize=False)
    assert data.info["feature_names"] == ("a", "b", "c=t0", "c=t1")
    np.testing.assert_array_equal(data.train[0][:, 0], data.train[0][:, 1])


def test_a_target_with_decimal_commas(write):
    data = csv(write("a;b\n" + "\n".join(f"{i};{i},5" for i in range(20))), standardize=False)
    np.testing.assert_array_equal(data.train[1][:, 0], data.train[0][:, 0] + 0.5)


@pytest.mark.parametrize("sign", [",", ";"])
def test_the_decimal_sign_can_be_given(write, sign):
    cells = ["1,234", "2,500", "7"] * 4
    names, values = column(write, cells, sign, decimal=",")
    assert names == ("a",)
    np.testing.assert_allclose(values, np.repeat([1.234, 2.5, 7], 4), rtol=1e-6)
    assert column(write, ["1.5", "2.5", "7"] * 4, sign, decimal=".")[0] == ("a",)


@pytest.mark.parametrize("sign", [",", ";"])
@pytest.mark.parametrize("cells", [["a,b", "c"], ["1,2,3", "4"], ["3,1 kg", "2 kg"], ["1,5", "large", "small"]])
def test_texts_with_commas_are_categories(write, sign, cells):
    assert len(column(write, cells * 6, sign)[0]) == len(cells)


def test_numbers_with_commas_can_be_categories(write):
    assert column(write, ["1,234", "2,5"] * 6, categorical=["a"])[0] == ("a=1,234", "a=2,5")


@pytest.mark.parametrize(
    ("sign", "cells", "decimal", "line", "other"),
    [
        (";", ["7", "1,234", "12,500"], None, 3, ","),
        (";", ["1,234,567", "2,345,678"], None, 2, ","),
        (";", ["1,234", "2,500", "n,a"], None, 2, ","),
        (";", ["3.5", "1,234", "2,500"], None, 3, ","),
        (";", ["1,234.56", "7"], None, 2, ","),
        (";", ["1.234,56", "2.345,67"], None, 2, ","),
        (";", ["12,50", "1.234,56", "2.345,67"], None, 3, "."),
        (";", ["1,5", "2,5", "2.5"], None, 4, "."),
        (",", ["7", "1,234"], None, 3, ","),
        (",", ["3,1", "4,1"], None, 2, ","),
        (";", ["3,1", "4,1"], ".", 2, ","),
        (";", ["7", "3.1"], ",", 3, "."),
        (";", ["7", "1,234,567"], ",", 3, "."),
        (",", ["7.5", "8.5", "3,1"], None, 4, ","),
    ],
)
def test_numbers_that_can_be_read_in_two_ways_are_refused(write, sign, cells, decimal, line, other):
    place = f"line {line}, column 'a': '{cells[line - 2]}' is a number only with a sign between thousands, or with"
    with pytest.raises(DataError, match=re.escape(f"{place} '{other}' before decimals.")) as caught:
        column(write, cells * 6, sign, decimal=decimal)
    assert f"choose `decimal` '{other}'" in str(caught.value)
    assert "name the column in `categorical`" in str(caught.value)


def test_a_category_that_no_training_row_has_is_a_feature_all_the_same(write):
    lines = [f"{'rare' if i == 0 else 'red'},{i}" for i in range(30)]
    file = write("a,b\n" + "\n".join(lines))
    names = {csv(file, seed=seed).info["feature_names"] for seed in range(10)}
    assert names == {("a=rare", "a=red")}
    assert any((csv(file, seed=seed).train[0][:, 0] == 0).all() for seed in range(10))


def test_large_numbers_keep_their_differences(write):
    # As float32, 1e9 + i and its neighbours are one number.
    data = csv(write("a,b\n" + "\n".join(f"{1_000_000_000 + i},{i}" for i in range(50))))
    assert len(np.unique(np.concatenate([data.train[0], data.validation[0], data.test[0]]))) == 50


def test_a_file_of_many_rows_is_read_in_order(write):
    data = csv(write("a,b\n" + "\n".join(f"{i},{2 * i}.5" for i in range(25_000))), standardize=False)
    for x, y in (data.train, data.validation, data.test):
        np.testing.assert_array_equal(y, 2 * x + 0.5)
    assert sum(len(split[0]) for split in (data.train, data.validation, data.test)) == 25_000


def test_byte_order_mark_quotation_blank_lines_and_spaces(write):
    lines = [f'{i},"{("a, b", "c")[i % 2]}"' for i in range(20)]
    file = write(b"\xef\xbb\xbf" + ("x , y\r\n" + "\r\n\r\n".join(lines) + "\r\n\r\n").encode())
    data = csv(file)
    assert data.info["feature_names"] == ("x",)
    assert data.info["class_names"] == ("a, b", "c")


def test_one_seed_gives_one_order_and_another_another(write):
    file = write(flowers())
    np.testing.assert_array_equal(csv(file, seed=1).train[0], csv(file, seed=1).train[0])
    assert not np.array_equal(csv(file, seed=1).train[0], csv(file, seed=2).train[0])


def test_the_home_folder(write, monkeypatch, tmp_path):
    write(flowers())
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    assert csv("~/table.csv").info["num_features"] == 5


NUMBERS = "".join(f"{i},{i}.5\n" for i in range(30))


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"", r"table\.csv is empty"),
        ("a,b\n", r"table\.csv has no rows.*first line with the columns' names"),
        ("a,b\n1,2\n1,2,3\n", r"table\.csv, line 3, has 3 cells, but the first line names 2.*quotation marks"),
        ("a,b\n1,2\n\n1\n", r"line 4, has 1 cells"),
        (f"a,b\n{NUMBERS}x,1\n", r"line 32, column 'a': 'x' is no finite number; 30 of the column's 31.*`categorical`"),
        (f"a,b\n{NUMBERS}inf,1\n", r"line 32, column 'a': 'inf' is no finite number"),
        (f"a,b\n{NUMBERS}1e300,1\n", r"line 32, column 'a': '1e300' is no finite number"),
        (f"a,b\n{NUMBERS}1_000,1\n", r"line 32, column 'a': '1_000' is no finite number"),
        (f"a,b\n{NUMBERS},1\n", r"line 32, column 'a': the cell is empty\. Fill it in.*`ignore`"),
        (f"a,b\n{NUMBERS}1,NaN\n", r"line 32, column 'b': the cell is 'NaN'.*missing value.*`categorical`"),
        ("a,b\n" + "red,1\nN/A,2\n" * 9, r"line 3, column 'a': the cell is 'N/A'"),
        (",b\n1,2\n", r"table\.csv: column 1 has no name in the first line.*`ignore`"),
        ("a,a,b\n1,2,3\n", r"two columns named 'a'"),
        ("a\n1\n2\n", r"needs a column to predict and at least one more.*Its columns: a\."),
        ("a,b\n" + "1,yes\n" * 9, r"column 'b': all rows are of the same class, 'yes'.*another `target`"),
        ("a,b\n" + "".join(f"{i},text {i % 9}\n" for i in range(15)), r"column 'b': 9 classes in 15 rows are too many"),
        ("a,b\n1,2\n3,4\n", r"table\.csv has 2 samples: too few"),
        (
            "a,b\n" + "".join(f"t{i},{i % 2}\n" for i in range(101)),
            r"column 'a', has 101 different texts \('t0', 't1', …\)",
        ),
        (b"a,b\n\xff\xfe,1\n", r"table\.csv is not text in UTF-8.*Save it as UTF-8"),
        ('a,b\n1,"2\n', r"line \d, cannot be read as CSV"),
    ],
)
def test_files_that_cannot_be_used(write, content, expected):
    with pytest.raises(DataError, match=expected):
        csv(write(content))


@pytest.mark.parametrize(
    ("parameters", "expected"),
    [
        ({"target": "colours"}, r"no column 'colours', which `target` names\. Its columns: length, colour"),
        ({"ignore": ["size"]}, r"no column 'size', which `ignore` names"),
        ({"categorical": ["size"]}, r"no column 'size', which `categorical` names"),
        ({"target": "kind", "ignore": ["kind"]}, r"needs a column to predict"),
        ({"target_kind": "regression"}, r"line 2, column 'kind': 'small' is no finite number; 0 of .*`target_kind`"),
        ({"target_kind": "regression", "categorical": ["kind"]}, r"cannot be predicted of texts such as 'small'"),
        (
            {"target": "price", "target_kind": "classification"},
            r"column 'price': 40 classes in 40 rows are too many to learn",
        ),
    ],
)
def test_parameters_that_do_not_fit_the_file(write, parameters, expected):
    with pytest.raises(DataError, match=expected):
        csv(write(flowers()), **parameters)


def test_missing_files_and_folders(tmp_path):
    with pytest.raises(DataError, match=r"There is no .*absent\.csv \(looked for from .*Correct the path"):
        csv(tmp_path / "absent.csv")
    with pytest.raises(DataError, match="is a folder; a file is needed"):
        csv(tmp_path)


@pytest.mark.parametrize(
    ("parameters", "expected"),
    [
        ({"target_kind": "ranking"}, r"`target_kind` must be 'auto' or .*'ranking'"),
        ({"delimiter": ", "}, r"`delimiter` must be one sign.*', '"),
        ({"delimiter": '"'}, r"`delimiter`"),
        ({"decimal": ";"}, r"`decimal` must be '\.' or ',' or None.*';'"),
        ({"ignore": "kind"}, r"`ignore` must be a list of column names.*'kind'"),
        ({"validation_fraction": 0}, r"`validation_fraction`"),
        ({"test_fraction": 1}, r"`test_fraction`"),
        ({"seed": -1}, r"`seed`"),
    ],
)
def test_parameters_out_of_range(write, parameters, expected):
    with pytest.raises(ValueError, match=expected):
        csv(write(flowers()), **parameters)
