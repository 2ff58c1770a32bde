"""The encoder and decoder that a vector-quantised autoencoder builds for itself from the shape of its data."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import keras
from keras import layers, ops

from kplug.layers.seeded import derived_seeds

_HE = {"kernel_initializer": "he_normal"}
_HALVE = {"kernel_size": 4, "strides": 2, "padding": "same"}


def convolutional_networks(
    shape: tuple[int, ...], embedding_dim: int, filters: Sequence[int], residual_blocks: int, dtype: Any = None
) -> tuple[keras.Model, keras.Model]:
    """Build convolutions from images to maps of vectors, and back (van den Oord et al. 2017, section 4.1).

    Args:
        shape: `(height, width)` or `(height, width, channels)`; any size.
        embedding_dim: Length of the vectors.
        filters: Filters of the encoder's stride-2 convolutions, used by the decoder in reverse.
        residual_blocks: Residual blocks at the lowest resolution, in either network.
        dtype: Dtype or dtype policy of the layers; Keras' global one by default.

    Returns:
        A model from images to vectors of shape `(batch_size, height', width', embedding_dim)`, the sides divided by
        `2 ** len(filters)` and rounded up; and a model from such vectors to unbounded values of the images' shape.
    """
    height, width, channels = (*shape, 1) if len(shape) == 2 else shape
    inputs = keras.Input(shape)
    hidden = inputs if len(shape) == 3 else layers.Reshape((*shape, 1), dtype=dtype)(inputs)
    for count in filters:
        hidden = layers.Conv2D(count, **_HALVE, activation="relu", **_HE, dtype=dtype)(hidden)
    hidden = _residual(layers.Conv2D(filters[-1], 3, padding="same", dtype=dtype)(hidden), residual_blocks, dtype)
    vectors = layers.Conv2D(embedding_dim, 1, dtype=dtype)(hidden)
    encoder = keras.Model(inputs, vectors, name="encoder")

    low = vectors.shape[1:]
    inputs = keras.Input(low)
    hidden = _residual(layers.Conv2D(filters[-1], 3, padding="same", dtype=dtype)(inputs), residual_blocks, dtype)
    for count in reversed(filters[:-1]):
        hidden = layers.Conv2DTranspose(count, **_HALVE, activation="relu", **_HE, dtype=dtype)(hidden)
    outputs = layers.Conv2DTranspose(channels, **_HALVE, dtype=dtype)(hidden)
    excess = [side * 2 ** len(filters) - size for side, size in zip(low[:2], (height, width), strict=True)]
    if any(excess):
        outputs = layers.Cropping2D(((0, excess[0]), (0, excess[1])), dtype=dtype)(outputs)
    if len(shape) == 2:
        outputs = layers.Reshape(shape, dtype=dtype)(outputs)
    return encoder, keras.Model(inputs, outputs, name="decoder")


def _residual(hidden: Any, blocks: int, dtype: Any) -> Any:
    """Add residual blocks of a 3 x 3 convolution to half the filters and a 1 x 1 convolution back, then a ReLU."""
    count = hidden.shape[-1]
    for _ in range(blocks):
        branch = layers.ReLU(dtype=dtype)(hidden)
        branch = layers.Conv2D(max(1, count // 2), 3, padding="same", activation="relu", **_HE, dtype=dtype)(branch)
        branch = layers.Conv2D(count, 1, dtype=dtype)(branch)
        hidden = layers.Add(dtype=dtype)([hidden, branch])
    return layers.ReLU(dtype=dtype)(hidden)


def dense_networks(
    shape: tuple[int, ...], embedding_dim: int, units: Sequence[int], code_length: int, dtype: Any = None
) -> tuple[keras.Model, keras.Model]:
    """Build dense layers from samples of any shape to a short sequence of vectors, and back.

    Args:
        shape: Shape of one sample, which is flattened.
        embedding_dim: Length of the vectors.
        units: Units of the encoder's hidden layers, used by the decoder in reverse.
        code_length: Number of vectors that stand for one sample.
        dtype: Dtype or dtype policy of the layers; Keras' global one by default.

    Returns:
        A model from samples to vectors of shape `(batch_size, code_length, embedding_dim)`, and a model from such
        vectors to unbounded values of the samples' shape.
    """
    inputs = keras.Input(shape)
    hidden = inputs if len(shape) == 1 else layers.Reshape((math.prod(shape),), dtype=dtype)(inputs)
    for count in units:
        hidden = layers.Dense(count, "relu", **_HE, dtype=dtype)(hidden)
    hidden = layers.Dense(code_length * embedding_dim, dtype=dtype)(hidden)
    vectors = layers.Reshape((code_length, embedding_dim), dtype=dtype)(hidden)
    encoder = keras.Model(inputs, vectors, name="encoder")

    inputs = keras.Input((code_length, embedding_dim))
    hidden = layers.Flatten(dtype=dtype)(inputs)
    for count in reversed(units):
        hidden = layers.Dense(count, "relu", **_HE, dtype=dtype)(hidden)
    outputs = layers.Dense(math.prod(shape), dtype=dtype)(hidden)
    if len(shape) != 1:
        outputs = layers.Reshape(shape, dtype=dtype)(outputs)
    return encoder, keras.Model(inputs, outputs, name="decoder")


def causal_transformer(
    num_embeddings: int, length: int, units: int, blocks: int, dropout: float, seed: int | None = None
) -> keras.Model:
    """Build a transformer that predicts each code of a sequence from those before it (pre-norm, learned positions).

    It computes in float32, whatever the global policy.

    Args:
        num_embeddings: Number of codes.
        length: Codes per sample.
        units: Width of the transformer, a multiple of its 4 heads or less than that.
        blocks: Blocks of attention and a dense layer.
        dropout: Share of the units that is dropped in training.
        seed: Whole number that makes weights and dropout repeat, or `None`.

    Returns:
        A model from codes of shape `(batch_size, length)`, whole numbers, to logits of shape
        `(batch_size, length, num_embeddings)`; those of a position depend on the codes before it alone.
    """
    heads = 4
    seeds = keras.random.SeedGenerator(seed) if seed is not None else None
    drops = iter(derived_seeds(seed, 2 * blocks))
    options = {"dtype": "float32"}

    def glorot() -> Any:
        return keras.initializers.GlorotUniform(seed=seeds)

    inputs = keras.Input((length,), dtype="int32")
    # Code 0 stands for the beginning, so the others are counted from 1.
    previous = ops.pad(inputs[:, :-1] + 1, ((0, 0), (1, 0)))
    positions = ops.cumsum(ops.ones_like(inputs), axis=1) - 1
    tokens, places = (
        layers.Embedding(size, units, keras.initializers.RandomNormal(stddev=0.1, seed=seeds), **options)(numbers)
        for size, numbers in ((num_embeddings + 1, previous), (length, positions))
    )
    hidden = layers.Add(**options)([tokens, places])
    for _ in range(blocks):
        normed = layers.LayerNormalization(**options)(hidden)
        attention = layers.MultiHeadAttention(
            heads, max(1, units // heads), dropout=dropout, kernel_initializer=glorot(), seed=next(drops), **options
        )
        hidden = layers.Add(**options)([hidden, attention(normed, normed, use_causal_mask=True)])
        branch = layers.LayerNormalization(**options)(hidden)
        branch = layers.Dense(4 * units, "gelu", kernel_initializer=glorot(), **options)(branch)
        branch = layers.Dense(units, kernel_initializer=glorot(), **options)(branch)
        hidden = layers.Add(**options)([hidden, layers.Dropout(dropout, seed=next(drops), **options)(branch)])
    hidden = layers.LayerNormalization(**options)(hidden)
    logits = layers.Dense(num_embeddings, kernel_initializer=glorot(), **options)(hidden)
    return keras.Model(inputs, logits, name="code_prior")
