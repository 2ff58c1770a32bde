"""A prior that lets most weights vanish and some be large."""

from __future__ import annotations

import math
from typing import Any

import keras
from keras import ops

from kplug_bayes.variational.normal_prior import HALF_LOG_2_PI
from kplug_bayes.variational.weight_distribution import WeightDistribution


@keras.saving.register_keras_serializable(package="bayes")
class NormalMixturePrior(WeightDistribution):
    """Independent weights of a mixture of two normal distributions around 0, one wide and one narrow.

    ```
    p(w) = wide_share * N(w; 0, wide_scale^2) + (1 - wide_share) * N(w; 0, narrow_scale^2)
    ```

    (Blundell et al. 2015, equation 7.) The KL divergence from it has no closed form: layers estimate it by their draw.

    Args:
        wide_share: Share of the wide component, between 0 and 1.
        wide_scale: Its standard deviation.
        narrow_scale: Standard deviation of the narrow component, above 0 and below `wide_scale`.
        **kwargs: Keras' own layer arguments (`name`, `dtype`, …).

    Raises:
        ValueError: If a parameter is out of range.

    References:
        Blundell et al. (2015), Weight Uncertainty in Neural Networks, https://arxiv.org/abs/1505.05424
    """

    def __init__(
        self, wide_share: float = 0.5, wide_scale: float = 1.0, narrow_scale: float = 0.05, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        if not 0 < wide_share < 1:
            raise ValueError(f"`wide_share` must be between 0 and 1. Received: wide_share={wide_share}")
        if not 0 < narrow_scale < wide_scale < math.inf:
            raise ValueError(
                "`narrow_scale` must be greater than 0 and smaller than `wide_scale`. "
                f"Received: narrow_scale={narrow_scale}, wide_scale={wide_scale}"
            )
        self.wide_share = wide_share
        self.wide_scale = wide_scale
        self.narrow_scale = narrow_scale

    def log_prob(self, weights: Any) -> Any:
        wide = math.log(self.wide_share / self.wide_scale) - 0.5 * ops.square(weights / self.wide_scale)
        narrow = math.log((1 - self.wide_share) / self.narrow_scale) - 0.5 * ops.square(weights / self.narrow_scale)
        return ops.sum(ops.logaddexp(wide, narrow) - HALF_LOG_2_PI)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "wide_share": self.wide_share,
            "wide_scale": self.wide_scale,
            "narrow_scale": self.narrow_scale,
        }
