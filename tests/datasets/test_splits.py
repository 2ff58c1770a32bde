"""Splitting: sizes, disjointness, stratification, seeds, refusals."""

from __future__ import annotations

import numpy as np
import pytest

from kplug.datasets.splits import split_three_ways, split_two_ways
from kplug.errors import DataError


@pytest.mark.parametrize(
    ("size", "validation_fraction", "test_fraction", "expected"),
    [(100, 0.1, 0.2, (72, 8, 20)), (10, 0.1, 0.2, (7, 1, 2)), (3, 0.01, 0.01, (1, 1, 1)), (7, 0.5, 0.5, (1, 2, 4))],
)
def test_sizes(size, validation_fraction, test_fraction, expected):
    splits = split_three_ways(size, validation_fraction, test_fraction, seed=0)
    assert tuple(map(len, splits)) == expected
    assert sorted(np.concatenate(splits)) == list(range(size))


def test_the_test_split_does_not_depend_on_the_validation_split():
    one, other = split_three_ways(50, 0.1, 0.3, seed=4), split_three_ways(50, 0.6, 0.3, seed=4)
    np.testing.assert_array_equal(one[2], other[2])


def test_one_seed_gives_one_order_and_another_another():
    labels = np.arange(200) % 3
    for given in (None, labels):
        first, again, other = (split_three_ways(200, 0.1, 0.2, seed, given)[0] for seed in (5, 5, 6))
        np.testing.assert_array_equal(first, again)
        assert set(first) != set(other)


def test_the_order_is_random_states():
    # RandomState's streams are frozen, so that splits are the same on every platform and with every NumPy.
    order = np.random.RandomState(8).permutation(20)
    train, validation, test = split_three_ways(20, 0.25, 0.2, seed=8)
    np.testing.assert_array_equal(np.concatenate([test, validation, train]), order)


@pytest.mark.parametrize("seed", range(5))
def test_every_split_has_the_classes_in_proportion(seed):
    labels = np.repeat([0, 1, 2, 3], [500, 300, 150, 50])
    labels = labels[np.random.RandomState(seed).permutation(1000)]
    splits = split_three_ways(1000, 0.25, 0.2, seed, labels)
    assert sorted(np.concatenate(splits)) == list(range(1000))
    for split, expected in zip(splits, [(300, 180, 90, 30), (100, 60, 30, 10), (100, 60, 30, 10)], strict=True):
        np.testing.assert_allclose(np.bincount(labels[split]), expected, atol=1)


def test_a_class_of_one_sample_is_trained_on():
    labels = np.array([0] * 20 + [1])
    train, _, _ = split_three_ways(21, 0.1, 0.2, 0, labels)
    assert 20 in train


def test_two_ways():
    train, validation = split_two_ways(50, 0.1, 3, np.arange(50) % 5)
    assert (len(train), len(validation)) == (45, 5)
    assert sorted(np.concatenate([train, validation])) == list(range(50))
    assert sorted(np.arange(50)[validation] % 5) == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("size", [0, 1, 2])
def test_too_few_samples_are_refused(size):
    with pytest.raises(DataError, match=rf"prices\.csv has {size} samples: too few.*Add samples"):
        split_three_ways(size, 0.1, 0.2, seed=0, source="prices.csv")


def test_a_class_without_training_samples_is_refused():
    labels = np.array([0] * 20 + [1])
    with pytest.raises(DataError, match=r"too few samples of class 1: 1, and none.*fractions"):
        split_three_ways(21, 0.1, 0.8, seed=0, labels=labels)


@pytest.mark.parametrize("seed", range(5))
def test_groups_stay_together(seed):
    groups = np.arange(200) // 4
    splits = split_three_ways(200, 0.25, 0.2, seed, groups=groups)
    assert tuple(map(len, splits)) == (120, 40, 40)
    assert sorted(np.concatenate(splits)) == list(range(200))
    parts = [set(groups[split]) for split in splits]
    assert sum(map(len, parts)) == 50


def test_groups_of_one_are_no_groups():
    for one, other in zip(
        split_three_ways(50, 0.1, 0.3, seed=4),
        split_three_ways(50, 0.1, 0.3, seed=4, groups=np.arange(50)),
        strict=True,
    ):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("seed", range(5))
def test_a_group_that_is_too_large_for_a_split_is_trained_on(seed):
    groups = np.array([0] * 70 + list(range(1, 31)))
    train, validation, test = split_three_ways(100, 0.1, 0.2, seed, groups=groups)
    assert (len(train), len(validation), len(test)) == (72, 8, 20)
    assert set(range(70)) <= set(train)


def test_where_no_group_fits_the_smallest_is_taken():
    groups = np.repeat([0, 1, 2], [50, 20, 30])
    assert list(map(len, split_three_ways(100, 0.1, 0.1, seed=0, groups=groups))) == [50, 30, 20]


def test_too_few_groups_are_refused():
    with pytest.raises(DataError, match="has 9 samples, 2 different ones: too few"):
        split_three_ways(9, 0.1, 0.2, seed=0, groups=np.arange(9) % 2)
