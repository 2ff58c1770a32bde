"""Normal vectors whose numbers go together."""

from __future__ import annotations

from typing import Annotated, Any

import keras
import kplug
import numpy as np
from keras import ops
from pydantic import Field

from kplug_bayes.checked_numbers import checked_count
from kplug_bayes.outputs.backend_distributions import distributions
from kplug_bayes.outputs.distribution_layer import Conversion
from kplug_bayes.outputs.event_layer import EventLayer
from kplug_bayes.variational.normal_prior import HALF_LOG_2_PI

_SMALLEST_DIAGONAL = 1e-5
"""What TensorFlow Probability's layer adds to the diagonal."""


@kplug.component()
@keras.saving.register_keras_serializable(package="bayes")
class MultivariateNormalTriL(EventLayer):
    """Reads its inputs as the mean and the Cholesky factor of the covariance of a normal vector.

    ```
    y = loc + L epsilon,    covariance = L L^T,    L lower triangular with diagonal softplus(…) + 1e-5
    ```

    The inputs are the mean, then the triangle in the order of TensorFlow Probability's `fill_triangular`, with the same
    1e-5 on the diagonal: give targets a scale near 1. The layer puts out its inputs, and `negative_log_likelihood` is
    the loss; `mean`, `covariance`, `sample`, `log_prob` and `distribution` take what the model puts out. All is
    computed in float32 under mixed precision. Masks are handed on.

    Args:
        event_size: Length of the vector, at least 1.
        convert_to: What the layer puts out: `"parameters"` (for the likelihood), `"mean"`, `"mode"` or `"sample"`.
        seed: Whole number that makes the draws repeat, or `None`.
        **kwargs: Keras' own layer arguments (`name`, `dtype`, …).

    Call arguments:
        inputs: A tensor of shape `(batch_size, ..., params_size(event_size))`.

    Returns:
        The inputs; with `convert_to` a tensor of shape `(batch_size, ..., event_size)`.

    Raises:
        ValueError: If a parameter is out of range.

    Example:

    >>> layer = kplug_bayes.MultivariateNormalTriL(2)
    >>> kplug_bayes.MultivariateNormalTriL.params_size(2)
    5
    >>> tuple(layer.covariance(np.zeros((3, 5), "float32")).shape)
    (3, 2, 2)
    """

    def __init__(
        self,
        event_size: Annotated[int, Field(ge=1)],
        convert_to: Conversion = "parameters",
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        self.event_size = checked_count("event_size", event_size)
        super().__init__((self.event_size,), self.params_size(event_size), convert_to, seed, **kwargs)
        self._places, self._lower, self._on_diagonal = _triangle(self.event_size)

    @staticmethod
    def params_size(event_size: int) -> int:
        """Return how many parameters an event takes: n for the mean, and n (n + 1) / 2 for the factor."""
        n = checked_count("event_size", event_size)
        return n + n * (n + 1) // 2

    def loc_and_factor(self, parameters: Any) -> tuple[Any, Any]:
        """Return means of shape `(*batch, n)`, and the factors L of shape `(*batch, n, n)`."""
        parameters = self.precise(parameters)
        n = self.event_size
        flat = ops.take(parameters[..., n:], self._places, axis=-1)
        square = ops.reshape(flat, (*ops.shape(parameters)[:-1], n, n))
        lower, diagonal = (ops.cast(part, square.dtype) for part in (self._lower, self._on_diagonal))
        return parameters[..., :n], square * lower + (ops.softplus(square) + _SMALLEST_DIAGONAL) * diagonal

    def log_prob(self, parameters: Any, value: Any) -> Any:
        loc, factor = self.loc_and_factor(parameters)
        value = self.of_events(self.precise(parameters), value)
        epsilon = ops.solve_triangular(factor, ops.expand_dims(value - loc, -1), lower=True)[..., 0]
        diagonal = ops.diagonal(factor, axis1=-2, axis2=-1)
        return -ops.sum(0.5 * ops.square(epsilon) + ops.log(diagonal) + HALF_LOG_2_PI, axis=-1)

    def mean(self, parameters: Any) -> Any:
        return self.precise(parameters)[..., : self.event_size]

    def mode(self, parameters: Any) -> Any:
        return self.mean(parameters)

    def variance(self, parameters: Any) -> Any:
        return ops.sum(ops.square(self.loc_and_factor(parameters)[1]), axis=-1)

    def covariance(self, parameters: Any) -> Any:
        """Return the covariances, of shape `(*batch, n, n)`."""
        _, factor = self.loc_and_factor(parameters)
        return ops.matmul(factor, ops.swapaxes(factor, -2, -1))

    def sample(self, parameters: Any) -> Any:
        loc, factor = self.loc_and_factor(parameters)
        epsilon = keras.random.normal(ops.shape(loc), dtype=loc.dtype, seed=self.seed_generator)
        return loc + ops.sum(factor * ops.expand_dims(epsilon, -2), axis=-1)

    def distribution(self, parameters: Any) -> Any:
        loc, factor = self.loc_and_factor(parameters)
        module = distributions()
        if hasattr(module, "MultivariateNormalTriL"):
            return module.MultivariateNormalTriL(loc, factor)
        return module.MultivariateNormal(loc, scale_tril=factor)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "event_size": self.event_size}


def _triangle(n: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return where the entries of an n by n matrix stand among n (n + 1) / 2 numbers, and two masks over it.

    Row by row, the matrix is filled with the numbers from the n-th on, and then with all of them backwards; what comes
    to lie below the diagonal and on it is each number once.
    """
    count = n * (n + 1) // 2
    places = np.concatenate([np.arange(n, count), np.arange(count)[::-1]])
    return places.astype("int32"), np.tri(n, k=-1), np.eye(n)
