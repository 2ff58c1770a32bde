"""KL between diagonal Gaussians, against the formula in float64, Monte Carlo and TensorFlow Probability."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from keras import ops
from scipy import stats

from kplug.losses.gaussian_kl import gaussian_kl

RNG = np.random.default_rng(0)
MEAN, LOG_VAR = RNG.normal(size=(5, 3)).astype("float32"), RNG.normal(size=(5, 3)).astype("float32")


def tensor(x):
    return ops.convert_to_tensor(np.asarray(x, "float32"))


def kl_by_loop(mean, log_var, prior_mean=None, prior_log_var=None) -> np.ndarray:
    """log(s2/s1) + (s1^2 + (m1 - m2)^2) / (2 s2^2) - 1/2, one dimension at a time."""
    out = np.zeros(len(mean))
    for index in np.ndindex(*mean.shape):
        m1, s1 = float(mean[index]), float(np.exp(log_var[index] / 2.0))
        m2 = 0.0 if prior_mean is None else float(prior_mean[index])
        s2 = 1.0 if prior_log_var is None else float(np.exp(prior_log_var[index] / 2.0))
        out[index[0]] += np.log(s2 / s1) + (s1**2 + (m1 - m2) ** 2) / (2 * s2**2) - 0.5
    return out


def test_to_the_standard_normal():
    found = ops.convert_to_numpy(gaussian_kl(tensor(MEAN), tensor(LOG_VAR)))
    np.testing.assert_allclose(found, kl_by_loop(MEAN, LOG_VAR), rtol=1e-5)


def test_to_another_gaussian():
    prior_mean, prior_log_var = RNG.normal(size=(5, 3)), RNG.normal(size=(5, 3))
    found = gaussian_kl(tensor(MEAN), tensor(LOG_VAR), tensor(prior_mean), tensor(prior_log_var))
    np.testing.assert_allclose(
        ops.convert_to_numpy(found), kl_by_loop(MEAN, LOG_VAR, prior_mean, prior_log_var), rtol=1e-5
    )


def test_one_prior_for_the_whole_batch():
    prior_mean, prior_log_var = np.array([0.5, -1.0, 2.0]), np.array([0.1, 1.0, -0.7])
    found = gaussian_kl(tensor(MEAN), tensor(LOG_VAR), tensor(prior_mean), tensor(prior_log_var))
    expected = kl_by_loop(MEAN, LOG_VAR, np.tile(prior_mean, (5, 1)), np.tile(prior_log_var, (5, 1)))
    np.testing.assert_allclose(ops.convert_to_numpy(found), expected, rtol=1e-5)


def test_prior_given_as_numbers():
    found = gaussian_kl(tensor(MEAN), tensor(LOG_VAR), prior_mean=0.5, prior_log_var=-0.3)
    expected = kl_by_loop(MEAN, LOG_VAR, np.full((5, 3), 0.5), np.full((5, 3), -0.3))
    np.testing.assert_allclose(ops.convert_to_numpy(found), expected, rtol=1e-5)


def test_by_hand():
    # Unit variance, mean 3 away: 9/2. Variance e, mean 0: (e - 1 - 1)/2.
    found = ops.convert_to_numpy(gaussian_kl(tensor([[3.0], [0.0]]), tensor([[0.0], [1.0]])))
    np.testing.assert_allclose(found, [4.5, (np.e - 2) / 2], rtol=1e-6)


def test_is_the_mean_log_ratio_of_draws():
    mean, log_var = np.array([[0.7, -0.4]]), np.array([[-1.0, 0.5]])
    q = stats.norm(mean, np.exp(log_var / 2))
    draws = q.rvs((200_000, 2), random_state=1)
    ratio = (q.logpdf(draws) - stats.norm.logpdf(draws)).sum(axis=1)
    found = float(gaussian_kl(tensor(mean), tensor(log_var))[0])
    assert found == pytest.approx(ratio.mean(), abs=5 * ratio.std() / np.sqrt(len(ratio)))


def test_sums_over_every_axis_but_the_first():
    mean, log_var = MEAN.reshape(5, 3, 1).repeat(2, axis=2), LOG_VAR.reshape(5, 3, 1).repeat(2, axis=2)
    found = ops.convert_to_numpy(gaussian_kl(tensor(mean), tensor(log_var)))
    np.testing.assert_allclose(found, 2 * kl_by_loop(MEAN, LOG_VAR), rtol=1e-5)


def test_is_zero_and_flat_at_the_prior(gradient):
    assert float(gaussian_kl(tensor([[0.0, 0.0]]), tensor([[0.0, 0.0]]))[0]) == 0.0
    zeros = np.zeros((1, 2))
    np.testing.assert_array_equal(gradient(lambda mean: gaussian_kl(mean, tensor(zeros)), zeros), zeros)
    np.testing.assert_array_equal(gradient(lambda log_var: gaussian_kl(tensor(zeros), log_var), zeros), zeros)


@pytest.mark.parametrize("log_var", [1e-3, -1e-3, 1e-2])
def test_keeps_its_digits_close_to_the_prior(log_var):
    # (e^v - 1 - v)/2 = v^2/4 + v^3/12 + v^4/48 + ...; e^v - 1 computed as a difference would keep no digit.
    expected = log_var**2 / 4 + log_var**3 / 12 + log_var**4 / 48
    found = float(gaussian_kl(tensor([[0.0]]), tensor([[log_var]]))[0])
    assert found == pytest.approx(expected, rel=1e-3)


@pytest.mark.parametrize("log_var", [-50.0, 50.0])
def test_extreme_variances_stay_finite(gradient, log_var):
    found = float(gaussian_kl(tensor([[0.0]]), tensor([[log_var]]))[0])
    assert found == pytest.approx((np.exp(log_var) - 1 - log_var) / 2, rel=1e-5)
    slope = gradient(lambda value: gaussian_kl(tensor([[0.0]]), value), np.array([[log_var]]))
    assert slope[0, 0] == pytest.approx((np.exp(log_var) - 1) / 2, rel=1e-5)


def test_gradients_by_closed_form(gradient):
    by_mean = gradient(lambda mean: gaussian_kl(mean, tensor(LOG_VAR)), MEAN)
    by_log_var = gradient(lambda log_var: gaussian_kl(tensor(MEAN), log_var), LOG_VAR)
    np.testing.assert_allclose(by_mean, MEAN, rtol=1e-5)
    np.testing.assert_allclose(by_log_var, (np.exp(LOG_VAR) - 1) / 2, rtol=1e-4, atol=1e-6)


def test_equals_tensorflow_probability():
    if keras.backend.backend() != "tensorflow":
        pytest.skip("TensorFlow Probability needs TensorFlow")
    tfp = pytest.importorskip("tensorflow_probability").distributions
    q = tfp.MultivariateNormalDiag(MEAN, np.exp(LOG_VAR / 2))
    p = tfp.MultivariateNormalDiag(np.full((5, 3), 0.5, "float32"), np.full((5, 3), 2.0, "float32"))
    found = gaussian_kl(tensor(MEAN), tensor(LOG_VAR), 0.5, 2 * np.log(2.0))
    np.testing.assert_allclose(found, tfp.kl_divergence(q, p), rtol=1e-5)
