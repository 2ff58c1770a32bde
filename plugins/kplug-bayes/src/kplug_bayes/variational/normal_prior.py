"""A normal prior of independent weights."""

from __future__ import annotations

import math
from typing import Any

import keras
from keras import ops

from kplug_bayes.variational.weight_distribution import WeightDistribution

HALF_LOG_2_PI = 0.5 * math.log(2 * math.pi)


@keras.saving.register_keras_serializable(package="bayes")
class NormalPrior(WeightDistribution):
    """Independent weights of one normal distribution: N(0, scale^2), or N(loc, scale^2) with means that are trained.

    With `trainable_loc` the prior is fitted along with the posterior (empirical Bayes): the means move to the
    posterior's, and what is left to pay for is its spread.

    Args:
        scale: Standard deviation of a weight, above 0.
        trainable_loc: Whether each weight has a mean of its own, which begins at 0 and is trained.
        **kwargs: Keras' own layer arguments (`name`, `dtype`, …).

    Raises:
        ValueError: If `scale` is not above 0.
    """

    def __init__(self, scale: float = 1.0, trainable_loc: bool = False, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if not 0 < scale < math.inf:
            raise ValueError(f"`scale` of a prior must be greater than 0. Received: scale={scale}")
        self.scale = scale
        self.trainable_loc = trainable_loc
        self.loc: Any = 0.0

    def build(self, input_shape: tuple[int, ...]) -> None:
        if self.trainable_loc:
            self.loc = self.add_weight(shape=input_shape, initializer="zeros", name="loc")

    def log_prob(self, weights: Any) -> Any:
        standardized = (weights - self.loc) / self.scale
        return -ops.sum(0.5 * ops.square(standardized) + (math.log(self.scale) + HALF_LOG_2_PI))

    def kl_from_normal(self, loc: Any, scale: Any) -> Any:
        """Return the KL divergence of independent normal weights from this prior, in nats.

        ```
        sum over weights of (r - 1 - log r + ((loc - prior_loc) / prior_scale)^2) / 2,    r = (scale / prior_scale)^2
        ```

        (Blundell et al. 2015, equation 2, in closed form.)

        Args:
            loc: Means, of any shape.
            scale: Standard deviations, of the same shape.

        References:
            Blundell et al. (2015), Weight Uncertainty in Neural Networks, https://arxiv.org/abs/1505.05424
        """
        squares = (ops.square(scale) + ops.square(loc - self.loc)) / self.scale**2
        return ops.sum(0.5 * squares - ops.log(scale) + (math.log(self.scale) - 0.5))

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "scale": self.scale, "trainable_loc": self.trainable_loc}
