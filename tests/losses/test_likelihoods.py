"""Log-likelihoods, against SciPy and closed forms."""

from __future__ import annotations

import numpy as np
import pytest
from keras import ops
from scipy import special, stats

from kplug.losses.likelihoods import bernoulli_log_likelihood, gaussian_log_likelihood, sum_per_sample

RNG = np.random.default_rng(0)


def tensor(x):
    return ops.convert_to_tensor(np.asarray(x, "float32"))


@pytest.mark.parametrize("shape", [(4,), (4, 3), (4, 2, 3), (4, 2, 3, 1)], ids=str)
def test_bernoulli_on_binary_data(shape):
    x, logits = RNG.integers(0, 2, shape), RNG.normal(scale=3, size=shape)
    expected = stats.bernoulli.logpmf(x, special.expit(logits)).reshape(4, -1).sum(axis=1)
    found = ops.convert_to_numpy(bernoulli_log_likelihood(tensor(x), tensor(logits)))
    assert found.shape == (4,)
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)


def test_bernoulli_on_grey_values_is_the_expected_log_likelihood():
    x, logits = RNG.uniform(size=(4, 3)), RNG.normal(size=(4, 3))
    p = special.expit(logits)
    expected = (x * stats.bernoulli.logpmf(1, p) + (1 - x) * stats.bernoulli.logpmf(0, p)).sum(axis=1)
    found = ops.convert_to_numpy(bernoulli_log_likelihood(tensor(x), tensor(logits)))
    np.testing.assert_allclose(found, expected, rtol=1e-5)


@pytest.mark.parametrize(
    ("x", "logit", "expected"),
    [(1.0, 1e4, 0.0), (0.0, -1e4, 0.0), (1.0, -1e4, -1e4), (0.0, 1e4, -1e4), (1.0, 0.0, -np.log(2))],
)
def test_bernoulli_at_extreme_logits(gradient, x, logit, expected):
    found = float(bernoulli_log_likelihood(tensor([[x]]), tensor([[logit]]))[0])
    assert found == pytest.approx(expected, rel=1e-6, abs=1e-6)
    slope = gradient(lambda z: bernoulli_log_likelihood(tensor([[x]]), z), np.array([[logit]]))
    assert slope[0, 0] == pytest.approx(x - special.expit(logit), abs=1e-6)


@pytest.mark.parametrize("shape", [(4,), (4, 3), (4, 2, 3, 1)], ids=str)
@pytest.mark.parametrize("scale", [0.1, 1.0, 20.0])
def test_gaussian_with_its_constants(shape, scale):
    x, mean = RNG.normal(size=shape), RNG.normal(size=shape)
    expected = stats.norm.logpdf(x, mean, scale).reshape(4, -1).sum(axis=1)
    found = ops.convert_to_numpy(gaussian_log_likelihood(tensor(x), tensor(mean), scale))
    assert found.shape == (4,)
    np.testing.assert_allclose(found, expected, rtol=1e-4)


def test_gaussian_by_default_has_unit_scale():
    found = float(gaussian_log_likelihood(tensor([[2.0]]), tensor([[0.0]]))[0])
    assert found == pytest.approx(-2.0 - 0.5 * np.log(2 * np.pi), rel=1e-6)


def test_gaussian_density_integrates_to_one():
    x = np.linspace(-12, 12, 4001)[:, np.newaxis]
    density = np.exp(ops.convert_to_numpy(gaussian_log_likelihood(tensor(x), tensor(np.full_like(x, 0.3)), 0.7)))
    assert np.trapezoid(density, x[:, 0]) == pytest.approx(1.0, abs=1e-4)


def test_bernoulli_probabilities_sum_to_one():
    logits = tensor([[0.3, -2.0, 1.1]] * 8)
    outcomes = tensor([[a, b, c] for a in (0, 1) for b in (0, 1) for c in (0, 1)])
    found = ops.convert_to_numpy(bernoulli_log_likelihood(outcomes, logits))
    assert np.exp(found).sum() == pytest.approx(1.0, rel=1e-5)


def test_sum_per_sample():
    np.testing.assert_array_equal(ops.convert_to_numpy(sum_per_sample(tensor(np.ones((2, 3, 4))))), [12.0, 12.0])
    np.testing.assert_array_equal(ops.convert_to_numpy(sum_per_sample(tensor([1.0, 2.0]))), [1.0, 2.0])
