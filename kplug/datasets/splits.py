"""Which samples go into the train, validation and test splits."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from kplug.errors import DataError


def split_three_ways(
    size: int,
    validation_fraction: float,
    test_fraction: float,
    seed: int,
    labels: np.ndarray | None = None,
    source: str = "The data set",
    groups: np.ndarray | None = None,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Divide samples at random into train, validation and test.

    The test split is the same however many samples are set aside for validation. Both have at least one sample.

    A group is never divided. Test and validation then have as many whole groups as fit into their share, or where none
    does the smallest.

    Args:
        size: Number of samples.
        validation_fraction: Share of the samples outside the test split that becomes the validation split.
        test_fraction: Share of all samples that becomes the test split.
        seed: Seed of the order.
        labels: Classes of shape `(size,)`; each split then has each class's share to within one sample.
        source: What the samples are from, for messages.
        groups: Numbers of shape `(size,)`, from 0 without gaps, the same for samples that must stay together.

    Returns:
        Indices of the train, validation and test samples.

    Raises:
        DataError: If no sample, or no sample of some class, is left to train on.
    """
    random = np.random.RandomState(seed)
    order = _order(size, random, labels)
    test, fitted = _cut(order, test_fraction, groups)
    # Before the others, so that its order does not depend on them either.
    test_split = _mixed(test, random, labels)
    train, validation = _divide(fitted, validation_fraction, size, source, groups)
    _check_classes(train, labels, source)
    return _mixed(train, random, labels), _mixed(validation, random, labels), test_split


def split_two_ways(
    size: int,
    validation_fraction: float,
    seed: int,
    labels: np.ndarray | None = None,
    source: str = "The data set",
) -> tuple[np.ndarray, np.ndarray]:
    """Divide samples at random into train and validation, where the test split is given; see `split_three_ways`."""
    random = np.random.RandomState(seed)
    train, validation = _divide(_order(size, random, labels), validation_fraction, size, source)
    _check_classes(train, labels, source)
    return _mixed(train, random, labels), _mixed(validation, random, labels)


def take(indices: Sequence[np.ndarray], *arrays: Any) -> list[tuple[Any, ...]]:
    """Return, for each split's indices, the tuple of the (sparse) arrays' samples."""
    return [tuple(array[chosen] for array in arrays) for chosen in indices]


def _order(size: int, random: np.random.RandomState, labels: np.ndarray | None) -> np.ndarray:
    """Return all indices at random; with labels, so that every stretch has the classes in proportion.

    The k-th of a class's n samples stands at (k + 1/2) / n of the way.
    """
    order = random.permutation(size)
    if labels is None:
        return order
    shuffled = labels[order]
    place = np.empty(size)
    for label in np.unique(labels):
        members = np.flatnonzero(shuffled == label)
        place[members] = (np.arange(len(members)) + 0.5) / len(members)
    return order[np.argsort(place, kind="stable")]


def _mixed(split: np.ndarray, random: np.random.RandomState, labels: np.ndarray | None) -> np.ndarray:
    """Take the even succession of the classes out of a split's order."""
    return split if labels is None else random.permutation(split)


def _divide(
    fitted: np.ndarray, validation_fraction: float, size: int, source: str, groups: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    validation, train = _cut(fitted, validation_fraction, groups)
    if not len(train):
        different = "" if groups is None or groups.max() + 1 == size else f", {groups.max() + 1} different ones"
        raise DataError(
            f"{source} has {size} samples{different}: too few to set some aside for validation and test. "
            "Add samples, or take smaller fractions."
        )
    return train, validation


def _cut(order: np.ndarray, fraction: float, groups: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
    """Cut a share off the front of an order, at least one sample; of groups whole ones."""
    number = max(1, round(len(order) * fraction))
    if groups is None or not len(order):
        return order[:number], order[number:]
    members = groups[order]
    sizes = np.bincount(members)
    front: set[int] = set()
    for group in dict.fromkeys(members.tolist()):
        if sizes[group] <= number:
            front.add(group)
            number -= sizes[group]
    if not front:
        front.add(min(members.tolist(), key=sizes.__getitem__))
    in_front = np.isin(members, list(front))
    return order[in_front], order[~in_front]


def _check_classes(train: np.ndarray, labels: np.ndarray | None, source: str) -> None:
    if labels is None:
        return
    missing = np.setdiff1d(labels, labels[train])
    if len(missing):
        raise DataError(
            f"{source} has too few samples of class {missing[0]}: {np.count_nonzero(labels == missing[0])}, and none "
            "of them is left to train on. Add samples, leave the class out, or take smaller fractions."
        )
