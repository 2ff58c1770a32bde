"""A binary table with a rare class."""

from __future__ import annotations

from typing import Annotated

import numpy as np
from pydantic import Field

from kplug.catalog.facts import component
from kplug.datasets.dataset import Dataset
from kplug.datasets.limits import Fraction, Seed, check_counts, check_fractions, check_positive, check_seed
from kplug.datasets.tables import table

_LEAST_POSITIVES = 3


@component(
    tasks=["tabular-classification", "density-estimation"],
    provides=["input_shape", "num_features", "feature_names", "num_classes", "class_names"],
    references=["Fawcett (2006), An introduction to ROC analysis, doi:10.1016/j.patrec.2005.10.010"],
)
def imbalanced(
    num_samples: Annotated[int, Field(ge=10)] = 10000,
    positive_fraction: Annotated[float, Field(gt=0, le=0.5)] = 0.02,
    num_features: Annotated[int, Field(ge=1)] = 10,
    separation: Annotated[float, Field(gt=0)] = 2.0,
    standardize: bool = True,
    validation_fraction: Fraction = 0.1,
    test_fraction: Fraction = 0.2,
    seed: Seed = 0,
) -> Dataset:
    """A table in which one of two classes is rare, as in fraud or diagnosis; needs no download.

    Both classes are standard Gaussians; their means are `separation` apart, in a random direction. The best possible
    area under the ROC curve is therefore known: Phi(separation / sqrt(2)), 0.921 by default, however rare the class.

    Args:
        num_samples: Number of samples.
        positive_fraction: Share of the rare class, label 1; rounded to whole samples, of which it needs three.
        num_features: Number of columns.
        separation: Distance between the means of the two classes, in standard deviations.
        standardize: Whether to subtract each column's mean and divide by its standard deviation, both of the training
            split.
        validation_fraction: Share of the samples outside the test split that becomes the validation split.
        test_fraction: Share of the samples that becomes the test split.
        seed: Seed of the direction, of the samples, and of the order in which they are split.

    Returns:
        A `kplug.Dataset` with `x` of shape `(samples, num_features)`, float32, and classes 0 and 1, int64, in
        proportion in every split; its info has `input_shape`, `num_features`, `feature_names`, `num_classes` and
        `class_names`.

    Raises:
        ValueError: If a parameter is out of range, or the rare class has fewer than three samples.

    References:
        Fawcett (2006), An introduction to ROC analysis, doi:10.1016/j.patrec.2005.10.010

    Example:

    >>> imbalanced = kplug.datasets.imbalanced(positive_fraction=0.05)
    >>> len(imbalanced.test[1]), int(imbalanced.test[1].sum())
    (2000, 100)
    """
    check_counts(10, num_samples=num_samples)
    check_counts(1, num_features=num_features)
    check_positive(separation=separation, positive_fraction=positive_fraction)
    if positive_fraction > 0.5:
        raise ValueError(f"`positive_fraction` must be at most 0.5. Received: {positive_fraction!r}")
    positives = round(num_samples * positive_fraction)
    if positives < _LEAST_POSITIVES:
        raise ValueError(
            f"`positive_fraction` of `num_samples` must be at least {_LEAST_POSITIVES} samples. "
            f"Received: positive_fraction={positive_fraction!r}, num_samples={num_samples!r}, which is {positives}"
        )
    check_fractions(validation_fraction=validation_fraction, test_fraction=test_fraction)
    check_seed(seed)
    random = np.random.RandomState(seed)
    direction = random.standard_normal(num_features)
    direction /= np.linalg.norm(direction)
    y = (np.arange(num_samples) < positives).astype("int64")
    x = random.standard_normal((num_samples, num_features)) + separation * y[:, np.newaxis] * direction
    return table(
        x,
        y,
        feature_names=[f"x{number}" for number in range(1, num_features + 1)],
        class_names=("negative", "positive"),
        standardize=standardize,
        validation_fraction=validation_fraction,
        test_fraction=test_fraction,
        seed=seed,
    )
