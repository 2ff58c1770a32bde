"""Handwritten digits that scikit-learn brings along."""

from __future__ import annotations

from typing import Annotated

import numpy as np
from pydantic import Field

from kplug.catalog.facts import component
from kplug.datasets.dataset import Dataset
from kplug.datasets.limits import Seed, check_seed
from kplug.datasets.splits import split_two_ways, take

_TEST_SIZE = 360
_NUM_CLASSES = 10


@component(
    tasks=["image-generation", "image-classification", "density-estimation", "metric-learning"],
    provides=["input_shape", "num_classes", "class_names"],
    references=[
        "Alpaydin & Kaynak (1998), Optical Recognition of Handwritten Digits, UCI repository, doi:10.24432/C50P49"
    ],
)
def digits(
    validation_fraction: Annotated[float, Field(ge=0, lt=1)] = 0.1,
    seed: Seed = 0,
) -> Dataset:
    """1,797 grey images of handwritten digits, 8 by 8 pixels; needs no download.

    Images are float32 of shape `(8, 8, 1)` between 0 and 1; labels are the digits, whole numbers from 0 to 9. The
    last 360 images of the shuffled order are the test split, the same however many are set aside for validation.

    Args:
        validation_fraction: Share of the other 1,437 images that becomes the validation split, at least one image of
            each digit; digits are in proportion. At 0 there is none, and all 1,437 are trained on in their order.
        seed: Seed of the order in which the images are split.

    Returns:
        A `kplug.Dataset`; its info has `input_shape`, `num_classes` and `class_names`.

    Raises:
        ValueError: If a parameter is out of range.
        DataError: If `validation_fraction` is so close to 1 that no image, or none of some digit, is left to train on.

    References:
        Alpaydin & Kaynak (1998), Optical Recognition of Handwritten Digits, UCI repository, doi:10.24432/C50P49

    Example:

    >>> digits = kplug.datasets.digits()
    >>> digits.test[0].shape, digits.info["num_classes"]
    ((360, 8, 8, 1), 10)
    """
    if not 0 <= validation_fraction < 1:
        raise ValueError(f"`validation_fraction` must be at least 0 and less than 1. Received: {validation_fraction!r}")
    check_seed(seed)
    from sklearn.datasets import load_digits

    bunch = load_digits()
    order = np.random.RandomState(seed).permutation(len(bunch.target))
    x = (bunch.images[order, :, :, np.newaxis] / 16).astype("float32")
    y = bunch.target[order].astype("int64")
    fitted, test = (x[:-_TEST_SIZE], y[:-_TEST_SIZE]), (x[-_TEST_SIZE:], y[-_TEST_SIZE:])
    info = {"input_shape": (8, 8, 1), "num_classes": _NUM_CLASSES, "class_names": tuple("0123456789")}
    if validation_fraction == 0:
        return Dataset(train=fitted, test=test, info=info)
    size = len(fitted[1])
    indices = split_two_ways(
        size, max(validation_fraction, _NUM_CLASSES / size), seed, fitted[1], "The data set digits"
    )
    train, validation = take(indices, *fitted)
    return Dataset(train, validation, test, info)
