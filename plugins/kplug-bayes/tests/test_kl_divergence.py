"""The KL terms that layers add, against the formulas in float64 and TensorFlow Probability."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest
from keras import ops

import kplug_bayes

RNG = np.random.default_rng(1)
INPUTS = RNG.normal(size=(4, 5)).astype("float32")
IMAGES = RNG.normal(size=(2, 5, 5, 3)).astype("float32")


def float64(tensor: Any) -> np.ndarray:
    return np.asarray(ops.convert_to_numpy(tensor), "float64")


def scale_of(posterior: Any) -> np.ndarray:
    return np.asarray(np.logaddexp(0, float64(posterior.untransformed_scale)) + 2.0**-23)


def normal_kl(posterior: Any, prior_scale: float) -> float:
    loc, scale = float64(posterior.loc), scale_of(posterior)
    total = 0.0
    for mean, deviation in zip(loc.ravel(), scale.ravel(), strict=True):
        ratio = (deviation / prior_scale) ** 2
        total += (ratio - 1 - np.log(ratio) + (mean / prior_scale) ** 2) / 2
    return total


@pytest.mark.parametrize("prior_scale", [0.3, 1.0, 4.0])
@pytest.mark.parametrize("name", ["DenseReparameterization", "DenseFlipout", "DenseLocalReparameterization"])
def test_dense_layers(name: str, prior_scale: float) -> None:
    layer = getattr(kplug_bayes, name)(7, prior_scale=prior_scale, kl_weight=0.25, seed=0)
    layer(INPUTS)
    assert float(layer.losses[0]) == pytest.approx(0.25 * normal_kl(layer.kernel_posterior, prior_scale), rel=1e-5)


@pytest.mark.parametrize("name", ["Conv2DReparameterization", "Conv2DFlipout"])
def test_a_random_bias_adds_its_own(name: str) -> None:
    layer = getattr(kplug_bayes, name)(6, 3, random_bias=True, prior_scale=0.5, seed=0)
    layer(IMAGES)
    expected = normal_kl(layer.kernel_posterior, 0.5) + normal_kl(layer.bias_posterior, 0.5)
    assert float(layer.losses[0]) == pytest.approx(expected, rel=1e-5)


def test_a_posterior_that_is_the_prior_costs_nothing() -> None:
    layer = kplug_bayes.DenseReparameterization(500, seed=0)
    layer(INPUTS)
    layer.kernel_posterior.loc.assign(np.zeros((5, 500)))
    layer.kernel_posterior.untransformed_scale.assign(np.full((5, 500), np.log(np.e - 1)))
    layer(INPUTS)
    assert float(layer.losses[0]) == pytest.approx(0, abs=1e-3)


@pytest.mark.parametrize("untransformed", [-200.0, -30.0, 50.0])
def test_extreme_deviations_stay_finite(untransformed: float) -> None:
    layer = kplug_bayes.DenseReparameterization(2, initial_untransformed_scale=untransformed, seed=0)
    outputs = layer(INPUTS)
    assert np.isfinite(float64(outputs)).all()
    assert float(layer.losses[0]) == pytest.approx(normal_kl(layer.kernel_posterior, 1.0), rel=1e-5)


def test_half_precision_does_not_reach_the_kl_divergence() -> None:
    layer = kplug_bayes.DenseFlipout(400, dtype="mixed_float16", prior_scale=0.01, seed=0)
    layer(INPUTS)
    assert keras.backend.standardize_dtype(layer.losses[0].dtype) == "float32"
    assert float(layer.losses[0]) == pytest.approx(normal_kl(layer.kernel_posterior, 0.01), rel=1e-5)


def with_random_parameters(layer: Any) -> Any:
    layer(INPUTS)
    for weight in layer.trainable_weights:
        weight.assign(RNG.normal(size=tuple(weight.shape)))
    layer(INPUTS)
    return layer


def covariance(posterior: Any) -> np.ndarray:
    untransformed = float64(posterior.untransformed_factor)
    factor = np.tril(untransformed, -1) + np.diag(np.logaddexp(0, np.diag(untransformed)) + 2.0**-23)
    return np.asarray(factor @ factor.T)


@pytest.mark.parametrize("prior", ["normal", "trainable_normal"])
def test_a_full_covariance(prior: str) -> None:
    layer = with_random_parameters(
        kplug_bayes.DenseVariational(2, posterior="multivariate_normal", prior=prior, kl_weight=0.5, seed=0)
    )
    spread, loc = covariance(layer.posterior), float64(layer.posterior.loc)
    distance = loc - (float64(layer.prior.loc) if prior == "trainable_normal" else 0)
    expected = (np.trace(spread) + distance @ distance - len(loc) - np.linalg.slogdet(spread)[1]) / 2
    assert float(layer.losses[0]) == pytest.approx(0.5 * expected, rel=1e-5)


def test_the_divergences_of_tensorflow_probability() -> None:
    tfd = pytest.importorskip("tensorflow_probability.substrates.numpy").distributions
    layer = with_random_parameters(kplug_bayes.DenseVariational(3, prior="trainable_normal", seed=0))
    posterior = tfd.Normal(float64(layer.posterior.loc), scale_of(layer.posterior))
    expected = tfd.kl_divergence(posterior, tfd.Normal(float64(layer.prior.loc), np.float64(1))).sum()
    assert float(layer.losses[0]) == pytest.approx(expected, rel=1e-5)
    plain = kplug_bayes.DenseFlipout(3, prior_scale=0.7, seed=0)
    plain(INPUTS)
    posterior = tfd.Normal(float64(plain.kernel_posterior.loc), scale_of(plain.kernel_posterior))
    expected = tfd.kl_divergence(posterior, tfd.Normal(np.float64(0), np.float64(0.7))).sum()
    assert float(plain.losses[0]) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("posterior", ["mean_field_normal", "multivariate_normal"])
def test_without_a_closed_form_the_draw_decides(posterior: str) -> None:
    prior = kplug_bayes.NormalMixturePrior(0.25, 1.5, 0.1)
    layer = with_random_parameters(kplug_bayes.DenseVariational(2, posterior=posterior, prior=prior, seed=0))
    estimate = float(layer.losses[0])
    layer.seed_generator.state.assign([0, 0])
    layer(INPUTS)
    layer.seed_generator.state.assign([0, 0])
    draw = float64(layer.posterior.sample(layer.seed_generator))
    loc = float64(layer.posterior.loc)
    spread = (
        np.diag(scale_of(layer.posterior) ** 2) if posterior == "mean_field_normal" else covariance(layer.posterior)
    )
    distance = draw - loc
    log_q = -(distance @ np.linalg.solve(spread, distance) + np.linalg.slogdet(2 * np.pi * spread)[1]) / 2
    log_p = sum(np.log(0.25 * density(weight, 1.5) + 0.75 * density(weight, 0.1)) for weight in draw)
    assert float(layer.losses[0]) == pytest.approx(log_q - log_p, rel=1e-4)
    assert estimate != pytest.approx(log_q - log_p, rel=1e-4)


def density(x: float, scale: float) -> float:
    return float(np.exp(-((x / scale) ** 2) / 2) / (scale * np.sqrt(2 * np.pi)))
