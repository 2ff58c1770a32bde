"""What stands between the data's own unit and the networks that a variational autoencoder builds for itself.

Networks begin, and train, well on numbers near one. A likelihood is about the data as they are. So the encoder sees
scaled data, and what the decoder puts out is brought back to the data's unit before anything else sees it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
from keras import ops

from kplug.losses.likelihoods import Likelihood

_ELEMENTS_AT_A_TIME = 2**20


def scaling_of(likelihood: Likelihood, shape: tuple[int, ...], categories: int | None, dtype: str) -> Scaling:
    """Return how data of this likelihood are scaled.

    Args:
        likelihood: Its name.
        shape: Shape of one sample.
        categories: Number of values of an element, for the categorical likelihood.
        dtype: In which to compute: never half precision, which cannot hold data in any unit.
    """
    if likelihood == "gaussian":
        return Standardised(shape, dtype)
    if likelihood in {"poisson", "multinomial"}:
        return LoggedCounts(shape, dtype, rates=likelihood == "poisson")
    if likelihood == "categorical":
        return ClassNumbers(int(categories or 2), dtype)
    return Scaling(dtype)


class Scaling(keras.layers.Layer):
    """The data as they are.

    Args:
        dtype: In which to compute.
    """

    def __init__(self, dtype: str) -> None:
        super().__init__(dtype=dtype, name="scaling")
        self.built = True

    def to_encoder(self, x: Any) -> Any:
        """Return what the encoder sees of data of shape `(batch_size, ...)`."""
        return x

    def from_decoder(self, outputs: Any) -> Any:
        """Return what the likelihood takes, given what the decoder puts out."""
        return outputs

    @property
    def log_unit(self) -> Any:
        """Logarithm of the unit of a learned scale: broadcasts against the data."""
        return 0.0

    def adapt(self, x: np.ndarray) -> None:
        """Read off the training data what the scaling needs: once, and not when the model has been trained."""

    def settle(self) -> None:
        """Keep the scaling as it is from now on, since networks are trained with it."""


class ClassNumbers(Scaling):
    """Class numbers are seen as numbers from 0 to 1.

    Args:
        categories: How many there are.
        dtype: In which to compute.
    """

    def __init__(self, categories: int, dtype: str) -> None:
        super().__init__(dtype)
        self.highest = categories - 1

    def to_encoder(self, x: Any) -> Any:
        return ops.cast(x, self.compute_dtype) / self.highest


class _Adapted(Scaling):
    """A scaling by a mean and a standard deviation, which are saved; a member reads them off the data."""

    def __init__(self, shape: tuple[int, ...], dtype: str) -> None:
        super().__init__(dtype)
        self.mean = self._state("mean", shape, "zeros")
        self.deviation = self._state("deviation", shape, "ones")
        self.adapted = self.add_weight(shape=(), dtype="bool", initializer="zeros", trainable=False, name="adapted")

    def _state(self, name: str, shape: tuple[int, ...], initializer: str) -> Any:
        return self.add_weight(shape=shape, initializer=initializer, trainable=False, autocast=False, name=name)

    def to_encoder(self, x: Any) -> Any:
        return (ops.cast(x, self.compute_dtype) - self.mean) / self.deviation

    def adapt(self, x: np.ndarray) -> None:
        if not ops.convert_to_numpy(self.adapted):
            self._read(x)
            self.settle()

    def settle(self) -> None:
        self.adapted.assign(True)

    def _read(self, x: np.ndarray) -> None:
        raise NotImplementedError


class Standardised(_Adapted):
    """Real data are seen standardised: feature by feature if samples are 1-D, else as a whole.

    Args:
        shape: Shape of one sample.
        dtype: In which to compute.
    """

    def __init__(self, shape: tuple[int, ...], dtype: str) -> None:
        super().__init__(_one_for_each_feature(shape), dtype)

    def from_decoder(self, outputs: Any) -> Any:
        return ops.cast(outputs, self.compute_dtype) * self.deviation + self.mean

    @property
    def log_unit(self) -> Any:
        return ops.log(self.deviation)

    def _read(self, x: np.ndarray) -> None:
        mean, deviation = _moments(x, lambda part: part, axis=0 if len(self.mean.shape) else None)
        self.mean.assign(mean)
        self.deviation.assign(deviation)


class LoggedCounts(_Adapted):
    """Counts are seen as `log(1 + x)`, standardised as a whole, so that rare features do not stand out.

    Args:
        shape: Shape of one sample.
        dtype: In which to compute.
        rates: Whether the decoder puts out rates, relative to the data's mean: feature by feature if samples are 1-D.
    """

    def __init__(self, shape: tuple[int, ...], dtype: str, rates: bool) -> None:
        super().__init__((), dtype)
        self.log_rates = self._state("log_rates", _one_for_each_feature(shape), "zeros") if rates else None

    def to_encoder(self, x: Any) -> Any:
        return super().to_encoder(ops.log1p(ops.cast(x, self.compute_dtype)))

    def from_decoder(self, outputs: Any) -> Any:
        if self.log_rates is None:
            return outputs
        outputs = ops.cast(outputs, self.compute_dtype)
        # The rate, relative to the mean one, is 1 + y above it and exp(y) below: an exponential overflows at draws far
        # out, of which the beginning of training has many.
        return ops.where(outputs > 0, ops.log1p(ops.relu(outputs)), outputs) + self.log_rates

    def _read(self, x: np.ndarray) -> None:
        mean, deviation = _moments(x, np.log1p, axis=None)
        self.mean.assign(mean)
        self.deviation.assign(deviation)
        if self.log_rates is not None:
            axis = 0 if len(self.log_rates.shape) else None
            # Half a count more, for features that were never counted.
            total = np.sum(x, axis=axis, dtype="float64") + 0.5
            self.log_rates.assign(np.log(total * np.size(total) / x.size))


def _one_for_each_feature(shape: tuple[int, ...]) -> tuple[int, ...]:
    return shape if len(shape) == 1 else ()


def _moments(x: np.ndarray, function: Callable[[np.ndarray], np.ndarray], axis: int | None) -> tuple[Any, Any]:
    """Return mean and standard deviation of a function of the data in float64; where that is zero, 1 in its place."""
    rows = max(1, _ELEMENTS_AT_A_TIME // x[0].size)
    count = x.size if axis is None else len(x)

    def mean_of(summand: Callable[[np.ndarray], np.ndarray]) -> Any:
        parts = (function(x[start : start + rows].astype("float64")) for start in range(0, len(x), rows))
        return sum(np.sum(summand(part), axis=axis) for part in parts) / count

    mean = mean_of(lambda part: part)
    deviation = np.sqrt(mean_of(lambda part: np.square(part - mean)))
    # What rounding leaves of a constant is no deviation.
    return mean, np.where(deviation > np.finfo("float32").eps * np.abs(mean), deviation, 1.0)
