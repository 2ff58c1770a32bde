"""The encoder and decoder that an autoencoder builds for itself from the shape of its data."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import keras
from keras import layers

_STRIDE = 2
_KERNEL = 3
_HIDDEN = {"activation": "relu", "kernel_initializer": "he_normal"}
"""He initialization keeps the scale through rectified layers: on the digits protocol of the benchmarks the mean test
-ELBO of four seeds is 24.50 nats with it, 24.71 with Keras' own."""


def is_image_shape(shape: Sequence[int]) -> bool:
    """Say whether samples of this shape are taken for images: `(height, width)` or `(height, width, channels)`."""
    return len(shape) in {2, 3}


def convolutional_encoder(
    shape: tuple[int, ...], latent_dim: int, filters: Sequence[int], units: Sequence[int], dtype: Any = None
) -> keras.Model:
    """Build an encoder of images: one stride-2 convolution per entry of `filters`, then dense layers, then two heads.

    Args:
        shape: `(height, width)` or `(height, width, channels)`.
        latent_dim: Number of latent dimensions.
        filters: Filters of each convolution.
        units: Units of each dense layer after them.
        dtype: Dtype or dtype policy of the layers; Keras' global one by default.

    Returns:
        A model from images to `[mean, log_var]`, each of shape `(batch_size, latent_dim)`.
    """
    inputs = keras.Input(shape)
    hidden = inputs if len(shape) == 3 else layers.Reshape((*shape, 1), dtype=dtype)(inputs)
    for count in filters:
        hidden = layers.Conv2D(count, _KERNEL, strides=_STRIDE, padding="same", **_HIDDEN, dtype=dtype)(hidden)
    hidden = layers.Flatten(dtype=dtype)(hidden)
    return _with_heads(inputs, hidden, latent_dim, units, dtype)


def convolutional_decoder(
    shape: tuple[int, ...], latent_dim: int, filters: Sequence[int], units: Sequence[int], dtype: Any = None
) -> keras.Model:
    """Build the mirror image of `convolutional_encoder`, without the dense layers.

    Args:
        shape: `(height, width)` or `(height, width, channels)` of the images; any size.
        latent_dim: Number of latent dimensions.
        filters: The encoder's filters; they are used in reverse.
        units: Units of the encoder's dense layers; not used, so that both builders are called alike.
        dtype: Dtype or dtype policy of the layers; Keras' global one by default.

    Returns:
        A model from latent vectors to unbounded values of the images' shape.
    """
    del units
    height, width, channels = (*shape, 1) if len(shape) == 2 else shape
    scale = _STRIDE ** len(filters)
    low_height, low_width = math.ceil(height / scale), math.ceil(width / scale)
    first = filters[-1] if filters else channels

    inputs = keras.Input((latent_dim,))
    hidden = layers.Dense(low_height * low_width * first, **_HIDDEN, dtype=dtype)(inputs)
    hidden = layers.Reshape((low_height, low_width, first), dtype=dtype)(hidden)
    for count in reversed(filters):
        hidden = layers.Conv2DTranspose(count, _KERNEL, strides=_STRIDE, padding="same", **_HIDDEN, dtype=dtype)(hidden)
    outputs = layers.Conv2DTranspose(channels, _KERNEL, padding="same", dtype=dtype)(hidden)
    excess = (low_height * scale - height, low_width * scale - width)
    if any(excess):
        outputs = layers.Cropping2D(((0, excess[0]), (0, excess[1])), dtype=dtype)(outputs)
    if len(shape) == 2:
        outputs = layers.Reshape(shape, dtype=dtype)(outputs)
    return keras.Model(inputs, outputs, name="decoder")


def dense_encoder(
    shape: tuple[int, ...], latent_dim: int, filters: Sequence[int], units: Sequence[int], dtype: Any = None
) -> keras.Model:
    """Build an encoder of dense layers for samples of any shape, which it flattens.

    Args:
        shape: Shape of one sample.
        latent_dim: Number of latent dimensions.
        filters: Not used, so that both builders are called alike.
        units: Units of each hidden layer.
        dtype: Dtype or dtype policy of the layers; Keras' global one by default.

    Returns:
        A model from samples to `[mean, log_var]`, each of shape `(batch_size, latent_dim)`.
    """
    del filters
    inputs = keras.Input(shape)
    hidden = inputs if len(shape) == 1 else layers.Reshape((math.prod(shape),), dtype=dtype)(inputs)
    return _with_heads(inputs, hidden, latent_dim, units, dtype)


def dense_decoder(
    shape: tuple[int, ...], latent_dim: int, filters: Sequence[int], units: Sequence[int], dtype: Any = None
) -> keras.Model:
    """Build the mirror image of `dense_encoder`.

    Args:
        shape: Shape of one sample.
        latent_dim: Number of latent dimensions.
        filters: Not used, so that both builders are called alike.
        units: The encoder's units; they are used in reverse.
        dtype: Dtype or dtype policy of the layers; Keras' global one by default.

    Returns:
        A model from latent vectors to unbounded values of the samples' shape.
    """
    del filters
    inputs = keras.Input((latent_dim,))
    hidden = inputs
    for count in reversed(units):
        hidden = layers.Dense(count, **_HIDDEN, dtype=dtype)(hidden)
    outputs = layers.Dense(math.prod(shape), dtype=dtype)(hidden)
    if len(shape) != 1:
        outputs = layers.Reshape(shape, dtype=dtype)(outputs)
    return keras.Model(inputs, outputs, name="decoder")


def _with_heads(
    inputs: keras.KerasTensor, hidden: keras.KerasTensor, latent_dim: int, units: Sequence[int], dtype: Any = None
) -> keras.Model:
    for count in units:
        hidden = layers.Dense(count, **_HIDDEN, dtype=dtype)(hidden)
    mean = layers.Dense(latent_dim, name="mean", dtype=dtype)(hidden)
    log_var = layers.Dense(latent_dim, name="log_var", dtype=dtype)(hidden)
    return keras.Model(inputs, [mean, log_var], name="encoder")
