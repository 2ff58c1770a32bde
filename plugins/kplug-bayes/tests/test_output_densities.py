"""Densities, moments and draws of output layers, against SciPy and the distributions of the backends."""

from __future__ import annotations

import sys
from typing import Any

import keras
import numpy as np
import pytest
from keras import ops
from scipy import special, stats

import kplug_bayes

RNG = np.random.default_rng(6)


def float64(tensor: Any) -> np.ndarray:
    return np.asarray(ops.convert_to_numpy(tensor), "float64")


def softplus(x: Any) -> np.ndarray:
    return np.asarray(np.logaddexp(0, np.asarray(x, "float64")))


def triangle(row: np.ndarray, n: int) -> np.ndarray:
    """Fill a lower triangle as `tfp.math.fill_triangular` documents it: clockwise, from the last row."""
    numbers = np.concatenate([row[n:], row[::-1]]).reshape(n, n)
    return np.tril(numbers, -1) + np.diag(softplus(np.diag(numbers)) + 1e-5)


NORMAL = RNG.normal(size=(6, 8)).astype("float32")
VALUES = RNG.normal(size=(6, 4)).astype("float32")
MIXTURE = RNG.normal(size=(6, 3 + 3 * 8)).astype("float32")
TRIL = RNG.normal(size=(6, 4 + 10)).astype("float32")


def mixture_density(parameters: np.ndarray, value: np.ndarray) -> np.ndarray:
    weights = special.log_softmax(parameters[:, :3].astype("float64"), axis=1)
    each = parameters[:, 3:].reshape(-1, 3, 8).astype("float64")
    densities = stats.norm.logpdf(value[:, None], each[..., :4], softplus(each[..., 4:])).sum(axis=-1)
    return np.asarray(special.logsumexp(weights + densities, axis=1))


def expected_log_prob(name: str) -> tuple[Any, np.ndarray, np.ndarray, np.ndarray]:
    """Return a layer, its parameters, values, and their log densities in float64."""
    if name == "IndependentNormal":
        exact = stats.norm.logpdf(VALUES, NORMAL[:, :4], softplus(NORMAL[:, 4:])).sum(axis=1)
        return kplug_bayes.IndependentNormal(4), NORMAL, VALUES, exact
    if name == "IndependentBernoulli":
        bits = (VALUES > 0).astype("float32")
        exact = stats.bernoulli.logpmf(bits, special.expit(NORMAL[:, :4].astype("float64"))).sum(axis=1)
        return kplug_bayes.IndependentBernoulli(4), NORMAL[:, :4], bits, exact
    if name == "OneHotCategorical":
        one_hot = np.eye(8, dtype="float32")[[0, 7, 3, 2, 2, 1]]
        exact = (one_hot * special.log_softmax(NORMAL.astype("float64"), axis=1)).sum(axis=1)
        return kplug_bayes.OneHotCategorical(8), NORMAL, one_hot, exact
    if name == "MixtureNormal":
        return kplug_bayes.MixtureNormal(3, 4), MIXTURE, VALUES, mixture_density(MIXTURE, VALUES)
    factors = [triangle(row[4:].astype("float64"), 4) for row in TRIL]
    exact = np.array(
        [
            stats.multivariate_normal.logpdf(value, row[:4], factor @ factor.T)
            for value, row, factor in zip(VALUES, TRIL, factors, strict=True)
        ]
    )
    return kplug_bayes.MultivariateNormalTriL(4), TRIL, VALUES, exact


NAMES = ["IndependentNormal", "IndependentBernoulli", "OneHotCategorical", "MixtureNormal", "MultivariateNormalTriL"]


@pytest.mark.parametrize("name", NAMES)
def test_log_densities_are_those_of_scipy(name: str) -> None:
    layer, parameters, value, exact = expected_log_prob(name)
    np.testing.assert_allclose(float64(layer.log_prob(parameters, value)), exact, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("name", NAMES)
def test_the_distribution_of_the_backend_agrees(name: str) -> None:
    layer, parameters, value, _ = expected_log_prob(name)
    distribution = layer.distribution(parameters)
    theirs = distribution.log_prob(ops.convert_to_tensor(value))
    np.testing.assert_allclose(float64(layer.log_prob(parameters, value)), float64(theirs), rtol=1e-5, atol=1e-5)
    for moment in ("mean", "variance"):
        found = getattr(distribution, moment)
        their = found() if callable(found) else found
        np.testing.assert_allclose(float64(getattr(layer, moment)(parameters)), float64(their), rtol=1e-5, atol=1e-6)


@pytest.mark.slow
@pytest.mark.skipif(
    keras.backend.backend() != "tensorflow", reason="compares with the layers of TensorFlow Probability"
)
@pytest.mark.parametrize("name", NAMES)
def test_parameters_mean_what_they_do_in_tfp_layers(name: str) -> None:
    tfpl = pytest.importorskip("tensorflow_probability").layers
    layer, parameters, value, _ = expected_log_prob(name)
    parameters = ops.convert_to_tensor(parameters)
    new = {
        "IndependentNormal": lambda: tfpl.IndependentNormal.new(parameters, [4]),
        "IndependentBernoulli": lambda: tfpl.IndependentBernoulli.new(parameters, [4]),
        "OneHotCategorical": lambda: tfpl.OneHotCategorical.new(parameters, 8),
        "MixtureNormal": lambda: tfpl.MixtureNormal.new(parameters, 3, [4]),
        "MultivariateNormalTriL": lambda: tfpl.MultivariateNormalTriL.new(parameters, 4),
    }
    theirs = new[name]().log_prob(value)
    np.testing.assert_allclose(float64(layer.log_prob(parameters, value)), float64(theirs), rtol=1e-5, atol=1e-5)
    size = {"OneHotCategorical": (8,), "MixtureNormal": (3, [4])}.get(name, (4,))
    assert int(getattr(tfpl, name).params_size(*size)) == parameters.shape[1]


@pytest.mark.parametrize("untransformed", [-40.0, -25.0, -10.0, 50.0, 1e6])
@pytest.mark.parametrize("distance", [0.0, 0.5, 3.0])
def test_extreme_scales_are_exact(untransformed: float, distance: float) -> None:
    scale = float(softplus(untransformed)) + 1e-15
    value = np.array([[np.float32(distance * scale)]])
    parameters = np.array([[0.0, untransformed]], "float32")
    exact = stats.norm.logpdf(float(value[0, 0]), 0.0, scale)
    normal = kplug_bayes.IndependentNormal(1)
    assert float64(normal.log_prob(parameters, value))[0] == pytest.approx(exact, rel=1e-5)
    mixture = kplug_bayes.MixtureNormal(2, 1)
    twice = np.array([[0.0, 0.0, 0.0, untransformed, 0.0, untransformed]], "float32")
    assert float64(mixture.log_prob(twice, value))[0] == pytest.approx(exact, rel=1e-5)


@pytest.mark.parametrize("untransformed", [-200.0, -90.0, 1e30])
def test_what_is_beyond_float32_stays_finite_with_finite_slopes(untransformed: float) -> None:
    from kplug.testing import gradient

    layer = kplug_bayes.IndependentNormal(1)
    parameters = np.array([[0.0, untransformed]], "float32")
    value = np.array([[1.0]], "float32")
    assert np.isfinite(float64(layer.log_prob(parameters, value))).all()
    assert np.isfinite(gradient(lambda given: ops.sum(layer.log_prob(given, value)), parameters)).all()


@pytest.mark.parametrize(("logit", "bit", "exact"), [(90.0, 1.0, -np.exp(-90.0)), (1e4, 0.0, -1e4), (-1e4, 0.0, 0.0)])
def test_certain_logits(logit: float, bit: float, exact: float) -> None:
    found = kplug_bayes.IndependentBernoulli(1).log_prob(np.array([[logit]], "float32"), np.array([[bit]], "float32"))
    assert float64(found)[0] == pytest.approx(exact, rel=1e-5, abs=1e-37)


def test_a_class_that_is_ruled_out_costs_only_where_it_is_meant() -> None:
    layer = kplug_bayes.OneHotCategorical(3)
    logits = np.array([[0.0, 0.0, -np.inf]] * 2, "float32")
    np.testing.assert_allclose(float64(layer.log_prob(logits, np.array([0, 2]))), [-np.log(2), -np.inf])


def test_scales_far_apart_in_a_covariance() -> None:
    layer = kplug_bayes.MultivariateNormalTriL(2)
    row = np.array([[1.0, -2.0, 1e3, 0.5, -8.0]], "float32")
    factor = triangle(row[0, 2:].astype("float64"), 2)
    value = np.array([[1.0 + factor[0, 0], -2.0 + 400.0]], "float32")
    epsilon = np.linalg.solve(factor, value[0] - row[0, :2])
    exact = -0.5 * epsilon @ epsilon - np.log(np.diag(factor)).sum() - np.log(2 * np.pi)
    assert float64(layer.log_prob(row, value))[0] == pytest.approx(exact, rel=1e-4)
    np.testing.assert_allclose(float64(layer.covariance(row))[0], factor @ factor.T, rtol=1e-5)


def test_moments_of_a_mixture() -> None:
    layer = kplug_bayes.MixtureNormal(3, 4)
    weights = special.softmax(MIXTURE[:, :3].astype("float64"), axis=1)[..., None]
    each = MIXTURE[:, 3:].reshape(-1, 3, 8).astype("float64")
    mean = (weights * each[..., :4]).sum(axis=1)
    second = (weights * (each[..., :4] ** 2 + softplus(each[..., 4:]) ** 2)).sum(axis=1)
    np.testing.assert_allclose(float64(layer.mean(MIXTURE)), mean, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(float64(layer.variance(MIXTURE)), second - mean**2, rtol=1e-5)


@pytest.mark.parametrize("name", NAMES)
def test_draws_have_the_moments(name: str) -> None:
    layer, parameters, _, _ = expected_log_prob(name)
    layer = type(layer).from_config({**layer.get_config(), "seed": 4})
    count = 4000
    many = np.repeat(parameters[:2], count, axis=0)
    draws = float64(layer.sample(many)).reshape(2, count, -1)
    mean, variance = (float64(part(parameters[:2])) for part in (layer.mean, layer.variance))
    np.testing.assert_allclose((draws.mean(axis=1) - mean) / np.sqrt(variance), 0, atol=5 / np.sqrt(count))
    spread = draws.var(axis=1) / variance
    # Rare classes have few draws: the error of their variance is that of a count.
    kurtosis = stats.kurtosis(draws, axis=1, fisher=False)
    assert (np.abs(spread - 1) < 5 * np.sqrt((kurtosis + 1) / count)).all()
    if name == "MultivariateNormalTriL":
        covariance = float64(layer.covariance(parameters[:1]))[0]
        error = 8 * np.sqrt(np.outer(variance[0], variance[0]) / count)
        assert (np.abs(np.cov(draws[0].T) - covariance) < error).all()


def test_modes() -> None:
    np.testing.assert_array_equal(float64(kplug_bayes.OneHotCategorical(3).mode([[0.0, 2.0, 1.0]])), [[0, 1, 0]])
    np.testing.assert_array_equal(float64(kplug_bayes.IndependentBernoulli(2).mode([[-1.0, 2.0]])), [[0, 1]])
    np.testing.assert_array_equal(float64(kplug_bayes.IndependentNormal(1).mode([[3.0, 2.0]])), [[3]])


def test_certain_logits_cost_nothing_where_they_are_right() -> None:
    logits, value = np.array([[np.inf], [-np.inf], [np.inf]], "float32"), np.array([[1], [0], [0]], "float32")
    found = float64(kplug_bayes.IndependentBernoulli(1).log_prob(logits, value))
    np.testing.assert_array_equal(found, [0, 0, -np.inf])


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="hides what this backend does not need")
def test_without_tensorflow_probability_it_says_what_works(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tensorflow_probability", None)
    with pytest.raises(ImportError, match="`log_prob`, `mean`, `variance`"):
        kplug_bayes.IndependentNormal(1).distribution(np.zeros((1, 2), "float32"))
