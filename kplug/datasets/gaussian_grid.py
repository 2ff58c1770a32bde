"""A mixture of Gaussians on a square grid."""

from __future__ import annotations

from typing import Annotated

import numpy as np
from pydantic import Field

from kplug.catalog.facts import component
from kplug.datasets.dataset import Dataset
from kplug.datasets.limits import Fraction, Seed, check_counts, check_fractions, check_positive, check_seed
from kplug.datasets.tables import table

_VEEGAN = "Srivastava et al. (2017), VEEGAN, https://arxiv.org/abs/1705.07761"


@component(
    tasks=["density-estimation", "tabular-classification"],
    provides=["input_shape", "num_features", "feature_names", "num_classes", "class_names"],
    references=[_VEEGAN],
)
def gaussian_grid(
    num_samples: Annotated[int, Field(ge=12)] = 10000,
    grid_size: Annotated[int, Field(ge=2)] = 5,
    spacing: Annotated[float, Field(gt=0)] = 2.0,
    scale: Annotated[float, Field(gt=0)] = 0.05,
    standardize: bool = False,
    validation_fraction: Fraction = 0.1,
    test_fraction: Fraction = 0.2,
    seed: Seed = 0,
) -> Dataset:
    """Points of a mixture of equal, round Gaussians in the plane, on a square grid around 0; needs no download.

    The classic trial of whether a generative model finds every mode (Srivastava et al. 2017, "2D Grid"). Component
    `i * grid_size + j` has its mean in column i, row j of the grid: at `((i - m) * spacing, (j - m) * spacing)` with
    m = (grid_size - 1) / 2. The components are equally large, to within one point, and are the labels.

    Args:
        num_samples: Number of points, at least three for each component.
        grid_size: Number of components along each side of the grid.
        spacing: Distance between neighbouring means.
        scale: Standard deviation of a component in every direction.
        standardize: Whether to subtract each column's mean and divide by its standard deviation, both of the training
            split. By default the points stay where the grid is.
        validation_fraction: Share of the samples outside the test split that becomes the validation split.
        test_fraction: Share of the samples that becomes the test split.
        seed: Seed of the points and of the order in which they are split.

    Returns:
        A `kplug.Dataset` with `x` of shape `(samples, 2)`, float32, and components from 0 to `grid_size**2 - 1`,
        int64; its info has `input_shape`, `num_features`, `feature_names`, `num_classes` and `class_names` (the
        components' means).

    Raises:
        ValueError: If a parameter is out of range.

    References:
        Srivastava et al. (2017), VEEGAN, https://arxiv.org/abs/1705.07761

    Example:

    >>> grid = kplug.datasets.gaussian_grid(grid_size=3)
    >>> grid.train[0].shape, grid.info["class_names"][:2]
    ((7200, 2), ('(-2, -2)', '(-2, 0)'))
    """
    check_counts(2, grid_size=grid_size)
    check_counts(3 * grid_size**2, num_samples=num_samples)
    check_positive(spacing=spacing, scale=scale)
    check_fractions(validation_fraction=validation_fraction, test_fraction=test_fraction)
    check_seed(seed)
    line = (np.arange(grid_size) - (grid_size - 1) / 2) * spacing
    means = np.stack(np.meshgrid(line, line, indexing="ij"), axis=-1).reshape(-1, 2)
    y = np.arange(num_samples) % len(means)
    noise = np.random.RandomState(seed).standard_normal((num_samples, 2))
    return table(
        means[y] + scale * noise,
        y,
        feature_names=("x1", "x2"),
        class_names=[f"({first:g}, {second:g})" for first, second in means],
        standardize=standardize,
        validation_fraction=validation_fraction,
        test_fraction=test_fraction,
        seed=seed,
    )
