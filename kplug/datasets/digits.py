"""Handwritten digits that scikit-learn brings along."""

from __future__ import annotations

from typing import Annotated

import numpy as np
from pydantic import Field

from kplug.catalog.facts import component
from kplug.datasets.dataset import Dataset

_TEST_SIZE = 360


@component(
    tasks=["image-generation", "image-classification", "density-estimation", "metric-learning"],
    provides=["input_shape", "num_classes", "class_names"],
    references=[
        "Alpaydin & Kaynak (1998), Optical Recognition of Handwritten Digits, UCI repository, doi:10.24432/C50P49"
    ],
)
def digits(
    validation_fraction: Annotated[float, Field(ge=0, lt=1)] = 0.1,
    seed: Annotated[int, Field(ge=0, lt=2**32)] = 0,
) -> Dataset:
    """1,797 grey images of handwritten digits, 8 by 8 pixels; needs no download.

    Images are float32 of shape `(8, 8, 1)` between 0 and 1; labels are the digits, whole numbers from 0 to 9. The
    last 360 images of the shuffled order are the test split, the same however many are set aside for validation.

    Args:
        validation_fraction: Share of the other 1,437 images that becomes the validation split; at 0 there is none.
        seed: Seed of the order in which the images are split.

    Returns:
        A `kplug.Dataset`; its info has `input_shape`, `num_classes` and `class_names`.

    Raises:
        ValueError: If `validation_fraction` is out of range.

    References:
        Alpaydin & Kaynak (1998), Optical Recognition of Handwritten Digits, UCI repository, doi:10.24432/C50P49

    Example:

    >>> digits = kplug.datasets.digits()
    >>> digits.test[0].shape, digits.info["num_classes"]
    ((360, 8, 8, 1), 10)
    """
    if not 0 <= validation_fraction < 1:
        raise ValueError(f"`validation_fraction` must be at least 0 and less than 1. Received: {validation_fraction!r}")
    from sklearn.datasets import load_digits

    bunch = load_digits()
    order = np.random.RandomState(seed).permutation(len(bunch.target))
    x = (bunch.images[order, :, :, np.newaxis] / 16).astype("float32")
    y = bunch.target[order].astype("int64")

    fitted = len(x) - _TEST_SIZE
    train = fitted - round(fitted * validation_fraction)
    return Dataset(
        train=(x[:train], y[:train]),
        validation=(x[train:fitted], y[train:fitted]) if train < fitted else None,
        test=(x[fitted:], y[fitted:]),
        info={"input_shape": (8, 8, 1), "num_classes": 10, "class_names": tuple("0123456789")},
    )
