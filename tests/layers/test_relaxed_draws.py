"""Draws on the simplex: their distribution, and their gradients, against closed forms."""

import keras
import numpy as np
import pytest
from keras import ops

from kplug import layers, testing

LOGITS = np.log(np.array([0.1, 0.2, 0.7], "float32"))


def drawn(layer, inputs, count=20_000):
    repeated = keras.tree.map_structure(lambda part: np.repeat(part[None].astype("float32"), count, axis=0), inputs)
    return ops.convert_to_numpy(layer(repeated))


def test_the_largest_entry_of_a_gumbel_softmax_is_drawn_with_the_softmax():
    winners = np.bincount(drawn(layers.GumbelSoftmax(0.5, seed=0), LOGITS).argmax(axis=1), minlength=3)
    np.testing.assert_allclose(winners / 20_000, [0.1, 0.2, 0.7], atol=0.012)


def test_straight_through_is_one_hot_with_the_gradient_of_the_relaxed_draw():
    one_hot = drawn(layers.GumbelSoftmax(0.5, straight_through=True, seed=0), LOGITS, 50)
    np.testing.assert_allclose(np.sort(one_hot, axis=1), np.tile([0, 0, 1], (50, 1)), atol=1e-6)
    weights = ops.convert_to_tensor(np.array([1.0, 2.0, 3.0], "float32"))
    x = np.repeat(LOGITS[None], 4, axis=0)
    found, expected = (
        testing.gradient(lambda value, hard=hard: layers.GumbelSoftmax(0.7, hard, seed=3)(value) * weights, x)
        for hard in (True, False)
    )
    np.testing.assert_allclose(found, expected, rtol=1e-5)


@pytest.mark.parametrize("size", [1e4, -1e4])
def test_a_gumbel_softmax_is_finite_for_large_logits(size):
    logits = np.array([[size, -size, 0.0]], "float32")
    layer = layers.GumbelSoftmax(0.1, seed=0)
    assert np.isfinite(ops.convert_to_numpy(layer(logits))).all()
    assert np.isfinite(testing.gradient(lambda x: ops.square(layer(x)), logits)).all()


def test_the_temperature_falls_exponentially_in_training_alone():
    layer = layers.GumbelSoftmax(1.0, final_temperature=0.25, annealing_steps=4)
    seen = []
    for _ in range(6):
        layer(np.zeros((1, 2), "float32"), training=True)
        seen.append(float(layer.current_temperature()))
    layer(np.zeros((1, 2), "float32"), training=False)
    seen.append(float(layer.current_temperature()))
    np.testing.assert_allclose(seen, [0.25 ** (k / 4) for k in (1, 2, 3, 4, 4, 4, 4)], rtol=1e-6)


def test_a_logistic_normal_is_the_softmax_of_a_gaussian():
    mean, log_var = np.array([0.5, 0.0, -1.0]), np.log(np.array([0.3, 0.1, 0.2]))
    shares = drawn(layers.LogisticNormal(seed=0), [mean, log_var])
    # Differences of log shares are Gaussian, whatever the normalisation.
    ratio = np.log(shares[:, 0]) - np.log(shares[:, 2])
    assert ratio.mean() == pytest.approx(1.5, abs=0.02)
    assert ratio.var() == pytest.approx(0.5, abs=0.03)


def test_the_laplace_approximation_is_srivastavas():
    alpha = [0.2, 0.5, 1.0]
    mean, log_var = layers.dirichlet_laplace(alpha, 3)
    for k, a in enumerate(alpha):
        assert mean[k] == pytest.approx(np.log(a) - sum(map(np.log, alpha)) / 3, rel=1e-5)
        assert np.exp(log_var[k]) == pytest.approx((1 - 2 / 3) / a + sum(1 / b for b in alpha) / 9, rel=1e-5)


@pytest.mark.parametrize("alpha", [(0.05, 0.1, 0.2), (1.0, 1.0, 1.0), (3.0, 0.5, 20.0)], ids=str)
def test_dirichlet_draws_have_its_mean_and_variance(alpha):
    alpha = np.array(alpha)
    draws = drawn(layers.DirichletSampling(seed=0), alpha)
    mean = alpha / alpha.sum()
    np.testing.assert_allclose(draws.mean(axis=0), mean, atol=0.012)
    np.testing.assert_allclose(draws.var(axis=0), mean * (1 - mean) / (alpha.sum() + 1), atol=0.006)


@pytest.mark.parametrize("alpha", [(0.3, 0.6), (2.0, 1.0), (5.0, 8.0)], ids=str)
def test_dirichlet_gradients_are_those_of_the_mean(alpha):
    # E[x_1] = a_1 / (a_1 + a_2), so dE[x_1]/da_1 = a_2 / (a_1 + a_2)^2 and dE[x_1]/da_2 = -a_1 / (a_1 + a_2)^2.
    count = 40_000
    layer = layers.DirichletSampling(seed=0)
    x = np.repeat(np.array([alpha], "float32"), count, axis=0)
    found = testing.gradient(lambda value: layer(value)[:, 0], x).mean(axis=0)
    total = sum(alpha) ** 2
    np.testing.assert_allclose(found, [alpha[1] / total, -alpha[0] / total], rtol=0.06, atol=0.002)


def test_tiny_concentrations_give_corners_not_nan():
    draws = drawn(layers.DirichletSampling(seed=0), np.full(4, 1e-4), 500)
    assert np.isfinite(draws).all()
    np.testing.assert_allclose(draws.sum(axis=1), 1, rtol=1e-5)
    assert (draws.max(axis=1) > 0.99).mean() > 0.95
