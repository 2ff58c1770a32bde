"""`kplug.get("digits")`: the protocol of REFERENCES.md, and the splits."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.datasets import load_digits

from kplug.datasets import digits
from kplug.errors import DataError


@pytest.fixture(scope="module")
def source():
    return load_digits()


def rows(x: np.ndarray) -> set[bytes]:
    return {image.tobytes() for image in x}


def test_follows_the_protocol(source):
    # images / 16, order RandomState(0).permutation, first 1437 to fit, last 360 to test.
    order = np.random.RandomState(0).permutation(1797)
    for data in (digits(), digits(validation_fraction=0)):
        np.testing.assert_array_equal(data.test[0][..., 0], (source.images / 16)[order[1437:]].astype("float32"))
        np.testing.assert_array_equal(data.test[1], source.target[order[1437:]])
    whole = digits(validation_fraction=0)
    assert whole.validation is None
    np.testing.assert_array_equal(whole.train[0][..., 0], (source.images / 16)[order[:1437]].astype("float32"))
    np.testing.assert_array_equal(whole.train[1], source.target[order[:1437]])


def test_shapes_ranges_and_dtypes():
    data = digits()
    assert [len(split[0]) for split in (data.train, data.validation, data.test)] == [1293, 144, 360]
    for x, y in (data.train, data.validation, data.test):
        assert x.shape[1:] == (8, 8, 1)
        assert x.dtype == np.float32
        assert (x.min(), x.max()) == (0.0, 1.0)
        assert y.shape == (len(x),)
        assert y.dtype == np.int64
        assert set(y) == set(range(10))


def test_info():
    assert digits().info == {"input_shape": (8, 8, 1), "num_classes": 10, "class_names": tuple("0123456789")}


def test_splits_are_disjoint_and_complete(source):
    data = digits()
    splits = [rows(split[0]) for split in (data.train, data.validation, data.test)]
    # Identical images (none in this set) would make the sets smaller than the splits.
    assert sum(map(len, splits)) == len(set.union(*splits)) == len(source.images)


def test_labels_stay_with_their_images(source):
    labels = dict(
        zip(((image / 16).astype("float32").tobytes() for image in source.images), source.target, strict=True)
    )
    data = digits()
    for x, y in (data.train, data.validation, data.test):
        assert [labels[image.tobytes()] for image in x] == y.tolist()


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_validation_has_the_digits_in_proportion(seed):
    data = digits(seed=seed)
    both = np.bincount(data.train[1]) + np.bincount(data.validation[1])
    np.testing.assert_allclose(np.bincount(data.validation[1]), both * 144 / 1437, atol=1)


@pytest.mark.parametrize(("fraction", "expected"), [(0.1, 144), (0.25, 359), (0.5, 718), (0.9, 1293)])
def test_validation_fraction_is_of_the_fitted_images_and_leaves_the_test_split_alone(fraction, expected):
    data = digits(validation_fraction=fraction)
    assert len(data.validation[0]) == expected
    assert len(data.train[0]) == 1437 - expected
    np.testing.assert_array_equal(data.test[0], digits().test[0])


def test_a_tiny_fraction_is_one_image_of_each_digit():
    data = digits(validation_fraction=0.0001)
    assert sorted(data.validation[1]) == list(range(10))
    assert len(data.train[0]) == 1427


def test_a_fraction_that_leaves_nothing_to_train_on_is_refused():
    with pytest.raises(DataError, match=r"The data set digits has .*too few"):
        digits(validation_fraction=0.9999)


def test_one_seed_gives_one_order_and_another_another():
    np.testing.assert_array_equal(digits(seed=3).train[0], digits(seed=3).train[0])
    assert not np.array_equal(digits(seed=3).train[0], digits(seed=4).train[0])
    assert rows(digits(seed=3).test[0]) != rows(digits(seed=4).test[0])


@pytest.mark.parametrize("fraction", [-0.1, 1.0, 1.5])
def test_impossible_fractions_are_refused(fraction):
    with pytest.raises(ValueError, match=r"`validation_fraction` must be at least 0 and less than 1"):
        digits(validation_fraction=fraction)


def test_impossible_seeds_are_refused():
    with pytest.raises(ValueError, match=r"`seed` must be a whole number.*-1"):
        digits(seed=-1)
