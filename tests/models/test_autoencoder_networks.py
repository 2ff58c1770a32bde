"""The encoders and decoders an autoencoder builds for itself."""

from __future__ import annotations

import keras
import numpy as np
import pytest

from kplug.models import autoencoder_networks as networks

IMAGES = [(8, 8), (8, 8, 1), (7, 5, 1), (28, 28), (1, 1, 1), (9, 16, 3), (3, 2, 4)]


def outputs_of(model: keras.Model, shape: tuple) -> list[np.ndarray]:
    outputs = model(np.zeros((3, *shape), "float32"))
    outputs = outputs if isinstance(outputs, (list, tuple)) else [outputs]
    return [keras.ops.convert_to_numpy(output) for output in outputs]


@pytest.mark.parametrize(
    ("shape", "expected"), [((4,), False), ((28, 28), True), ((8, 8, 1), True), ((5, 3, 2, 2), False)]
)
def test_what_is_taken_for_an_image(shape, expected):
    assert networks.is_image_shape(shape) is expected


@pytest.mark.parametrize("shape", IMAGES, ids=str)
@pytest.mark.parametrize("filters", [(4, 3), (2,), (), (2, 2, 2, 2)], ids=str)
def test_convolutional_networks_fit_any_image(shape, filters):
    encoder = networks.convolutional_encoder(shape, 3, filters, (5,))
    decoder = networks.convolutional_decoder(shape, 3, filters, (5,))
    assert [output.shape for output in encoder.outputs] == [(None, 3), (None, 3)]
    assert decoder.input_shape == (None, 3)
    assert decoder.output_shape == (None, *shape)


@pytest.mark.parametrize("shape", [(8, 8, 1), (7, 5)], ids=str)
def test_convolutional_networks_run(shape):
    mean, log_var = outputs_of(networks.convolutional_encoder(shape, 2, (2, 2), (4,)), shape)
    assert mean.shape == log_var.shape == (3, 2)
    assert outputs_of(networks.convolutional_decoder(shape, 2, (2, 2), (4,)), (2,))[0].shape == (3, *shape)


def test_convolutions_halve_the_image_as_on_keras_io():
    # The keras.io VAE at 8x8: convolutions 32 and 64 of stride 2, dense 16, latent 2.
    encoder = networks.convolutional_encoder((8, 8, 1), 2, (32, 64), (16,))
    convolutions = [layer for layer in encoder.layers if isinstance(layer, keras.layers.Conv2D)]
    assert [layer.output.shape[1:] for layer in convolutions] == [(4, 4, 32), (2, 2, 64)]
    weights = (9 * 32 + 32) + (9 * 32 * 64 + 64) + (256 * 16 + 16) + 2 * (16 * 2 + 2)
    assert encoder.count_params() == weights
    decoder = networks.convolutional_decoder((8, 8, 1), 2, (32, 64), (16,))
    weights = (2 * 256 + 256) + (9 * 64 * 64 + 64) + (9 * 64 * 32 + 32) + (9 * 32 + 1)
    assert decoder.count_params() == weights


@pytest.mark.parametrize("shape", [(4,), (1,), (28, 28), (5, 3, 2, 2)], ids=str)
@pytest.mark.parametrize("units", [(6,), (6, 5), ()], ids=str)
def test_dense_networks_fit_any_shape(shape, units):
    encoder, decoder = networks.dense_encoder(shape, 2, (), units), networks.dense_decoder(shape, 2, (), units)
    assert [output.shape for output in outputs_of(encoder, shape)] == [(3, 2), (3, 2)]
    assert outputs_of(decoder, (2,))[0].shape == (3, *shape)


def test_dense_networks_mirror_each_other():
    encoder, decoder = networks.dense_encoder((4,), 2, (), (6, 5)), networks.dense_decoder((4,), 2, (), (6, 5))
    assert encoder.count_params() == (4 * 6 + 6) + (6 * 5 + 5) + 2 * (5 * 2 + 2)
    assert decoder.count_params() == (2 * 5 + 5) + (5 * 6 + 6) + (6 * 4 + 4)


def test_heads_and_outputs_are_unbounded():
    encoder, decoder = networks.dense_encoder((4,), 2, (), (6,)), networks.convolutional_decoder((8, 8), 2, (2,), ())
    last = [encoder.get_layer("mean"), encoder.get_layer("log_var"), decoder.layers[-2]]
    assert all(layer.activation is keras.activations.linear for layer in last)
