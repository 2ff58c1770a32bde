"""`kplug.get("digits")`: the protocol of REFERENCES.md, and the splits."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.datasets import load_digits

from kplug.datasets import digits


@pytest.fixture(scope="module")
def source():
    return load_digits()


def rows(x: np.ndarray) -> set[bytes]:
    return {image.tobytes() for image in x}


def test_follows_the_protocol(source):
    # images / 16, order RandomState(0).permutation, first 1437 to fit, last 360 to test.
    order = np.random.RandomState(0).permutation(1797)
    data = digits()
    np.testing.assert_array_equal(data.test[0][..., 0], (source.images / 16)[order[1437:]].astype("float32"))
    np.testing.assert_array_equal(data.test[1], source.target[order[1437:]])
    fitted = np.concatenate([data.train[0], data.validation[0]])
    np.testing.assert_array_equal(fitted[..., 0], (source.images / 16)[order[:1437]].astype("float32"))
    np.testing.assert_array_equal(np.concatenate([data.train[1], data.validation[1]]), source.target[order[:1437]])


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


def test_no_validation_split():
    data = digits(validation_fraction=0)
    assert data.validation is None
    assert (len(data.train[0]), len(data.test[0])) == (1437, 360)


@pytest.mark.parametrize(("fraction", "expected"), [(0.1, 144), (0.25, 359), (0.5, 718), (0.9, 1293)])
def test_validation_fraction_is_of_the_fitted_images_and_leaves_the_test_split_alone(fraction, expected):
    data = digits(validation_fraction=fraction)
    assert len(data.validation[0]) == expected
    assert len(data.train[0]) == 1437 - expected
    np.testing.assert_array_equal(data.test[0], digits().test[0])


def test_a_fraction_that_rounds_to_no_image_leaves_no_validation_split():
    assert digits(validation_fraction=0.0001).validation is None


def test_one_seed_gives_one_order_and_another_another():
    np.testing.assert_array_equal(digits(seed=3).train[0], digits(seed=3).train[0])
    assert not np.array_equal(digits(seed=3).train[0], digits(seed=4).train[0])
    assert rows(digits(seed=3).test[0]) != rows(digits(seed=4).test[0])


@pytest.mark.parametrize("fraction", [-0.1, 1.0, 1.5])
def test_impossible_fractions_are_refused(fraction):
    with pytest.raises(ValueError, match=r"split|fraction"):
        digits(validation_fraction=fraction)
