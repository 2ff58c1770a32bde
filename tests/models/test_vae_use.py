"""What a VAE is for: encode, decode, reconstruct, generate."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from scipy import special

SHAPES = [(8, 8, 1), (7, 5), (6, 9, 3), (4,), (5, 3, 2, 2)]


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_shapes_and_ranges(small_vae, shape):
    x = np.random.default_rng(0).uniform(size=(5, *shape)).astype("float32")
    vae = small_vae(latent_dim=3, filters=(2,))
    mean, log_var = vae.encode(x)
    assert mean.shape == log_var.shape == (5, 3)
    for images in (vae.decode(mean), vae.reconstruct(x), vae.generate(5)):
        assert isinstance(images, np.ndarray)
        assert images.shape == (5, *shape)
        assert 0 < images.min() < images.max() < 1


def test_encode_gives_what_the_model_calls_mean_and_log_var(small_vae, table):
    vae = small_vae()
    outputs = vae(table)
    mean, log_var = vae.encode(table)
    np.testing.assert_allclose(mean, keras.ops.convert_to_numpy(outputs["mean"]), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(log_var, keras.ops.convert_to_numpy(outputs["log_var"]), rtol=1e-5, atol=1e-6)


def test_decode_gives_probabilities(small_vae, table):
    vae = small_vae()
    z = np.random.default_rng(0).normal(size=(6, 2)).astype("float32")
    vae.encode(table)
    logits = keras.ops.convert_to_numpy(vae.decoder(z)).astype("float64")
    np.testing.assert_allclose(vae.decode(z), special.expit(logits), rtol=1e-5)


def test_decode_gives_means_with_the_gaussian_likelihood(small_vae, table):
    vae = small_vae(likelihood="gaussian")
    vae.encode(table)
    z = np.random.default_rng(0).normal(size=(6, 2)).astype("float32")
    np.testing.assert_allclose(vae.decode(z), keras.ops.convert_to_numpy(vae.decoder(z)), rtol=1e-5)
    assert vae.decode(5 * z).min() < 0


def test_reconstruct_decodes_the_posterior_mean_and_is_deterministic(small_vae, table):
    vae = small_vae()
    np.testing.assert_array_equal(vae.reconstruct(table), vae.reconstruct(table))
    np.testing.assert_allclose(vae.reconstruct(table), vae.decode(vae.encode(table)[0]), rtol=1e-6)


@pytest.mark.parametrize("batch_size", [7, 1000])
def test_the_batch_size_does_not_matter(small_vae, table, batch_size):
    vae = small_vae()
    mean, log_var = vae.encode(table, batch_size=batch_size)
    np.testing.assert_allclose(mean, vae.encode(table)[0], rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(log_var, vae.encode(table)[1], rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(vae.decode(mean, batch_size=batch_size), vae.decode(mean), rtol=1e-5)
    np.testing.assert_allclose(vae.reconstruct(table, batch_size=batch_size), vae.reconstruct(table), rtol=1e-5)


def test_no_samples_give_none(small_vae, table):
    vae = small_vae()
    vae.encode(table)
    assert vae.encode(table[:0])[0].shape == (0, 2)
    assert vae.decode(np.zeros((0, 2), "float32")).shape == (0, 4)
    assert vae.generate(0).shape == (0, 4)


def test_encode_builds_the_model(small_vae, table):
    vae = small_vae()
    assert vae.encode(table)[0].shape == (20, 2)
    assert vae.generate(2).shape == (2, 4)


def test_float64_data_and_lists(small_vae, table):
    vae = small_vae()
    expected = vae.encode(table)[0]
    np.testing.assert_allclose(vae.encode(table.astype("float64"))[0], expected, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(vae.encode(table.tolist())[0], expected, rtol=1e-4, atol=1e-6)
    assert vae.decode([[0, 0], [1, 1]]).shape == (2, 4)


def test_generate_repeats_with_a_seed_only(small_vae, table):
    vae = small_vae()
    vae.encode(table)
    np.testing.assert_array_equal(vae.generate(3, seed=4), vae.generate(3, seed=4))
    assert not np.allclose(vae.generate(3, seed=4), vae.generate(3, seed=5))
    assert not np.allclose(vae.generate(3), vae.generate(3))


def test_generate_leaves_the_training_draws_alone(small_vae, table):
    reconstructions = []
    for n in (0, 5):
        vae = small_vae()
        vae.encode(table)
        vae.generate(n)
        reconstructions.append(keras.ops.convert_to_numpy(vae(table)["reconstruction"]))
    np.testing.assert_array_equal(*reconstructions)


def test_generated_samples_come_from_the_prior(small_vae):
    # A decoder that hands z through shows the prior itself.
    vae = small_vae(likelihood="gaussian", decoder=keras.Sequential([keras.Input((2,)), keras.layers.Identity()]))
    vae.build((None, 2))
    z = vae.generate(20_000, seed=0)
    np.testing.assert_allclose(z.mean(axis=0), 0, atol=5 / np.sqrt(20_000))
    np.testing.assert_allclose(np.cov(z.T), np.eye(2), atol=0.05)


@pytest.mark.parametrize("z", [np.zeros(2), np.zeros((3, 1)), np.zeros((3, 2, 1))], ids=np.shape)
def test_latent_vectors_of_another_shape_are_refused_and_named(small_vae, table, z):
    vae = small_vae()
    vae.encode(table)
    with pytest.raises(ValueError, match=r"\(n, 2\)") as caught:
        vae.decode(z)
    assert str(z.shape) in str(caught.value)


@pytest.mark.parametrize(
    ("options", "variance"),
    [
        ({"likelihood": "bernoulli"}, lambda mean: mean * (1 - mean)),
        ({"likelihood": "gaussian", "scale": 0.5}, lambda mean: np.full_like(mean, 0.25)),
        ({"likelihood": "gaussian", "scale": "learned"}, np.ones_like),
        ({"likelihood": "poisson"}, lambda mean: mean),
    ],
    ids=str,
)
def test_samples_drawn_have_the_likelihoods_mean_and_noise(small_vae, table, options, variance):
    vae = small_vae(**options)
    vae.encode(table)
    # One latent vector, so that what differs is the likelihood's draw.
    vae.latent_prior.sample = lambda n, seed: np.full((n, 2), 0.3, "float32")
    means, drawn = vae.generate(4000, seed=0), vae.generate(4000, seed=0, draw=True)
    spread = variance(means[0])
    np.testing.assert_allclose(drawn.mean(axis=0), means[0], atol=5 * np.sqrt(spread.max() / 4000))
    np.testing.assert_allclose(drawn.var(axis=0), spread, rtol=0.15)
    np.testing.assert_array_equal(drawn, vae.generate(4000, seed=0, draw=True))


def test_categories_are_drawn_by_their_probabilities(small_vae):
    x = np.random.default_rng(0).integers(0, 3, (20, 4)).astype("float32")
    vae = small_vae(likelihood="categorical", categories=3)
    vae.encode(x)
    vae.latent_prior.sample = lambda n, seed: np.full((n, 2), 0.3, "float32")
    chances = special.softmax(keras.ops.convert_to_numpy(vae.decoder(np.full((1, 2), 0.3, "float32")))[0], axis=-1)
    drawn = vae.generate(4000, seed=0, draw=True)
    shares = np.stack([(drawn == value).mean(axis=0) for value in range(3)], axis=-1)
    np.testing.assert_allclose(shares, chances, atol=0.04)


def test_counts_without_a_total_are_not_drawn(small_vae, table):
    vae = small_vae(likelihood="multinomial")
    vae.encode(table)
    with pytest.raises(ValueError, match=r"`draw=True` needs the total"):
        vae.generate(2, draw=True)
