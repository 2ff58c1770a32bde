"""Batch normalization that a batch of one does no harm."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops


class LenientBatchNormalization(keras.layers.BatchNormalization):
    """Batch normalization that takes a batch of one as it takes data in use: by the moving statistics.

    One sample has no variance. Where a data set leaves one for its last batch, Keras' layer turns it into zeros and
    pulls the moving variance towards zero, which then magnifies all data in use.
    """

    def _moments(self, inputs: Any, mask: Any) -> tuple[Any, Any]:
        mean, variance = super()._moments(inputs, mask)
        several = ops.cast(ops.shape(inputs)[0] > 1, mean.dtype)
        moving = (ops.cast(part, mean.dtype) for part in (self.moving_mean, self.moving_variance))
        mean, variance = (
            several * of_batch + (1 - several) * before
            for of_batch, before in zip((mean, variance), moving, strict=True)
        )
        return mean, variance
