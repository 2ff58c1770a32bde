"""Images mixed with each other, and the loss on two labels that goes with it: MixUp and CutMix."""

from __future__ import annotations

from functools import cache
from typing import Any, NamedTuple

import keras
import numpy as np
from keras import ops

from kplug.layers.seeded import SeededLayer

_QUANTILES = 1024


class Mixture(NamedTuple):
    """How a batch was mixed.

    Attributes:
        partners: For each image the number of the image mixed into it, of shape `(batch_size,)`.
        shares: How much of each image is its own, between 0.5 and 1, of shape `(batch_size,)`.
    """

    partners: Any
    shares: Any


@keras.saving.register_keras_serializable(package="kplug")
class BatchMixing(SeededLayer):
    """Mixes each image of a batch with another one of it, in training only.

    MixUp (Zhang et al. 2018) adds the two with weights; CutMix (Yun et al. 2019) pastes a rectangle of the other. The
    share is drawn from `Beta(alpha, alpha)`, and the image that weighs more counts as the batch's own. (In the
    papers it may also be the lesser part; what is mixed is the same, and training metrics have a label to count.) With
    both, each batch takes one of the two at random.

    Args:
        mixup: `alpha` of MixUp; 0 for none.
        cutmix: `alpha` of CutMix; 0 for none.
        seed: Whole number that makes the draws repeat, or `None`.
        **kwargs: Keras' own layer arguments (`name`, `dtype`, …).
    """

    def __init__(self, mixup: float = 0.0, cutmix: float = 0.0, seed: int | None = None, **kwargs: Any) -> None:
        super().__init__(seed=seed, **kwargs)
        self.mixup = mixup
        self.cutmix = cutmix

    def call(self, images: Any) -> tuple[Any, Mixture]:
        """Return the mixed images and how they were mixed."""
        batch_size = ops.shape(images)[0]
        generator = self.seed_generator
        partners = ops.argsort(keras.random.uniform((batch_size,), seed=generator))
        others = ops.take(images, partners, axis=0)
        if self.mixup and self.cutmix:
            coin = ops.cast(keras.random.uniform((), seed=generator) < 0.5, images.dtype)
            mixed, shares = self._mixed_up(images, others)
            cut, cut_shares = self._cut(images, others)
            kind = ops.cast(coin, shares.dtype)
            return coin * mixed + (1 - coin) * cut, Mixture(partners, kind * shares + (1 - kind) * cut_shares)
        mixed, shares = (self._mixed_up if self.mixup else self._cut)(images, others)
        return mixed, Mixture(partners, shares)

    def _shares(self, images: Any, alpha: float) -> Any:
        uniform = keras.random.uniform((ops.shape(images)[0],), dtype="float32", seed=self.seed_generator)
        place = uniform * _QUANTILES
        below = ops.floor(place)
        table = ops.convert_to_tensor(_larger_shares(alpha))
        low, high = (ops.take(table, ops.cast(below, "int32") + step, axis=0) for step in (0, 1))
        return low + (place - below) * (high - low)

    def _mixed_up(self, images: Any, others: Any) -> tuple[Any, Any]:
        shares = self._shares(images, self.mixup)
        weights = ops.cast(ops.reshape(shares, (-1, 1, 1, 1)), images.dtype)
        return weights * images + (1 - weights) * others, shares

    def _cut(self, images: Any, others: Any) -> tuple[Any, Any]:
        shares = self._shares(images, self.cutmix)
        side = ops.sqrt(1 - shares)
        inside = ops.ones_like(images[:, :, :, :1], dtype="float32")
        for axis in (1, 2):
            length = ops.cast(ops.shape(images)[axis], "float32")
            middle = keras.random.uniform((ops.shape(images)[0],), dtype="float32", seed=self.seed_generator) * length
            places = ops.reshape(ops.arange(ops.shape(images)[axis], dtype="float32") + 0.5, (1, -1))
            near = ops.abs(places - middle[:, None]) <= (side * length / 2)[:, None]
            shape = (-1, ops.shape(images)[1], 1, 1) if axis == 1 else (-1, 1, ops.shape(images)[2], 1)
            inside = inside * ops.reshape(ops.cast(near, "float32"), shape)
        # The rectangle may stick out of the image: what counts is the part that is really there.
        shares = 1 - ops.mean(inside, axis=(1, 2, 3))
        inside = ops.cast(inside, images.dtype)
        return inside * others + (1 - inside) * images, shares

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "mixup": self.mixup, "cutmix": self.cutmix}


@cache
def _larger_shares(alpha: float) -> np.ndarray:
    """Return quantiles of the larger of a share drawn from `Beta(alpha, alpha)` and the rest.

    Drawn by quantiles, as TensorFlow's XLA has no Beta distribution.
    """
    from scipy.stats import beta

    # The last index is met where rounding makes the uniform number 1.
    levels = np.append(np.linspace(0, 1, _QUANTILES + 1), 1)
    return beta.ppf((1 + levels) / 2, alpha, alpha).astype("float32")
