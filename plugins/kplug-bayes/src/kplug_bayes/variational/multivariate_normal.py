"""The normal posterior whose weights go together."""

from __future__ import annotations

import math
from typing import Any

import keras
import numpy as np
from keras import ops
from kplug.layers import derived_seeds

from kplug_bayes.variational.mean_field_normal import SMALLEST_SCALE
from kplug_bayes.variational.normal_prior import HALF_LOG_2_PI, NormalPrior
from kplug_bayes.variational.weight_distribution import WeightDistribution

_LARGEST = 4096
"""Number of weights whose covariance takes 64 MB, and as much again for each of an optimizer's two moments."""


@keras.saving.register_keras_serializable(package="bayes")
class MultivariateNormal(WeightDistribution):
    """Normal weights with a full covariance, which is trained by its Cholesky factor L: `weights = loc + L epsilon`.

    For small layers: n weights have n (n + 1) / 2 numbers in L, which is kept as an n by n matrix. The diagonal of L is
    `softplus` of what is trained, raised by float32's epsilon. Weights begin independent of each other, with means at
    N(0, 0.1^2).

    Args:
        initial_untransformed_scale: What the untransformed diagonal of L begins at: -3 for deviations near 0.049.
        seed: Whole number that makes the beginning repeat, or `None`.
        **kwargs: Keras' own layer arguments (`name`, `dtype`, …).

    Raises:
        ValueError: If it is built for more than 4,096 weights, or weights that are not one vector.
    """

    def __init__(self, initial_untransformed_scale: float = -3.0, seed: int | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.initial_untransformed_scale = initial_untransformed_scale
        self.seed = seed

    def build(self, input_shape: tuple[int, ...]) -> None:
        if len(input_shape) != 1 or input_shape[0] > _LARGEST:
            raise ValueError(
                f"MultivariateNormal takes one vector of up to {_LARGEST} weights; use MeanFieldNormal for more. "
                f"Received: weights of shape {tuple(input_shape)}"
            )
        (count,) = input_shape
        (loc_seed,) = derived_seeds(self.seed, 1)
        self.loc = self.add_weight(
            shape=(count,), initializer=keras.initializers.RandomNormal(stddev=0.1, seed=loc_seed), name="loc"
        )
        self.untransformed_factor = self.add_weight(
            shape=(count, count), initializer=self._initial_factor, name="untransformed_factor"
        )

    def _initial_factor(self, shape: tuple[int, int], dtype: Any = None) -> Any:
        return ops.cast(self.initial_untransformed_scale * np.eye(shape[0]), dtype)

    def _factor(self) -> tuple[Any, Any]:
        """Return L, and its diagonal."""
        untransformed = ops.convert_to_tensor(self.untransformed_factor)
        diagonal = ops.softplus(ops.diagonal(untransformed)) + SMALLEST_SCALE
        return ops.tril(untransformed, -1) + ops.diag(diagonal), diagonal

    def sample(self, seed: keras.random.SeedGenerator) -> Any:
        return self.sample_and_log_prob(seed)[0]

    def sample_and_log_prob(self, seed: keras.random.SeedGenerator) -> tuple[Any, Any]:
        # To solve for the noise that is known would lose all digits of the gradient where L is nearly singular.
        factor, diagonal = self._factor()
        epsilon = keras.random.normal(tuple(self.loc.shape), dtype=factor.dtype, seed=seed)
        return self.loc + ops.matmul(factor, epsilon), self._log_density(epsilon, diagonal)

    def mean(self) -> Any:
        return ops.convert_to_tensor(self.loc)

    def log_prob(self, weights: Any) -> Any:
        factor, diagonal = self._factor()
        epsilon = ops.solve_triangular(factor, ops.expand_dims(weights - self.loc, -1), lower=True)
        return self._log_density(epsilon, diagonal)

    @staticmethod
    def _log_density(epsilon: Any, diagonal: Any) -> Any:
        return -ops.sum(0.5 * ops.square(epsilon)) - ops.sum(ops.log(diagonal) + HALF_LOG_2_PI)

    def kl_divergence(self, prior: WeightDistribution) -> Any:
        if not isinstance(prior, NormalPrior):
            return None
        factor, diagonal = self._factor()
        squares = ops.sum(ops.square(factor)) + ops.sum(ops.square(self.loc - prior.loc))
        return 0.5 * squares / prior.scale**2 - ops.sum(ops.log(diagonal) + (0.5 - math.log(prior.scale)))

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "initial_untransformed_scale": self.initial_untransformed_scale,
            "seed": self.seed,
        }
