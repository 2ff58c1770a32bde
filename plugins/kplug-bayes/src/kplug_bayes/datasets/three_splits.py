"""How many samples each split has, and standardised columns."""

from __future__ import annotations

from typing import Annotated

import numpy as np
from pydantic import Field

from kplug_bayes.checked_numbers import check_number

Fraction = Annotated[float, Field(gt=0, lt=1)]
Seed = Annotated[int, Field(ge=0, lt=2**32)]


def split_sizes(size: int, validation_fraction: float, test_fraction: float) -> tuple[int, int, int]:
    """Return the numbers of samples in the train, validation and test splits, each at least 1.

    Args:
        size: Number of samples, at least 3.
        validation_fraction: Share of the samples outside the test split that becomes the validation split.
        test_fraction: Share of all samples that becomes the test split.

    Raises:
        ValueError: If a share is not between 0 and 1, or none is left to train on.
    """
    check_number("validation_fraction", validation_fraction, 0, 1, ends="()")
    check_number("test_fraction", test_fraction, 0, 1, ends="()")
    test = max(1, round(size * test_fraction))
    validation = max(1, round((size - test) * validation_fraction))
    train = size - test - validation
    if train < 1:
        raise ValueError(
            "`validation_fraction` and `test_fraction` must leave samples to train on. Received: "
            f"validation_fraction={validation_fraction!r}, test_fraction={test_fraction!r} of {size} samples"
        )
    return train, validation, test


def standardized(x: np.ndarray, by: np.ndarray) -> np.ndarray:
    """Return columns less their means, divided by their standard deviations, both of the rows `by`."""
    deviation = by.std(axis=0)
    return np.asarray((x - by.mean(axis=0)) / np.where(deviation > 0, deviation, 1.0))
