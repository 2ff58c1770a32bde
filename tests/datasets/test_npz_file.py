"""`npz`: tables and images, given splits and cut ones, and what is said of arrays that cannot be used."""

from __future__ import annotations

import numpy as np
import pytest

from kplug.datasets import npz
from kplug.errors import DataError

SPLITS = ("train", "validation", "test")


@pytest.fixture
def save(tmp_path):
    def save(**arrays):
        np.savez(tmp_path / "data.npz", **arrays)
        return tmp_path / "data.npz"

    return save


def sizes(data):
    return [len(getattr(data, split)[0]) for split in SPLITS]


def rows(size=50, features=3):
    return np.arange(size * features, dtype="float64").reshape(size, features)


def test_a_table_is_split_and_standardised(save):
    x, y = rows(), np.arange(50) % 2
    file = save(x=x, y=y)
    raw, data = npz(file, standardize=False), npz(file)
    assert sizes(data) == [36, 4, 10]
    assert data.info == {
        "input_shape": (3,),
        "num_features": 3,
        "feature_names": ("x1", "x2", "x3"),
        "num_classes": 2,
        "class_names": ("0", "1"),
    }
    together = np.concatenate([getattr(raw, split)[0] for split in SPLITS])
    np.testing.assert_array_equal(together[np.argsort(together[:, 0])], x)
    train = raw.train[0].astype("float64")
    np.testing.assert_allclose(data.test[0], (raw.test[0] - train.mean(0)) / train.std(0), rtol=1e-5)
    for split in SPLITS:
        part_x, part_y = getattr(raw, split)
        assert (part_x.dtype, part_y.dtype) == (np.float32, np.int64)
        np.testing.assert_array_equal(part_y, part_x[:, 0] / 3 % 2)
    np.testing.assert_array_equal(np.bincount(data.test[1]), [5, 5])


def test_bytes_become_images(save):
    x = np.arange(30 * 4 * 5, dtype="uint8").reshape(30, 4, 5)
    data = npz(save(x=x, y=np.array(["dog", "cat", "eel"] * 10)))
    assert data.info == {"input_shape": (4, 5, 1), "num_classes": 3, "class_names": ("cat", "dog", "eel")}
    together = np.concatenate([getattr(data, split)[0] for split in SPLITS])
    assert together.dtype == np.float32
    np.testing.assert_allclose(np.sort(together.ravel()), np.sort((x / 255).ravel()), rtol=1e-6)


def test_images_with_channels_between_0_and_1_are_left_as_they_are(save):
    x = np.linspace(0, 1, 20 * 2 * 2 * 3).reshape(20, 2, 2, 3)
    data = npz(save(x=x, y=np.linspace(0, 1, 20)))
    assert data.info == {"input_shape": (2, 2, 3)}
    assert data.train[1].shape == (14, 1)
    assert data.train[0].max() <= 1


def test_given_splits_are_kept(save):
    parts = {"train": 20, "val": 6, "test": 8}
    arrays = {f"x_{name}": rows(size) + size for name, size in parts.items()}
    labels = {f"y_{name}": np.arange(size) % 2 for name, size in parts.items()}
    data = npz(save(**arrays, **labels), standardize=False)
    assert sizes(data) == [20, 6, 8]
    for split, name in zip(SPLITS, parts, strict=True):
        np.testing.assert_array_equal(getattr(data, split)[0], arrays[f"x_{name}"])
        np.testing.assert_array_equal(getattr(data, split)[1], labels[f"y_{name}"])


@pytest.mark.parametrize(
    ("given", "expected"), [("test", [45, 5, 8]), ("validation", [40, 8, 10]), ("valid", [40, 8, 10])]
)
def test_splits_that_are_not_there_are_cut_off_the_training_arrays(save, given, expected):
    arrays = {"X_train": rows(), "Y_train": np.arange(50) % 2, f"X_{given}": rows(8), f"Y_{given}": np.arange(8) % 2}
    assert sizes(npz(save(**arrays))) == expected


def test_without_targets(save):
    data = npz(save(x=np.zeros((30, 4, 4), "uint8")))
    assert [len(getattr(data, split)) for split in SPLITS] == [1, 1, 1]
    assert data.info == {"input_shape": (4, 4, 1)}


@pytest.mark.parametrize(
    ("y", "kind", "expected"),
    [
        (np.arange(30) % 3 + 5, "auto", ("5", "6", "7")),
        (np.arange(30)[:, np.newaxis] % 2, "auto", ("0", "1")),
        (np.arange(30) % 2 == 0, "auto", ("False", "True")),
        (np.arange(30) % 2 * 1.0, "classification", ("0", "1")),
        (np.arange(30) % 2 * 1.0, "auto", None),
        (np.arange(30) % 2, "regression", None),
    ],
)
def test_targets(save, y, kind, expected):
    data = npz(save(x=rows(30), y=y), target_kind=kind)
    assert data.info.get("class_names") == expected
    assert data.train[1].shape[1:] == (() if expected else (1,))
    assert data.train[1].dtype == (np.int64 if expected else np.float32)


@pytest.mark.parametrize("dtype", ["float64", "float32", "int64", "uint8", "bool"])
@pytest.mark.parametrize("kind", ["auto", "classification"])
def test_one_hot_rows_are_classes(save, dtype, kind):
    labels = np.arange(40) % 3
    data = npz(save(x=rows(40), y=np.eye(3)[labels].astype(dtype)), target_kind=kind, standardize=False)
    assert data.info["class_names"] == ("0", "1", "2")
    for x, y in (data.train, data.validation, data.test):
        assert y.dtype == np.int64
        np.testing.assert_array_equal(y, x[:, 0] / 3 % 3)


def test_one_hot_rows_of_given_splits(save):
    labels, test = np.arange(40) % 3, np.array([2, 0, 1, 1])
    arrays = {"x_train": rows(40), "y_train": np.eye(3)[labels], "x_test": rows(4), "y_test": np.eye(3)[test]}
    np.testing.assert_array_equal(npz(save(**arrays)).test[1], test)


@pytest.mark.parametrize("y", [np.array([[0.5, 0.5], [1, 0]] * 15), np.array([[1.0, 1.0], [0, 1]] * 15)])
def test_rows_that_are_not_one_hot_are_numbers(save, y):
    assert npz(save(x=rows(30), y=y)).train[1].shape[1:] == (2,)


def test_one_hot_rows_can_be_numbers(save):
    data = npz(save(x=rows(30), y=np.eye(3)[np.arange(30) % 3]), target_kind="regression")
    assert (data.train[1].shape[1:], data.train[1].dtype) == ((3,), np.float32)


def test_one_seed_gives_one_order_and_another_another(save):
    file = save(x=rows(), y=np.arange(50) % 2)
    np.testing.assert_array_equal(npz(file, seed=1).train[0], npz(file, seed=1).train[0])
    assert not np.array_equal(npz(file, seed=1).train[0], npz(file, seed=2).train[0])


X, Y = rows(30), np.arange(30) % 2
HOLE = np.where(X == 42, np.nan, X)


@pytest.mark.parametrize(
    ("arrays", "expected"),
    [
        ({"images": X}, r"no array `x` or `x_train`\. Its arrays: images"),
        ({}, r"Its arrays: none"),
        ({"x": X, "y": Y[:9]}, r"x has 30 samples, y 9\."),
        ({"x": X, "y": np.array(3)}, r"x has 30 samples, y 1\."),
        ({"x": X[:2], "y": Y[:2]}, r"data\.npz has 2 samples: too few"),
        ({"x": X[:0], "y": Y[:0]}, r"x, has the shape \(0, 3\): no values"),
        ({"x": X[:, 0], "y": Y}, r"x, has the shape \(30,\).*Reshape it"),
        ({"x": X.astype(str), "y": Y}, r"x, has the type <U.*numbers are needed"),
        ({"x": HOLE, "y": Y}, r"x, has NaN, first in sample 14"),
        ({"x": np.where(X == 42, np.inf, X), "y": Y}, r"x, has infinity or numbers above 1e\+37, first in sample 14"),
        ({"x": np.full((30, 2, 2), 200), "y": Y}, r"values from 200 to 200.*uint8"),
        ({"x": np.full((30, 2, 2, 1), -0.5), "y": Y}, r"values from -0\.5 to -0\.5"),
        ({"x": X, "y": np.zeros(30, int)}, r"y: all samples are of the same class, 0"),
        (
            {"x": X, "y": np.ones((30, 3), int)},
            r"y, has the shape \(30, 3\); one class for each sample, or one-hot rows",
        ),
        ({"x": X, "y": np.eye(30)}, r"too few samples of class \d+: 1, and none"),
        ({"x": X, "y": np.where(Y, np.nan, 0.5)}, r"y, has NaN, infinity or numbers above 1e\+37, first in sample 1\."),
        ({"x": X, "y": np.zeros((30, 2, 2))}, r"y, has the shape \(30, 2, 2\).*outputs"),
        ({"x": X, "y": Y, "x_test": X}, r"has y but no y_test\. Save targets for every split, or none"),
        ({"x": X, "x_test": X, "y_test": Y}, r"has y_test but no y\."),
        (
            {"x": X, "y": Y, "x_test": X[:, :2], "y_test": Y},
            r"shapes differ between the splits: train \(3,\), test \(2,\)",
        ),
        ({"x": X, "y": Y, "x_test": X, "y_test": Y + 1}, r"y_test: class 2 is not among the 2 of y"),
        ({"x": X, "y": X, "x_test": X, "y_test": X[:, :2]}, r"targets' shapes differ"),
        ({"x": X, "y": np.array([object()] * 30)}, r"cannot be read as arrays of numbers or texts"),
    ],
)
def test_arrays_that_cannot_be_used(save, arrays, expected):
    with pytest.raises(DataError, match=expected):
        npz(save(**arrays))


def test_numbers_of_no_class(save):
    with pytest.raises(DataError, match="values that are no classes"):
        npz(save(x=X, y=Y / 2), target_kind="classification")


def test_texts_are_no_numbers(save):
    with pytest.raises(DataError, match="to predict numbers, numbers are needed"):
        npz(save(x=X, y=Y.astype(str)), target_kind="regression")


@pytest.mark.parametrize(
    ("content", "expected"), [(b"", "is empty"), (b"not a zip", "cannot be read as arrays"), (None, "There is no")]
)
def test_files_that_cannot_be_read(tmp_path, content, expected):
    if content is not None:
        (tmp_path / "data.npz").write_bytes(content)
    with pytest.raises(DataError, match=expected):
        npz(tmp_path / "data.npz")


def test_a_single_array(tmp_path):
    np.save(tmp_path / "data.npy", X)
    with pytest.raises(DataError, match=r"one array without a name.*numpy\.savez"):
        npz(tmp_path / "data.npy")


@pytest.mark.parametrize("parameter", ["validation_fraction", "test_fraction", "seed", "target_kind"])
def test_parameters_out_of_range(parameter):
    with pytest.raises(ValueError, match=f"`{parameter}`"):
        npz("data.npz", **{parameter: -1})
