"""The small tables that scikit-learn brings along."""

from __future__ import annotations

from typing import Any

from kplug.catalog.facts import component
from kplug.datasets.dataset import Dataset
from kplug.datasets.limits import Fraction, Seed, check_fractions, check_seed
from kplug.datasets.tables import table

_CLASSES = ("input_shape", "num_features", "feature_names", "num_classes", "class_names")
_NUMBERS = ("input_shape", "num_features", "feature_names")
_FISHER = (
    "Fisher (1936), The Use of Multiple Measurements in Taxonomic Problems, doi:10.1111/j.1469-1809.1936.tb02137.x"
)
_AEBERHARD = "Aeberhard & Forina (1991), Wine, UCI repository, doi:10.24432/C5PC7J"
_WOLBERG = "Wolberg et al. (1995), Breast Cancer Wisconsin (Diagnostic), UCI repository, doi:10.24432/C5DW2B"
_EFRON = "Efron et al. (2004), Least Angle Regression, doi:10.1214/009053604000000067"


@component(tasks=["tabular-classification", "density-estimation"], provides=_CLASSES, references=[_FISHER])
def iris(
    standardize: bool = True, validation_fraction: Fraction = 0.1, test_fraction: Fraction = 0.2, seed: Seed = 0
) -> Dataset:
    """150 iris flowers of three species, four lengths each; needs no download.

    Features are sepal and petal lengths and widths in cm; every split has the species in proportion.

    Args:
        standardize: Whether to subtract each column's mean and divide by its standard deviation, both of the training
            split.
        validation_fraction: Share of the samples outside the test split that becomes the validation split.
        test_fraction: Share of the samples that becomes the test split.
        seed: Seed of the order in which the samples are split.

    Returns:
        A `kplug.Dataset` with `x` of shape `(samples, 4)`, float32, and classes from 0 to 2, int64; its info has
        `input_shape`, `num_features`, `feature_names`, `num_classes` and `class_names`.

    Raises:
        ValueError: If a fraction or the seed is out of range.

    References:
        Fisher (1936), The Use of Multiple Measurements in Taxonomic Problems, doi:10.1111/j.1469-1809.1936.tb02137.x

    Example:

    >>> iris = kplug.datasets.iris()
    >>> iris.test[0].shape, iris.info["class_names"]
    ((30, 4), ('setosa', 'versicolor', 'virginica'))
    """
    from sklearn.datasets import load_iris

    return _classes(load_iris, standardize, validation_fraction, test_fraction, seed)


@component(tasks=["tabular-classification", "density-estimation"], provides=_CLASSES, references=[_AEBERHARD])
def wine(
    standardize: bool = True, validation_fraction: Fraction = 0.1, test_fraction: Fraction = 0.2, seed: Seed = 0
) -> Dataset:
    """178 wines of three cultivars, 13 chemical measurements each; needs no download.

    The columns' scales differ a thousandfold; every split has the cultivars in proportion.

    Args:
        standardize: Whether to subtract each column's mean and divide by its standard deviation, both of the training
            split.
        validation_fraction: Share of the samples outside the test split that becomes the validation split.
        test_fraction: Share of the samples that becomes the test split.
        seed: Seed of the order in which the samples are split.

    Returns:
        A `kplug.Dataset` with `x` of shape `(samples, 13)`, float32, and classes from 0 to 2, int64; its info has
        `input_shape`, `num_features`, `feature_names`, `num_classes` and `class_names`.

    Raises:
        ValueError: If a fraction or the seed is out of range.

    References:
        Aeberhard & Forina (1991), Wine, UCI repository, doi:10.24432/C5PC7J

    Example:

    >>> wine = kplug.datasets.wine()
    >>> wine.train[0].shape, wine.info["feature_names"][:2]
    ((128, 13), ('alcohol', 'malic_acid'))
    """
    from sklearn.datasets import load_wine

    return _classes(load_wine, standardize, validation_fraction, test_fraction, seed)


@component(tasks=["tabular-classification", "density-estimation"], provides=_CLASSES, references=[_WOLBERG])
def breast_cancer(
    standardize: bool = True, validation_fraction: Fraction = 0.1, test_fraction: Fraction = 0.2, seed: Seed = 0
) -> Dataset:
    """569 breast tumours, malignant (0) or benign (1), 30 measurements of the cell nuclei; needs no download.

    Every split has the two classes in proportion, 37 to 63.

    Args:
        standardize: Whether to subtract each column's mean and divide by its standard deviation, both of the training
            split.
        validation_fraction: Share of the samples outside the test split that becomes the validation split.
        test_fraction: Share of the samples that becomes the test split.
        seed: Seed of the order in which the samples are split.

    Returns:
        A `kplug.Dataset` with `x` of shape `(samples, 30)`, float32, and classes 0 and 1, int64; its info has
        `input_shape`, `num_features`, `feature_names`, `num_classes` and `class_names`.

    Raises:
        ValueError: If a fraction or the seed is out of range.

    References:
        Wolberg et al. (1995), Breast Cancer Wisconsin (Diagnostic), UCI repository, doi:10.24432/C5DW2B

    Example:

    >>> breast_cancer = kplug.datasets.breast_cancer()
    >>> breast_cancer.test[0].shape, breast_cancer.info["class_names"]
    ((114, 30), ('malignant', 'benign'))
    """
    from sklearn.datasets import load_breast_cancer

    return _classes(load_breast_cancer, standardize, validation_fraction, test_fraction, seed)


@component(tasks=["tabular-regression", "density-estimation"], provides=_NUMBERS, references=[_EFRON])
def diabetes(
    standardize: bool = True, validation_fraction: Fraction = 0.1, test_fraction: Fraction = 0.2, seed: Seed = 0
) -> Dataset:
    """442 diabetes patients: ten measurements, and how far the disease came in a year; needs no download.

    The target is a score from 25 to 346, which is not standardised.

    Args:
        standardize: Whether to subtract each column's mean and divide by its standard deviation, both of the training
            split; otherwise the features keep their own units (years, kg/m², mm Hg, …).
        validation_fraction: Share of the samples outside the test split that becomes the validation split.
        test_fraction: Share of the samples that becomes the test split.
        seed: Seed of the order in which the samples are split.

    Returns:
        A `kplug.Dataset` with `x` of shape `(samples, 10)` and `y` of shape `(samples, 1)`, both float32; its info has
        `input_shape`, `num_features` and `feature_names`.

    Raises:
        ValueError: If a fraction or the seed is out of range.

    References:
        Efron et al. (2004), Least Angle Regression, doi:10.1214/009053604000000067

    Example:

    >>> diabetes = kplug.datasets.diabetes()
    >>> diabetes.test[0].shape, diabetes.test[1].shape
    ((88, 10), (88, 1))
    """
    check_fractions(validation_fraction=validation_fraction, test_fraction=test_fraction)
    check_seed(seed)
    from sklearn.datasets import load_diabetes

    bunch = load_diabetes(scaled=False)
    return table(
        bunch.data,
        bunch.target,
        feature_names=bunch.feature_names,
        standardize=standardize,
        validation_fraction=validation_fraction,
        test_fraction=test_fraction,
        seed=seed,
    )


def _classes(load: Any, standardize: bool, validation_fraction: float, test_fraction: float, seed: int) -> Dataset:
    check_fractions(validation_fraction=validation_fraction, test_fraction=test_fraction)
    check_seed(seed)
    bunch = load()
    return table(
        bunch.data,
        bunch.target,
        feature_names=bunch.feature_names,
        class_names=bunch.target_names,
        standardize=standardize,
        validation_fraction=validation_fraction,
        test_fraction=test_fraction,
        seed=seed,
    )
