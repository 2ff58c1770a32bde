"""A curve whose middle nobody has measured."""

from __future__ import annotations

from typing import Annotated

import kplug
import numpy as np
from pydantic import Field

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
    validation_fraction: Annotated[float, Field(gt=0, lt=1)] = 0.1,
    test_fraction: Annotated[float, Field(gt=0, lt=1)] = 0.2,
    seed: Annotated[int, Field(ge=0, lt=2**32)] = 0,
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
    _check(num_samples, gap, noise, validation_fraction=validation_fraction, test_fraction=test_fraction, seed=seed)
    random = np.random.default_rng(seed)
    distance = random.uniform(gap / 2, 1, num_samples)
    x = np.where(random.random(num_samples) < 0.5, -distance, distance)
    deviation = noise * (1 + x) if heteroscedastic else noise
    y = np.sin(4 * x) + deviation * random.standard_normal(num_samples)
    test = max(1, round(test_fraction * num_samples))
    validation = max(1, round(validation_fraction * (num_samples - test)))
    # Drawn independently, the samples need no shuffling.
    columns = [values.astype("float32")[:, np.newaxis] for values in (x, y)]
    splits = [tuple(np.split(column, [test, test + validation])) for column in columns]
    parts = [(splits[0][part], splits[1][part]) for part in range(3)]
    info = {"input_shape": (1,), "num_features": 1, "feature_names": ("x",)}
    return kplug.Dataset(train=parts[2], validation=parts[1], test=parts[0], info=info)


def _check(num_samples: int, gap: float, noise: float, seed: int, **fractions: float) -> None:
    if isinstance(num_samples, bool) or num_samples != int(num_samples) or num_samples < 20:
        raise ValueError(f"`num_samples` must be a whole number, at least 20. Received: num_samples={num_samples!r}")
    if not 0 <= gap < 2:
        raise ValueError(f"`gap` must be at least 0 and less than 2, the range of x. Received: gap={gap!r}")
    if not 0 <= noise < float("inf"):
        raise ValueError(f"`noise` must be a number, at least 0. Received: noise={noise!r}")
    if isinstance(seed, bool) or seed != int(seed) or not 0 <= seed < 2**32:
        raise ValueError(f"`seed` must be a whole number from 0 to 4294967295. Received: seed={seed!r}")
    for name, fraction in fractions.items():
        if not 0 < fraction < 1:
            raise ValueError(f"`{name}` must be greater than 0 and less than 1. Received: {name}={fraction!r}")
    if (1 - fractions["test_fraction"]) * (1 - fractions["validation_fraction"]) * num_samples < 1.5:
        raise ValueError(
            "`test_fraction` and `validation_fraction` leave nothing to train on. "
            f"Received: {', '.join(f'{name}={value!r}' for name, value in fractions.items())}"
        )
