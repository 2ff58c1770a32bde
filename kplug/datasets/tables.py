"""From a table of numbers to a data set: splits, standardised columns, the info record."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from kplug.datasets.dataset import Dataset
from kplug.datasets.splits import split_three_ways, take


def standardize_by(train: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return what to subtract from each column, and what to divide it by.

    Args:
        train: The training split, of shape `(samples, features)`.

    Returns:
        Means and (population) standard deviations, float64 of shape `(features,)`; a deviation of 1 for constant
        columns.
    """
    train = train.astype("float64")
    # Rounded, the mean of a constant column is not quite its value, and its deviation not quite 0.
    constant = train.max(axis=0) == train.min(axis=0)
    return np.where(constant, train[0], train.mean(axis=0)), np.where(constant, 1.0, train.std(axis=0))


def table(
    x: np.ndarray,
    y: np.ndarray,
    *,
    feature_names: Sequence[str],
    class_names: Sequence[str] | None = None,
    standardize: bool,
    validation_fraction: float,
    test_fraction: float,
    seed: int,
) -> Dataset:
    """Split a table, standardise it by its training split, and describe it.

    Args:
        x: Features of shape `(samples, features)`.
        y: Classes of shape `(samples,)` if there are `class_names`, else numbers to predict.
        feature_names: Names of the columns of `x`.
        class_names: Names of the classes; the splits then have the classes in proportion.
        standardize: Whether to standardise at all.
        validation_fraction: Share of the samples outside the test split that becomes the validation split.
        test_fraction: Share of the samples that becomes the test split.
        seed: Seed of the order in which the samples are split.

    Returns:
        The data set: `x` float32; `y` int64 of shape `(samples,)`, or float32 of shape `(samples, 1)`.

    Raises:
        DataError: If there are too few samples to split.
    """
    y, indices = split_targets(y, class_names, validation_fraction, test_fraction, seed)
    if standardize:
        mean, scale = standardize_by(x[indices[0]])
        x = (x - mean) / scale
    train, validation, test = take(indices, x.astype("float32"), y)
    return Dataset(train, validation, test, table_info(feature_names, class_names))


def split_targets(
    y: np.ndarray,
    class_names: Sequence[str] | None,
    validation_fraction: float,
    test_fraction: float,
    seed: int,
    source: str = "The data set",
) -> tuple[np.ndarray, tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Bring a table's targets to their shape and type, and split its rows; the arguments are those of `table`.

    Args:
        y: Classes, or numbers to predict.
        class_names: Names of the classes.
        validation_fraction: Share of the samples outside the test split that becomes the validation split.
        test_fraction: Share of the samples that becomes the test split.
        seed: Seed of the order in which the samples are split.
        source: What the samples are from, for messages.

    Returns:
        The targets, int64 of shape `(samples,)` or float32 of shape `(samples, 1)`, and the splits' indices.

    Raises:
        DataError: If there are too few samples to split.
    """
    if class_names is None:
        labels, y = None, y.reshape(len(y), -1).astype("float32")
    else:
        labels, y = np.asarray(class_names)[y], y.astype("int64")
    return y, split_three_ways(len(y), validation_fraction, test_fraction, seed, labels, source)


def table_info(feature_names: Sequence[str], class_names: Sequence[str] | None = None) -> dict[str, object]:
    """Return the info record of a table."""
    info: dict[str, object] = {
        "input_shape": (len(feature_names),),
        "num_features": len(feature_names),
        "feature_names": tuple(map(str, feature_names)),
    }
    if class_names is not None:
        info |= {"num_classes": len(class_names), "class_names": tuple(map(str, class_names))}
    return info
