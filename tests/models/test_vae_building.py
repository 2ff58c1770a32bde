"""`kplug.VAE` builds itself from the shape of the data; what it refuses."""

from __future__ import annotations

import keras
import numpy as np
import pytest

import kplug


def has_convolutions(vae: kplug.VAE) -> bool:
    return any(isinstance(layer, keras.layers.Conv2D) for layer in vae.encoder.layers)


@pytest.mark.parametrize(
    ("shape", "convolutional"),
    [
        ((8, 8, 1), True),
        ((7, 5, 1), True),
        ((28, 28), True),
        ((6, 9, 3), True),
        ((4,), False),
        ((1,), False),
        ((5, 3, 2, 2), False),
    ],
    ids=str,
)
def test_builds_from_the_shape_of_the_data(shape, convolutional):
    vae = kplug.VAE(latent_dim=3, filters=(2, 2), units=(4,))
    assert not vae.built
    outputs = vae(np.full((2, *shape), 0.5, "float32"))
    assert set(outputs) == {"reconstruction", "mean", "log_var", "z"}
    assert tuple(outputs["reconstruction"].shape) == (2, *shape)
    assert tuple(outputs["mean"].shape) == tuple(outputs["log_var"].shape) == (2, 3)
    assert has_convolutions(vae) is convolutional


def test_defaults_are_the_keras_io_network_for_images_and_400_units_otherwise():
    image, table = kplug.VAE(), kplug.VAE()
    image.build((None, 8, 8, 1))
    table.build((None, 784))
    assert image.encoder.count_params() == 320 + 18496 + 4112 + 2 * 34
    assert table.encoder.count_params() == (784 * 400 + 400) + 2 * (400 * 2 + 2)


def test_dense_networks_for_images_on_request():
    vae = kplug.VAE(architecture="dense", units=(4,))
    vae.build((None, 8, 8, 1))
    assert not has_convolutions(vae)
    assert vae.generate(2).shape == (2, 8, 8, 1)


@pytest.mark.parametrize("shape", [(4,), (5, 3, 2, 2)], ids=str)
def test_convolutions_need_images(shape):
    vae = kplug.VAE(architecture="convolutional")
    with pytest.raises(ValueError, match=r"height, width") as caught:
        vae.build((None, *shape))
    assert str(shape) in str(caught.value)


@pytest.mark.parametrize("shape", [(None,), (None, None), (None, 8, None, 1)], ids=str)
def test_samples_of_unknown_shape_are_refused(shape):
    with pytest.raises(ValueError, match="known shape"):
        kplug.VAE().build(shape)


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ({"latent_dim": 0}, "latent_dim=0"),
        ({"latent_dim": "two"}, "latent_dim='two'"),
        ({"latent_dim": 2.5}, "latent_dim=2.5"),
        ({"filters": (32, 0)}, r"filters=\(32, 0\)"),
        ({"filters": 32}, "filters=32"),
        ({"units": [16, "a"]}, r"units=\[16, 'a'\]"),
        ({"scale": "1"}, "scale='1'"),
        ({"beta": None}, "beta=None"),
        ({"architecture": "recurrent"}, "'auto', 'convolutional', 'dense'.*architecture='recurrent'"),
        ({"likelihood": "weibull"}, "'bernoulli', 'gaussian'.*likelihood='weibull'"),
        ({"likelihood": "categorical"}, "categories=None"),
        ({"scale": "fitted"}, "scale='fitted'"),
        ({"prior": "flat"}, "'standard_normal', 'gaussian_mixture', 'vamp'.*prior='flat'"),
        ({"annealing_steps": -1}, "annealing_steps=-1"),
        ({"annealing_cycles": 0}, "annealing_cycles=0"),
        ({"prior_components": 0}, "prior_components=0"),
        ({"importance_samples": 0}, "importance_samples=0"),
        ({"num_classes": 0}, "num_classes=0"),
        ({"free_bits": 0.1, "prior": "vamp"}, "free_bits=0.1"),
        ({"free_bits": 0.1, "importance_samples": 2}, "free_bits=0.1"),
        ({"scale": 0.0}, "scale=0.0"),
        ({"scale": -1.0}, "scale=-1.0"),
        ({"scale": float("nan")}, "scale=nan"),
        ({"beta": -0.5}, "beta=-0.5"),
        ({"beta": float("nan")}, "beta=nan"),
    ],
    ids=str,
)
def test_parameters_out_of_range_are_named(arguments, named):
    with pytest.raises(ValueError, match=named):
        kplug.VAE(**arguments)


@pytest.mark.parametrize("use", ["decode", "generate"])
def test_what_needs_a_shape_says_so_before_there_is_one(use):
    argument = {"decode": np.zeros((1, 2)), "generate": 3}[use]
    with pytest.raises(ValueError, match="has not seen data yet"):
        getattr(kplug.VAE(), use)(argument)


@pytest.mark.parametrize("model", [kplug.VAE, kplug.VQVAE, kplug.NeuralTopicModel])
def test_a_loss_given_to_compile_is_refused(model):
    with pytest.raises(ValueError, match=rf"{model.__name__} computes its own loss.*mse"):
        model().compile("adam", loss="mse")


def test_numpy_numbers_are_as_good_as_python_ones(table, tmp_path):
    one, two = np.int64(1), np.int32(2)
    vae = kplug.VAE(latent_dim=two, units=[np.int64(4)], filters=(two,), seed=one)
    vae.compile("sgd")
    vae.fit(table, verbose=0)
    vae.save(tmp_path / "vae.keras")
    assert kplug.load_model(tmp_path / "vae.keras").get_config()["units"] == [4]


@pytest.mark.parametrize("dtype", ["mixed_float16", "mixed_bfloat16", "float64"])
def test_the_dtype_given_to_the_model_is_that_of_all_its_parts(dtype):
    vae = kplug.VAE(units=(4,), dtype=dtype)
    vae.build((None, 4))
    parts = [*vae.encoder.layers, *vae.decoder.layers]
    assert {part.dtype_policy.name for part in parts if part.weights} == {dtype}
    # Densities are taken of the draws.
    assert vae.sampling.compute_dtype == ("float64" if dtype == "float64" else "float32")
