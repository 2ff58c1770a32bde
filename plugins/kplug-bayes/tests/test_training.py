"""Training with the KL divergence in the loss, against posteriors that are known."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest
from keras import ops

import kplug_bayes

RNG = np.random.default_rng(3)
COUNT, NOISE = 32, 0.5
X = RNG.multivariate_normal([0, 0], [[1, 0.6], [0.6, 1]], size=COUNT)
Y = X @ [0.8, -1.2] + NOISE * RNG.normal(size=COUNT)
PRECISION = np.eye(2) + X.T @ X / NOISE**2
"""Of the posterior of the weights of a linear regression with a standard normal prior and noise of known deviation."""
MEAN = np.linalg.solve(PRECISION, X.T @ Y / NOISE**2)


def numbers(tensor: Any) -> np.ndarray:
    return np.asarray(ops.convert_to_numpy(tensor), "float64")


def negative_log_likelihood(y_true: Any, y_pred: Any) -> Any:
    return ops.square(y_true - y_pred) / (2 * NOISE**2)


def test_weights_that_go_together_train_beside_a_prior_without_a_closed_form() -> None:
    random = np.random.default_rng(0)
    x = random.normal(size=(400, 4)).astype("float32")
    y = (x @ [1.0, -2.0, 0.5, 0.0] + 0.1 * random.normal(size=400)).astype("float32")[:, None]
    options = {"posterior": "multivariate_normal", "prior": "normal_mixture", "kl_weight": 1 / 400}
    layers = [kplug_bayes.DenseVariational(16, activation="relu", seed=0, **options)]  # type: ignore[arg-type]
    layers += [kplug_bayes.DenseVariational(1, seed=1, **options)]  # type: ignore[arg-type]
    model = keras.Sequential([keras.Input((4,)), *layers])
    model.compile(keras.optimizers.Adam(0.01), "mse")
    losses = model.fit(x, y, epochs=12, verbose=0).history["loss"]
    assert np.isfinite(losses).all()
    assert min(losses) < 0.8 * losses[0]


def trained(layer: Any, steps: int = 1500) -> Any:
    model = keras.Sequential([layer])
    rate = keras.optimizers.schedules.CosineDecay(0.05, steps, alpha=0.01)
    model.compile(keras.optimizers.Adam(rate), negative_log_likelihood)
    # Each batch is the whole data: the draws are all the noise there is.
    model.fit(np.tile(X, (steps, 1)), np.tile(Y, steps)[:, None], batch_size=COUNT, shuffle=False, verbose=0)
    return layer


@pytest.mark.parametrize("name", ["DenseReparameterization", "DenseFlipout", "DenseLocalReparameterization"])
def test_mean_field_layers_find_the_best_mean_field_posterior(name: str) -> None:
    layer = trained(getattr(kplug_bayes, name)(1, use_bias=False, kl_weight=1 / COUNT, seed=0))
    posterior = layer.kernel_posterior
    # The normal distribution of independent entries next to a normal one: its mean, and the diagonal of its precision
    # (Bishop 2006, Pattern Recognition and Machine Learning, equation 10.15).
    np.testing.assert_allclose(numbers(posterior.loc)[:, 0], MEAN, atol=0.03)
    scale = np.logaddexp(0, numbers(posterior.untransformed_scale))[:, 0]
    np.testing.assert_allclose(scale, 1 / np.sqrt(np.diag(PRECISION)), rtol=0.1)


def test_a_full_covariance_finds_the_posterior() -> None:
    layer = trained(
        kplug_bayes.DenseVariational(1, posterior="multivariate_normal", use_bias=False, kl_weight=1 / COUNT, seed=0)
    )
    np.testing.assert_allclose(numbers(layer.posterior.loc), MEAN, atol=0.03)
    untransformed = numbers(layer.posterior.untransformed_factor)
    factor = np.tril(untransformed, -1) + np.diag(np.logaddexp(0, np.diag(untransformed)))
    covariance = np.linalg.inv(PRECISION)
    np.testing.assert_allclose(factor @ factor.T, covariance, atol=0.15 * covariance.max())


def test_a_prior_that_is_trained_moves_to_the_posterior() -> None:
    layer = trained(
        kplug_bayes.DenseVariational(1, prior="trainable_normal", use_bias=False, kl_weight=1 / COUNT, seed=0)
    )
    # The prior's mean is where the posterior's is, and the KL term no longer pulls that away from the least squares.
    np.testing.assert_allclose(numbers(layer.prior.loc), numbers(layer.posterior.loc), atol=0.02)
    np.testing.assert_allclose(numbers(layer.posterior.loc), np.linalg.lstsq(X, Y, rcond=None)[0], atol=0.04)


@pytest.mark.parametrize("method", ["Reparameterization", "Flipout"])
def test_a_small_convolutional_classifier_learns(method: str) -> None:
    x = RNG.normal(0, 0.3, size=(256, 6, 6, 1)).astype("float32")
    y = np.arange(256) % 2
    x[y == 1, 1:5, 2] += 1.0
    x[y == 0, 2, 1:5] += 1.0
    convolution, dense = (getattr(kplug_bayes, f"{kind}{method}") for kind in ("Conv2D", "Dense"))
    model = keras.Sequential(
        [
            convolution(4, 3, activation="relu", kl_weight=1 / 256, seed=0),
            keras.layers.Flatten(),
            dense(2, kl_weight=1 / 256, seed=1),
        ]
    )
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(0.01), loss, metrics=["accuracy"])
    history = model.fit(x, y, epochs=15, batch_size=64, verbose=0).history
    assert history["loss"][-1] < history["loss"][0]
    assert model.evaluate(x, y, verbose=0, return_dict=True)["accuracy"] > 0.95


def test_steps_see_the_weight_of_the_kl_divergence_change() -> None:
    layer = kplug_bayes.DenseReparameterization(2, deterministic=True, kl_weight=0.0, seed=0)
    model = keras.Sequential([layer])
    model.compile(keras.optimizers.SGD(0.0), "mse")
    weights = [0.0, 0.5, 1.0]
    annealing = keras.callbacks.LambdaCallback(
        on_epoch_begin=lambda epoch, logs: setattr(layer, "kl_weight", weights[epoch])
    )
    x, y = np.ones((8, 3), "float32"), np.zeros((8, 2), "float32")
    losses = model.fit(x, y, epochs=3, batch_size=4, callbacks=[annealing], verbose=0).history["loss"]
    loc, scale = (numbers(one) for one in layer.kernel_posterior.loc_and_scale())
    divergence = np.sum(scale**2 + loc**2 - 1 - 2 * np.log(scale)) / 2
    np.testing.assert_allclose(np.array(losses) - losses[0], np.array(weights) * divergence, rtol=1e-4, atol=1e-6)
    assert layer.kl_weight == 1.0
    assert layer.get_config()["kl_weight"] == 1.0


def test_the_weight_of_the_kl_divergence_may_be_set_before_the_layer_is_built() -> None:
    layer = kplug_bayes.DenseReparameterization(2)
    layer.kl_weight = 0.125
    layer.build((None, 3))
    assert layer.kl_weight == 0.125
    with pytest.raises(ValueError, match="kl_weight=-1"):
        layer.kl_weight = -1.0


def test_frozen_layers_still_add_what_their_weights_cost() -> None:
    layer = kplug_bayes.DenseFlipout(2, seed=0)
    layer(np.ones((2, 3), "float32"))
    cost = float(layer.losses[0])
    layer.trainable = False
    layer(np.ones((2, 3), "float32"))
    assert layer.trainable_weights == []
    assert float(layer.losses[0]) == pytest.approx(cost)
