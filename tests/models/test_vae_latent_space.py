"""Latent arithmetic: ways between samples, attributes, and whether a model only copies."""

import numpy as np
import pytest
from scipy.spatial.distance import cdist


@pytest.fixture(scope="module")
def trained(small_vae, table):
    vae = small_vae("adam")
    vae.fit(table, epochs=3, verbose=0)
    return vae


def test_the_way_between_two_samples_begins_and_ends_at_their_reconstructions(trained, table):
    way = trained.interpolate(table[0], table[1], steps=5)
    assert way.shape == (5, 4)
    np.testing.assert_allclose(way[[0, -1]], trained.reconstruct(table[:2]), rtol=1e-5)
    middle = trained.decode(trained.encode(table[:2])[0].mean(axis=0, keepdims=True))
    np.testing.assert_allclose(way[2:3], middle, rtol=1e-5)
    ways = trained.interpolate(table[:3], table[3:6], steps=4)
    assert ways.shape == (3, 4, 4)
    np.testing.assert_allclose(ways[0], trained.interpolate(table[0], table[3], steps=4), rtol=1e-5)


def test_an_attribute_is_the_difference_of_means(trained, table):
    has = np.arange(20) % 4 == 0
    means = trained.encode(table)[0]
    vector = trained.attribute_vector(table, has)
    np.testing.assert_allclose(vector, means[has].mean(axis=0) - means[~has].mean(axis=0), rtol=1e-5)
    np.testing.assert_allclose(trained.shift(table, vector, 0.0), trained.reconstruct(table), rtol=1e-5)
    expected = trained.decode(means[:2] - 0.5 * vector)
    np.testing.assert_allclose(trained.shift(table[:2], vector, -0.5), expected, rtol=1e-5)


def test_the_nearest_training_example_is_the_nearest(trained, table):
    samples = trained.generate(7, seed=0)
    indices, distances = trained.nearest_training_example(samples, table)
    every = cdist(samples, table)
    np.testing.assert_array_equal(indices, every.argmin(axis=1))
    np.testing.assert_allclose(distances, every.min(axis=1), rtol=1e-5)
    assert trained.nearest_training_example(table[:3], table)[0].tolist() == [0, 1, 2]
    assert trained.nearest_training_example(samples[:0], table)[0].shape == (0,)


@pytest.mark.parametrize(
    ("use", "named"),
    [
        (lambda vae, x: vae.interpolate(x[0], x[:2]), "`a` and `b` must be of one shape"),
        (lambda vae, x: vae.interpolate(x[0], x[1], steps=1), "steps=1"),
        (lambda vae, x: vae.attribute_vector(x, np.arange(20)), "zeros and ones"),
        (lambda vae, x: vae.attribute_vector(x, np.ones(20)), "both of them"),
        (lambda vae, x: vae.attribute_vector(x, np.ones(3)), "3 labels for 20 samples"),
        (lambda vae, x: vae.shift(x, np.zeros(3)), r"\(2,\).*\(3,\)"),
        (lambda vae, x: vae.nearest_training_example(x[:, :2], x), r"samples=\(20, 2\)"),
        (lambda vae, x: vae.log_likelihood(x, 0), "samples=0"),
    ],
)
def test_what_cannot_be_meant_is_refused(trained, table, use, named):
    with pytest.raises(ValueError, match=named):
        use(trained, table)
