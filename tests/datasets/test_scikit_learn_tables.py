"""`iris`, `wine`, `breast_cancer`, `diabetes`: against scikit-learn's own arrays."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn import datasets as source

from kplug import datasets

CLASSIFICATION = ["iris", "wine", "breast_cancer"]
LOADERS = {
    "iris": source.load_iris,
    "wine": source.load_wine,
    "breast_cancer": source.load_breast_cancer,
    "diabetes": lambda: source.load_diabetes(scaled=False),
}


def joined(data, part):
    return np.concatenate([split[part] for split in (data.train, data.validation, data.test)])


def sorted_rows(x, y):
    together = np.column_stack([x, y])
    return together[np.lexsort(together.T)]


@pytest.mark.parametrize("name", LOADERS)
def test_the_splits_together_are_the_whole_table(name):
    bunch = LOADERS[name]()
    data = getattr(datasets, name)(standardize=False)
    expected = sorted_rows(bunch.data.astype("float32"), bunch.target)
    np.testing.assert_array_equal(sorted_rows(joined(data, 0), joined(data, 1)), expected)


@pytest.mark.parametrize(
    ("name", "sizes"),
    [
        ("iris", (108, 12, 30)),
        ("wine", (128, 14, 36)),
        ("breast_cancer", (409, 46, 114)),
        ("diabetes", (319, 35, 88)),
    ],
)
def test_sizes_and_types(name, sizes):
    data = getattr(datasets, name)()
    assert tuple(len(split[0]) for split in (data.train, data.validation, data.test)) == sizes
    for x, y in (data.train, data.validation, data.test):
        assert x.dtype == np.float32
        assert x.shape == (len(y), data.info["num_features"])
        assert (y.dtype, y.shape[1:]) == ((np.float32, (1,)) if name == "diabetes" else (np.int64, ()))


@pytest.mark.parametrize("name", LOADERS)
def test_columns_are_standardised_by_the_training_split_alone(name):
    raw, data = getattr(datasets, name)(standardize=False), getattr(datasets, name)()
    train = raw.train[0].astype("float64")
    np.testing.assert_allclose(data.train[0].mean(axis=0), 0, atol=1e-5)
    np.testing.assert_allclose(data.train[0].std(axis=0), 1, atol=1e-5)
    expected = (raw.test[0] - train.mean(axis=0)) / train.std(axis=0)
    np.testing.assert_allclose(data.test[0], expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", CLASSIFICATION)
def test_every_split_has_the_classes_in_proportion(name):
    data = getattr(datasets, name)()
    shares = np.bincount(LOADERS[name]().target) / len(LOADERS[name]().target)
    for _, y in (data.train, data.validation, data.test):
        np.testing.assert_allclose(np.bincount(y), shares * len(y), atol=1)


def test_the_diabetes_target_keeps_its_unit():
    data = datasets.diabetes()
    assert (joined(data, 1).min(), joined(data, 1).max()) == (25, 346)


@pytest.mark.parametrize("name", LOADERS)
def test_info(name):
    bunch = LOADERS[name]()
    info = getattr(datasets, name)().info
    assert info["input_shape"] == (info["num_features"],) == (bunch.data.shape[1],)
    assert info["feature_names"] == tuple(bunch.feature_names)
    if name in CLASSIFICATION:
        assert info["class_names"] == tuple(bunch.target_names)
        assert info["num_classes"] == len(bunch.target_names)
    else:
        assert "num_classes" not in info
    assert all(type(text) is str for text in (*info["feature_names"], *info.get("class_names", ())))


def test_fractions():
    data = datasets.iris(validation_fraction=0.5, test_fraction=0.4)
    assert [len(split[0]) for split in (data.train, data.validation, data.test)] == [45, 45, 60]
