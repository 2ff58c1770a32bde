"""A curve whose middle nobody has measured."""

from __future__ import annotations

from typing import Annotated

import kplug
import numpy as np
from pydantic import Field

from kplug_bayes.checked_numbers import check_number, check_seed, checked_count
from kplug_bayes.datasets.three_splits import Fraction, Seed, split_sizes

_FOONG = "Foong et al. (2019), 'In-Between' Uncertainty in Bayesian Neural Networks, https://arxiv.org/abs/1906.11537"


@kplug.component(
    tasks=["tabular-regression"],
    provides=["input_shape", "num_features", "feature_names"],
    references=[_FOONG],
)
def gap_regression(
    num_samples: Annotated[int, Field(ge=20)] = 400,
    gap: Annotated[float, Field(ge=0, lt=2)] = 0.8,
    noise: Annotated[float, Field(ge=0)] = 0.1,
    heteroscedastic: bool = False,
    validation_fraction: Fraction = 0.1,
    test_fraction: Fraction = 0.2,
    seed: Seed = 0,
) -> kplug.Dataset:
    """A noisy wave over one feature that has no samples in the middle; needs no download.

    ```
    y = sin(4 x) + noise epsilon,    x uniform between -1 and 1, but not between -gap / 2 and gap / 2
    ```

    A model that knows what it does not know spreads in the gap (Foong et al. 2019). No split has samples there.

    Args:
        num_samples: Number of samples.
        gap: Width of the gap around 0, at least 0 and less than 2; 0 for none.
        noise: Standard deviation of the noise.
        heteroscedastic: Whether the noise grows to the right: its deviation is then `noise (1 + x)`, from none on the
            left to twice as much.
        validation_fraction: Share of the samples outside the test split that becomes the validation split.
        test_fraction: Share of the samples that becomes the test split.
        seed: Seed of the samples and of the noise.

    Returns:
        A `kplug.Dataset` with `x` and `y` of shape `(samples, 1)`, float32; its info has `input_shape`,
        `num_features` and `feature_names`.

    Raises:
        ValueError: If a parameter is out of range.

    References:
        Foong et al. (2019), 'In-Between' Uncertainty in Bayesian Neural Networks, https://arxiv.org/abs/1906.11537

    Example:

    >>> data = kplug_bayes.gap_regression(num_samples=100)
    >>> data.train[0].shape, bool(abs(data.train[0]).min() > 0.4)
    ((72, 1), True)
    """
    checked_count("num_samples", num_samples, least=20)
    check_number("gap", gap, 0, 2, ends="[)")
    check_number("noise", noise, 0)
    check_seed(seed)
    _, validation, test = split_sizes(num_samples, validation_fraction, test_fraction)
    random = np.random.default_rng(seed)
    distance = random.uniform(gap / 2, 1, num_samples)
    x = np.where(random.random(num_samples) < 0.5, -distance, distance)
    deviation = noise * (1 + x) if heteroscedastic else noise
    y = np.sin(4 * x) + deviation * random.standard_normal(num_samples)
    # Drawn independently, the samples need no shuffling.
    columns = [values.astype("float32")[:, np.newaxis] for values in (x, y)]
    splits = [tuple(np.split(column, [test, test + validation])) for column in columns]
    parts = [(splits[0][part], splits[1][part]) for part in range(3)]
    info = {"input_shape": (1,), "num_features": 1, "feature_names": ("x",)}
    return kplug.Dataset(train=parts[2], validation=parts[1], test=parts[0], info=info)
