"""`kplug.Dataset`: what it accepts, what it refuses."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

import kplug
from kplug.errors import DataError

X, Y = np.zeros((6, 2)), np.zeros(6)


def test_train_alone_is_enough():
    data = kplug.Dataset(train=(X, Y))
    assert data.validation is None
    assert data.test is None
    assert data.info == {}


def test_data_without_targets():
    data = kplug.Dataset(train=(X, None), test=(X,))
    assert data.train[1] is None
    assert len(data.test) == 1


def test_several_inputs_are_measured_one_by_one():
    data = kplug.Dataset(train=({"a": X, "b": [X, Y]}, Y))
    assert set(data.train[0]) == {"a", "b"}
    with pytest.raises(DataError, match=r"train split.*6, 5, 6"):
        kplug.Dataset(train=({"a": X, "b": X[:5]}, Y))


def test_loaders_are_left_alone():
    loader = iter([(X, Y)])
    assert kplug.Dataset(train=loader, validation=loader).train is loader


def test_frozen():
    with pytest.raises(dataclasses.FrozenInstanceError):
        kplug.Dataset(train=(X, Y)).train = None


@pytest.mark.parametrize("split", ["train", "validation", "test"])
def test_arrays_of_two_lengths_are_refused_and_the_split_is_named(split):
    with pytest.raises(DataError, match=f"{split} split.*6, 5"):
        kplug.Dataset(**{"train": (X, Y), split: (X, Y[:5])})


@pytest.mark.parametrize("split", ["train", "validation", "test"])
def test_an_empty_split_is_refused(split):
    with pytest.raises(DataError, match=f"{split} split is empty"):
        kplug.Dataset(**{"train": (X, Y), split: (X[:0], Y[:0])})


def test_unknown_info_is_refused_and_the_known_fields_are_named():
    with pytest.raises(DataError, match=r"colour, sized.*input_shape"):
        kplug.Dataset(train=(X, Y), info={"sized": 1, "colour": "red", "num_classes": 2})


def test_errors_are_kplugs_and_value_errors():
    with pytest.raises(ValueError, match="empty") as caught:
        kplug.Dataset(train=(X[:0],))
    assert isinstance(caught.value, kplug.KplugError)
