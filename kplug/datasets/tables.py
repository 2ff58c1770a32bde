"""From a table of numbers to a data set: splits, standardised columns, the info record."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from kplug.datasets.dataset import Dataset
from kplug.datasets.splits import split_three_ways, take


def standardize_by(train: np.ndarray, columns: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
    """Return what to subtract from each column, and what to divide it by.

    Args:
        train: The training split, of shape `(samples, features)`.
        columns: Which columns are standardised, booleans of shape `(features,)`; all by default.

    Returns:
        Means and (population) standard deviations, float64 of shape `(features,)`; 0 and 1 for columns that are left
        alone, a deviation of 1 for constant ones.
    """
    train = train.astype("float64")
    # Rounded, the mean of a constant column is not quite its value, and its deviation not quite 0.
    constant = train.max(axis=0) == train.min(axis=0)
    mean = np.where(constant, train[0], train.mean(axis=0))
    scale = np.where(constant, 1.0, train.std(axis=0))
    if columns is not None:
        mean, scale = np.where(columns, mean, 0.0), np.where(columns, scale, 1.0)
    return mean, scale


def table(
    x: np.ndarray,
    y: np.ndarray,
    *,
    feature_names: Sequence[str],
    class_names: Sequence[str] | None = None,
    columns: np.ndarray | None = None,
    standardize: bool,
    validation_fraction: float,
    test_fraction: float,
    seed: int,
    source: str = "The data set",
) -> Dataset:
    """Split a table, standardise it by its training split, and describe it.

    Args:
        x: Features of shape `(samples, features)`.
        y: Classes of shape `(samples,)` if there are `class_names`, else numbers to predict.
        feature_names: Names of the columns of `x`.
        class_names: Names of the classes; the splits then have the classes in proportion.
        columns: Which columns to standardise; all by default.
        standardize: Whether to standardise at all.
        validation_fraction: Share of the samples outside the test split that becomes the validation split.
        test_fraction: Share of the samples that becomes the test split.
        seed: Seed of the order in which the samples are split.
        source: What the samples are from, for messages.

    Returns:
        The data set: `x` float32; `y` int64 of shape `(samples,)`, or float32 of shape `(samples, 1)`.

    Raises:
        DataError: If there are too few samples to split.
    """
    if class_names is None:
        labels, y = None, y.reshape(len(y), -1).astype("float32")
    else:
        labels, y = np.asarray(class_names)[y], y.astype("int64")
    indices = split_three_ways(len(x), validation_fraction, test_fraction, seed, labels, source)
    if standardize:
        mean, scale = standardize_by(x[indices[0]], columns)
        x = (x - mean) / scale
    train, validation, test = take(indices, x.astype("float32"), y)
    return Dataset(train, validation, test, table_info(feature_names, class_names))


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
