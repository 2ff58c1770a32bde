"""What layers draw: means, variances and correlations against the closed forms."""

from __future__ import annotations

import itertools
from typing import Any

import keras
import numpy as np
import pytest
from keras import ops

import kplug_bayes

RNG = np.random.default_rng(2)
DRAWS = 1500
DENSE = ["DenseReparameterization", "DenseFlipout", "DenseLocalReparameterization"]
ONE_KERNEL = {"DenseReparameterization"}


def numbers(tensor: Any) -> np.ndarray:
    return np.asarray(ops.convert_to_numpy(tensor), "float64")


def draws_of(layer: Any, batch: np.ndarray) -> np.ndarray:
    """Return many outputs of one batch: an array of shape `(draws, *outputs)`."""
    model = keras.Sequential([layer])
    model.compile()
    repeated = np.concatenate([batch.astype("float32")] * DRAWS)
    outputs = model.predict(repeated, batch_size=len(batch), verbose=0)
    return np.asarray(outputs, "float64").reshape(DRAWS, len(batch), *outputs.shape[1:])


def kernel_of(layer: Any) -> tuple[np.ndarray, np.ndarray]:
    posterior = layer.kernel_posterior
    return numbers(posterior.loc), np.logaddexp(0, numbers(posterior.untransformed_scale))


def assert_moments(draws: np.ndarray, mean: np.ndarray, variance: np.ndarray) -> None:
    deviation = np.sqrt(variance)
    np.testing.assert_allclose((draws.mean(axis=0) - mean) / deviation, 0, atol=5 / np.sqrt(DRAWS))
    np.testing.assert_allclose(draws.var(axis=0) / variance, 1, atol=5 * np.sqrt(2 / DRAWS))


def correlation(first: np.ndarray, second: np.ndarray) -> float:
    return float(np.corrcoef(first, second)[0, 1])


@pytest.mark.parametrize("name", DENSE)
def test_the_outputs_of_dense_layers(name: str) -> None:
    batch = RNG.normal(size=(3, 4))
    layer = getattr(kplug_bayes, name)(2, initial_untransformed_scale=-1.0, seed=3)
    draws = draws_of(layer, batch)
    loc, scale = kernel_of(layer)
    variance = batch**2 @ scale**2
    assert_moments(draws, batch @ loc + numbers(layer.bias), variance)
    for unit, (first, second) in itertools.product(range(2), itertools.combinations(range(3), 2)):
        shared = (batch[first] * batch[second]) @ scale[:, unit] ** 2
        expected = shared / np.sqrt(variance[first, unit] * variance[second, unit]) if name in ONE_KERNEL else 0
        found = correlation(draws[:, first, unit], draws[:, second, unit])
        assert found == pytest.approx(expected, abs=5 / np.sqrt(DRAWS)), (first, second)
    for sample in range(3):
        assert abs(correlation(draws[:, sample, 0], draws[:, sample, 1])) < 5 / np.sqrt(DRAWS)


@pytest.mark.parametrize("name", DENSE)
def test_a_random_bias(name: str) -> None:
    layer = getattr(kplug_bayes, name)(2, random_bias=True, initial_untransformed_scale=-1.0, seed=3)
    draws = draws_of(layer, np.zeros((2, 4)))
    posterior = layer.bias_posterior
    variance = np.logaddexp(0, numbers(posterior.untransformed_scale)) ** 2
    assert_moments(draws, np.stack([numbers(posterior.loc)] * 2), np.stack([variance] * 2))
    expected = 1 if name in ONE_KERNEL else 0
    assert correlation(draws[:, 0, 1], draws[:, 1, 1]) == pytest.approx(expected, abs=5 / np.sqrt(DRAWS))


def test_reparameterization_has_one_kernel_for_the_batch() -> None:
    layer = kplug_bayes.DenseReparameterization(3, use_bias=False, initial_untransformed_scale=0.0, seed=1)
    first, second, both = numbers(layer(np.array([[1.0, 2, 0], [0, 1, -1], [1, 3, -1]], "float32")))
    np.testing.assert_allclose(first + second, both, rtol=1e-5)


def test_flipout_has_one_kernel_for_all_positions_of_a_sample() -> None:
    layer = kplug_bayes.DenseFlipout(3, use_bias=False, initial_untransformed_scale=0.0, seed=1)
    positions = np.array([[1.0, 2, 0], [0, 1, -1], [1, 3, -1]], "float32")
    outputs = numbers(layer(np.stack([positions] * 16)))
    np.testing.assert_allclose(outputs[:, 0] + outputs[:, 1], outputs[:, 2], rtol=1e-4, atol=1e-5)
    assert len(np.unique(outputs[:, 0, 0].round(4))) > 2


def test_local_reparameterization_draws_every_position_for_itself() -> None:
    layer = kplug_bayes.DenseLocalReparameterization(1, use_bias=False, initial_untransformed_scale=0.0, seed=1)
    draws = draws_of(layer, np.ones((1, 2, 3)))
    assert abs(correlation(draws[:, 0, 0, 0], draws[:, 0, 1, 0])) < 5 / np.sqrt(DRAWS)


def test_local_reparameterization_has_finite_slopes_where_inputs_are_zero() -> None:
    from kplug.testing import gradient

    layer = kplug_bayes.DenseLocalReparameterization(2, seed=1)
    assert np.isfinite(gradient(layer, np.zeros((3, 4), "float32"))).all()


def convolved(batch: np.ndarray, kernel: np.ndarray) -> np.ndarray:
    """Convolve by loops, without filling up."""
    *size, _, filters = kernel.shape
    sides = [side - length + 1 for side, length in zip(batch.shape[1:-1], size, strict=True)]
    outputs = np.zeros((len(batch), *sides, filters))
    for place in itertools.product(*map(range, sides)):
        window = tuple(slice(start, start + length) for start, length in zip(place, size, strict=True))
        for sample, channel in itertools.product(range(len(batch)), range(filters)):
            outputs[(sample, *place, channel)] = np.sum(batch[sample][window] * kernel[..., channel])
    return outputs


@pytest.mark.parametrize("method", ["Reparameterization", "Flipout"])
@pytest.mark.parametrize("rank", [1, 2, 3])
def test_the_outputs_of_convolutions(rank: int, method: str) -> None:
    side = [3, 4, 3][:rank]
    batch = RNG.normal(size=(2, *side, 2))
    batch[1] = batch[0]
    layer = getattr(kplug_bayes, f"Conv{rank}D{method}")(2, 2, initial_untransformed_scale=-1.0, seed=3)
    draws = draws_of(layer, batch)
    loc, scale = kernel_of(layer)
    assert_moments(draws, convolved(batch, loc) + numbers(layer.bias), convolved(batch**2, scale**2))
    flat = draws.reshape(DRAWS, 2, -1)
    expected = 0 if method == "Flipout" else 1
    for place in range(flat.shape[-1]):
        assert correlation(flat[:, 0, place], flat[:, 1, place]) == pytest.approx(expected, abs=5 / np.sqrt(DRAWS))


def test_a_full_covariance_draws_with_it() -> None:
    layer = kplug_bayes.DenseVariational(1, posterior="multivariate_normal", use_bias=False, seed=3)
    layer.build((None, 2))
    layer.posterior.untransformed_factor.assign([[0.0, 9.0], [0.8, 1.0]])
    factor = np.array([[np.log(2), 0], [0.8, np.logaddexp(0, 1)]])
    draws = draws_of(layer, np.eye(2))[:, :, 0]
    error = 5 * np.sqrt(2 / DRAWS) * 2
    np.testing.assert_allclose(np.cov(draws.T), factor @ factor.T, atol=error)
    assert_moments(draws, numbers(layer.posterior.loc), np.diag(factor @ factor.T))


@pytest.mark.parametrize("name", [*DENSE, "DenseVariational"])
def test_without_draws_outputs_are_those_of_the_means(name: str) -> None:
    layer = getattr(kplug_bayes, name)(2, seed=3)
    batch = RNG.normal(size=(3, 4)).astype("float32")
    layer(batch)
    layer.deterministic = True
    if name == "DenseVariational":
        weights = numbers(layer.posterior.loc)
        kernel, bias = weights[:8].reshape(4, 2), weights[8:]
    else:
        kernel, bias = numbers(layer.kernel_posterior.loc), numbers(layer.bias)
    for training in (False, True):
        np.testing.assert_allclose(
            numbers(layer(batch, training=training)), batch @ kernel + bias, rtol=1e-4, atol=1e-5
        )


def test_a_compiled_model_takes_note_of_deterministic_when_it_is_compiled_next() -> None:
    layer = kplug_bayes.DenseFlipout(2, seed=3)
    model = keras.Sequential([layer])
    batch = np.ones((2, 4), "float32")
    model.compile()
    assert not np.allclose(model.predict(batch, verbose=0), model.predict(batch, verbose=0))
    layer.deterministic = True
    model.compile()
    np.testing.assert_array_equal(model.predict(batch, verbose=0), model.predict(batch, verbose=0))
