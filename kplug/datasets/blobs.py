"""Round clouds of points around random centres."""

from __future__ import annotations

from typing import Annotated

import numpy as np
from pydantic import Field

from kplug.catalog.facts import component
from kplug.datasets.dataset import Dataset
from kplug.datasets.limits import Fraction, Seed, check_counts, check_fractions, check_positive, check_seed
from kplug.datasets.tables import table

_HALF_WIDTH = 10.0


@component(
    tasks=["tabular-classification", "density-estimation"],
    provides=["input_shape", "num_features", "feature_names", "num_classes", "class_names"],
    references=["Pedregosa et al. (2011), Scikit-learn, https://jmlr.org/papers/v12/pedregosa11a.html"],
)
def blobs(
    num_samples: Annotated[int, Field(ge=10)] = 1000,
    num_classes: Annotated[int, Field(ge=2)] = 3,
    num_features: Annotated[int, Field(ge=1)] = 2,
    spread: Annotated[float, Field(gt=0)] = 1.0,
    standardize: bool = True,
    validation_fraction: Fraction = 0.1,
    test_fraction: Fraction = 0.2,
    seed: Seed = 0,
) -> Dataset:
    """Round Gaussian clouds around centres drawn uniformly between -10 and 10; needs no download.

    A class is a cloud. The classes are equally large, to within one point.

    Args:
        num_samples: Number of points, at least three for each class.
        num_classes: Number of clouds.
        num_features: Number of coordinates.
        spread: Standard deviation of a cloud in every direction; the centres lie in a box 20 wide.
        standardize: Whether to subtract each column's mean and divide by its standard deviation, both of the training
            split.
        validation_fraction: Share of the samples outside the test split that becomes the validation split.
        test_fraction: Share of the samples that becomes the test split.
        seed: Seed of the centres, of the points, and of the order in which they are split.

    Returns:
        A `kplug.Dataset` with `x` of shape `(samples, num_features)`, float32, and classes from 0, int64; its info has
        `input_shape`, `num_features`, `feature_names`, `num_classes` and `class_names`.

    Raises:
        ValueError: If a parameter is out of range.

    References:
        Pedregosa et al. (2011), Scikit-learn, https://jmlr.org/papers/v12/pedregosa11a.html

    Example:

    >>> blobs = kplug.datasets.blobs(num_classes=4, num_features=3)
    >>> blobs.train[0].shape, blobs.info["num_classes"]
    ((720, 3), 4)
    """
    check_counts(2, num_classes=num_classes)
    check_counts(max(10, 3 * num_classes), num_samples=num_samples)
    check_counts(1, num_features=num_features)
    check_positive(spread=spread)
    check_fractions(validation_fraction=validation_fraction, test_fraction=test_fraction)
    check_seed(seed)
    random = np.random.RandomState(seed)
    centres = random.uniform(-_HALF_WIDTH, _HALF_WIDTH, (num_classes, num_features))
    y = np.arange(num_samples) % num_classes
    return table(
        centres[y] + spread * random.standard_normal((num_samples, num_features)),
        y,
        feature_names=[f"x{number}" for number in range(1, num_features + 1)],
        class_names=[str(number) for number in range(num_classes)],
        standardize=standardize,
        validation_fraction=validation_fraction,
        test_fraction=test_fraction,
        seed=seed,
    )
