"""Two interleaved half circles."""

from __future__ import annotations

from typing import Annotated

import numpy as np
from pydantic import Field

from kplug.catalog.facts import component
from kplug.datasets.dataset import Dataset
from kplug.datasets.limits import Fraction, Seed, check_counts, check_fractions, check_least, check_seed
from kplug.datasets.tables import table


@component(
    tasks=["tabular-classification", "density-estimation"],
    provides=["input_shape", "num_features", "feature_names", "num_classes", "class_names"],
    references=["Pedregosa et al. (2011), Scikit-learn, https://jmlr.org/papers/v12/pedregosa11a.html"],
)
def moons(
    num_samples: Annotated[int, Field(ge=10)] = 1000,
    noise: Annotated[float, Field(ge=0)] = 0.1,
    standardize: bool = True,
    validation_fraction: Fraction = 0.1,
    test_fraction: Fraction = 0.2,
    seed: Seed = 0,
) -> Dataset:
    """Points on two interleaved half circles, which no straight line separates; needs no download.

    With t uniform between 0 and pi, the upper moon (class 0) is `(cos t, sin t)`, the lower one (class 1)
    `(1 - cos t, 1/2 - sin t)`, as in scikit-learn; Gaussian noise is added to both coordinates.

    Args:
        num_samples: Number of points, half of them on each moon.
        noise: Standard deviation of the noise, in radii of the moons.
        standardize: Whether to subtract each column's mean and divide by its standard deviation, both of the training
            split.
        validation_fraction: Share of the samples outside the test split that becomes the validation split.
        test_fraction: Share of the samples that becomes the test split.
        seed: Seed of the points and of the order in which they are split.

    Returns:
        A `kplug.Dataset` with `x` of shape `(samples, 2)`, float32, and classes 0 and 1, int64; its info has
        `input_shape`, `num_features`, `feature_names`, `num_classes` and `class_names`.

    Raises:
        ValueError: If a parameter is out of range.

    References:
        Pedregosa et al. (2011), Scikit-learn, https://jmlr.org/papers/v12/pedregosa11a.html

    Example:

    >>> moons = kplug.datasets.moons(num_samples=500)
    >>> moons.train[0].shape, moons.info["class_names"]
    ((360, 2), ('upper', 'lower'))
    """
    check_counts(10, num_samples=num_samples)
    check_least(0, noise=noise)
    check_fractions(validation_fraction=validation_fraction, test_fraction=test_fraction)
    check_seed(seed)
    random = np.random.RandomState(seed)
    y = np.arange(num_samples) % 2
    angle = random.uniform(0, np.pi, num_samples)
    upper = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    lower = np.stack([1 - np.cos(angle), 0.5 - np.sin(angle)], axis=1)
    return table(
        np.where(y[:, np.newaxis] == 0, upper, lower) + noise * random.standard_normal((num_samples, 2)),
        y,
        feature_names=("x1", "x2"),
        class_names=("upper", "lower"),
        standardize=standardize,
        validation_fraction=validation_fraction,
        test_fraction=test_fraction,
        seed=seed,
    )
