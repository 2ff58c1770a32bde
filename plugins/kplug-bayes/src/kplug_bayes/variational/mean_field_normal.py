"""The mean-field posterior: every weight has a normal distribution of its own."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops
from kplug.layers import derived_seeds

from kplug_bayes.variational.normal_prior import HALF_LOG_2_PI, NormalPrior
from kplug_bayes.variational.weight_distribution import WeightDistribution

SMALLEST_SCALE = 1.1920929e-07
"""What float32 can tell from 1: no deviation is smaller, so that its logarithm stays finite."""


@keras.saving.register_keras_serializable(package="bayes")
class MeanFieldNormal(WeightDistribution):
    """Independent normal weights, each with a mean and a standard deviation that are trained.

    The deviation is `softplus(untransformed_scale)`, raised by float32's epsilon. Means begin at N(0, 0.1^2) and
    untransformed scales at N(-3, 0.1^2), as TensorFlow Probability's do.

    Args:
        initial_untransformed_scale: Mean of what the untransformed scales begin at: -3 for deviations near 0.049,
            -5 for 0.0067.
        loc_initializer: How the means begin: an initializer of Keras, its name or its configuration; by default
            N(0, 0.1^2).
        seed: Whole number that makes the beginning repeat, or `None`.
        **kwargs: Keras' own layer arguments (`name`, `dtype`, …).

    References:
        Blundell et al. (2015), Weight Uncertainty in Neural Networks, https://arxiv.org/abs/1505.05424
    """

    def __init__(
        self,
        initial_untransformed_scale: float = -3.0,
        loc_initializer: Any = None,
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.initial_untransformed_scale = initial_untransformed_scale
        self.loc_initializer = keras.initializers.get(loc_initializer)
        self.seed = seed

    def build(self, input_shape: tuple[int, ...]) -> None:
        loc_seed, scale_seed = derived_seeds(self.seed, 2)
        self.loc = self.add_weight(
            shape=input_shape,
            initializer=(
                keras.initializers.RandomNormal(stddev=0.1, seed=loc_seed)
                if self.loc_initializer is None
                else _seeded(self.loc_initializer, loc_seed)
            ),
            name="loc",
        )
        self.untransformed_scale = self.add_weight(
            shape=input_shape,
            initializer=keras.initializers.RandomNormal(self.initial_untransformed_scale, 0.1, seed=scale_seed),
            name="untransformed_scale",
        )

    def loc_and_scale(self) -> tuple[Any, Any]:
        """Return means and standard deviations, of the shape of the weights."""
        return ops.convert_to_tensor(self.loc), ops.softplus(self.untransformed_scale) + SMALLEST_SCALE

    def sample(self, seed: keras.random.SeedGenerator) -> Any:
        loc, scale = self.loc_and_scale()
        return loc + noise(scale, seed)

    def sample_and_log_prob(self, seed: keras.random.SeedGenerator) -> tuple[Any, Any]:
        # A draw beside a large mean has lost the digits of its noise.
        loc, scale = self.loc_and_scale()
        epsilon = keras.random.normal(ops.shape(scale), dtype=scale.dtype, seed=seed)
        return loc + scale * epsilon, -ops.sum(0.5 * ops.square(epsilon) + ops.log(scale) + HALF_LOG_2_PI)

    def mean(self) -> Any:
        return ops.convert_to_tensor(self.loc)

    def log_prob(self, weights: Any) -> Any:
        loc, scale = self.loc_and_scale()
        return -ops.sum(0.5 * ops.square((weights - loc) / scale) + ops.log(scale) + HALF_LOG_2_PI)

    def kl_divergence(self, prior: WeightDistribution) -> Any:
        return prior.kl_from_normal(*self.loc_and_scale()) if isinstance(prior, NormalPrior) else None

    def get_config(self) -> dict[str, Any]:
        initializer = self.loc_initializer and keras.initializers.serialize(self.loc_initializer)
        return {
            **super().get_config(),
            "initial_untransformed_scale": self.initial_untransformed_scale,
            "loc_initializer": initializer,
            "seed": self.seed,
        }


def _seeded(initializer: Any, seed: int | None) -> Any:
    """Return an initializer that repeats, if it has no seed of its own and there is one to give."""
    config = initializer.get_config() if isinstance(initializer, keras.initializers.Initializer) else {}
    if seed is None or config.get("seed", 0) is not None:
        return initializer
    return type(initializer).from_config({**config, "seed": seed})


def noise(scale: Any, seed: keras.random.SeedGenerator) -> Any:
    """Return normal noise of these standard deviations around 0, through which gradients reach them."""
    return scale * keras.random.normal(ops.shape(scale), dtype=scale.dtype, seed=seed)
