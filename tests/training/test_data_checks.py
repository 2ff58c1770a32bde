"""Data that cannot be trained on are refused before anything is built, naming split, place, value and remedy."""

from __future__ import annotations

from types import SimpleNamespace

import keras
import numpy as np
import pytest

import kplug
from kplug.catalog.facts import Facts
from kplug.errors import DataError
from kplug.training.data_checks import check_splits

SPLITS = pytest.mark.parametrize("split", ["train", "validation", "test"])
NAMES = ("age", "height", "income")
RECORD = {"feature_names": NAMES, "num_classes": 2}
CLASSES = Facts(tasks=("tabular-classification",))


def data(x=None, y=None, split="train", info=RECORD, **options):
    """A data set whose splits are sound but for the one that is given."""
    good = np.ones((8, 3)), np.arange(8) % 2
    given = tuple(good[index] if part is None else part for index, part in enumerate((x, y)))
    splits = {"train": good, "validation": good, "test": good, split: given}
    return SimpleNamespace(**{**splits, **options}, info=info)


def spoilt(value, *places, shape=(8, 3)):
    array = np.zeros(shape)
    for place in places:
        array[place] = value
    return array


def test_sound_data_pass():
    check_splits(data(), CLASSES)
    check_splits(data(validation=None, test=None), CLASSES)
    check_splits(SimpleNamespace(train=(np.ones((2, 2)), None)), Facts())
    check_splits(kplug.datasets.iris(), CLASSES)


@SPLITS
def test_nan_is_named_by_split_and_columns_name(split):
    x = spoilt(np.nan, (5, 1), (6, 1))
    with pytest.raises(DataError) as refused:
        check_splits(data(x, split=split), CLASSES)
    assert str(refused.value) == (
        f"The {split} split has NaN in x in column 'height', first in sample 5; "
        "2 of 8 samples have such values. Fill in such values, or leave out the samples or the columns."
    )


@pytest.mark.parametrize(
    ("x", "info", "message"),
    [
        (spoilt(np.nan, (5, 1), (2, 2)), {}, "columns 1, 2, first in sample 2; 2 of 8"),
        (spoilt(np.nan, (5, 1)), {"feature_names": ("a", "b")}, "column 1,"),
        (spoilt(np.nan, 3, shape=(8, 9)), {}, "columns 0, 1, 2, 3, 4 and 4 more, first in sample 3"),
        (spoilt(-np.inf, (0, 2)), {"feature_names": NAMES}, r"infinity in x in column 'income',"),
        (spoilt(1e39, (0, 0)), {}, r"1e\+39 \(too large for float32\) in x.*Rescale"),
        (spoilt(np.nan, (4, 1, 0, 0), shape=(8, 2, 2, 1)), {}, r"NaN in x at \(1, 0, 0\), first in sample 4"),
        (spoilt(np.nan, 4, shape=(8,)), {}, "NaN in x, first in sample 4"),
        (
            {"a": spoilt(0, 0), "b": spoilt(np.nan, (7, 0))},
            {},
            r"NaN in x\['b'\] in column 0, first in sample 7",
        ),
    ],
)
def test_values_that_are_no_numbers_are_named_by_their_place(x, info, message):
    with pytest.raises(DataError, match=message):
        check_splits(data(x, info=info), CLASSES)


def test_targets_and_weights_are_looked_at_too():
    with pytest.raises(DataError, match="The test split has NaN in y, first in sample 1"):
        check_splits(data(y=spoilt(np.nan, 1, shape=(8,)), split="test"), Facts())
    x, y = np.ones((8, 3)), np.zeros(8)
    with pytest.raises(DataError, match="infinity in the sample weights, first in sample 2"):
        check_splits(SimpleNamespace(train=(x, y, spoilt(np.inf, 2, shape=(8,)))), Facts())


@SPLITS
@pytest.mark.parametrize(
    ("y", "message"),
    [
        (np.array([0, 1, 0, 2, 1, 0, -1, 1]), "the label 2 in sample 3.* is 2, so .* 0 to 1 .2 of 8 samples"),
        (np.array([0, 1, 0, 1, 1, 0, -1, 1]), "the label -1 in sample 6"),
        (np.array([0, 1, 0, 1, 1, 0, 1, 3.0])[:, None], "the label 3.0 in sample 7"),
        (np.array(["no", "yes"] * 4), "labels of the type <U3, such as .*'no'.*. Number the classes from 0 to 1"),
    ],
)
def test_labels_out_of_range_are_named_by_sample_and_value(split, y, message):
    with pytest.raises(DataError, match=f"The {split} split has {message}"):
        check_splits(data(y=y, split=split), CLASSES)


def test_labels_between_the_classes_are_refused_where_there_are_more_than_two():
    y = np.array([0, 1, 2, 0.5, 0, 1, 2, 0])
    with pytest.raises(DataError, match=r"the label 0\.5 in sample 3"):
        check_splits(data(y=y, info={"num_classes": 3}), CLASSES)


@pytest.mark.parametrize(
    ("y", "num_classes"),
    [
        (np.linspace(0, 1, 8), 2),
        (np.arange(8) % 2, 1),
        (np.arange(8) % 2 == 0, 2),
        (np.eye(8, 3), 3),
        (np.eye(8, 3, dtype=int), 3),
        (np.full((8, 3), 0.5), 3),
        (np.arange(8.0)[:, None], 8),
        ({"main": np.arange(8), "other": np.arange(8)}, 2),
    ],
)
def test_labels_that_mean_something_pass(y, num_classes):
    check_splits(data(y=y, info={"num_classes": num_classes}), CLASSES)


def test_targets_that_are_no_classes_are_not_compared_with_classes():
    y = np.arange(8) * 10
    check_splits(data(y=y), Facts(tasks=("density-estimation",)))
    check_splits(data(y=y, info={"input_shape": (3,)}), CLASSES)
    with pytest.raises(DataError, match="the label 10"):
        check_splits(data(y=y), Facts())


@SPLITS
def test_arrays_of_two_lengths_are_refused(split):
    with pytest.raises(DataError, match=f"The {split} split's arrays differ in length: x 8, y 5. Every sample"):
        check_splits(data(y=np.zeros(5), split=split), CLASSES)


def test_a_split_without_samples_is_refused():
    empty = np.ones((0, 3)), np.zeros(0)
    with pytest.raises(DataError, match=r"The train split is empty\. Give it at least one sample\.$"):
        check_splits(data(train=empty), CLASSES)
    with pytest.raises(DataError, match="The train split is empty"):
        check_splits(data(train=()), CLASSES)
    for split in ("validation", "test"):
        with pytest.raises(DataError, match=f"The {split} split is empty.*, or return {split}=None"):
            check_splits(data(**{split: empty}), CLASSES)


class Batches(keras.utils.PyDataset):
    def __init__(self, number):
        super().__init__()
        self.number = number

    def __len__(self):
        return self.number

    def __getitem__(self, index):
        raise AssertionError("a loader's batches are left to fit")


def test_of_loaders_only_the_length_is_looked_at():
    check_splits(data(train=Batches(3), validation=iter([]), test=object()), CLASSES)
    with pytest.raises(DataError, match="The train split is empty"):
        check_splits(data(train=Batches(0)), CLASSES)
