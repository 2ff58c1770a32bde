"""The feature extractors that an image classifier builds for itself: plain and residual convolutions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
from keras import layers

_CONVOLUTION = {"padding": "same", "use_bias": False, "kernel_initializer": "he_normal"}
_MOMENTUM = 0.9
"""Of the batch statistics. Keras' own 0.99 lags behind for hundreds of steps, which is all that small data give."""


def plain_features(shape: tuple[int, ...], filters: Sequence[int], blocks: int, dtype: Any = None) -> keras.Model:
    """Build stages of two convolutions each, the later stages at half the resolution of the one before.

    Args:
        shape: `(height, width, channels)` of the images; any size.
        filters: Filters of each stage.
        blocks: Pairs of convolutions per stage.
        dtype: Dtype or dtype policy of the layers; Keras' global one by default.

    Returns:
        A model from images to feature maps.
    """
    inputs = keras.Input(shape)
    hidden = inputs
    for stage, count in enumerate(filters):
        if stage:
            hidden = layers.MaxPooling2D(2, padding="same", dtype=dtype)(hidden)
        for _ in range(2 * blocks):
            hidden = _rectified(_convolution(hidden, count, 1, dtype), dtype)
    return keras.Model(inputs, hidden, name="features")


def residual_features(shape: tuple[int, ...], filters: Sequence[int], blocks: int, dtype: Any = None) -> keras.Model:
    """Build stages of residual blocks (He et al. 2016), the later stages at half the resolution of the one before.

    Args:
        shape: `(height, width, channels)` of the images; any size.
        filters: Filters of each stage.
        blocks: Residual blocks per stage.
        dtype: Dtype or dtype policy of the layers; Keras' global one by default.

    Returns:
        A model from images to feature maps.
    """
    inputs = keras.Input(shape)
    hidden = _rectified(_convolution(inputs, filters[0], 1, dtype), dtype)
    for stage, count in enumerate(filters):
        for block in range(blocks):
            stride = 2 if stage and not block else 1
            branch = _rectified(_convolution(hidden, count, stride, dtype), dtype)
            branch = _convolution(branch, count, 1, dtype)
            if stride > 1 or hidden.shape[-1] != count:
                hidden = layers.Conv2D(count, 1, strides=stride, **_CONVOLUTION, dtype=dtype)(hidden)
            hidden = _rectified(layers.Add(dtype=dtype)([hidden, branch]), dtype)
    return keras.Model(inputs, hidden, name="features")


def _convolution(inputs: Any, count: int, stride: int, dtype: Any) -> Any:
    outputs = layers.Conv2D(count, 3, strides=stride, **_CONVOLUTION, dtype=dtype)(inputs)
    return layers.BatchNormalization(momentum=_MOMENTUM, dtype=dtype)(outputs)


def _rectified(inputs: Any, dtype: Any) -> Any:
    return layers.ReLU(dtype=dtype)(inputs)
