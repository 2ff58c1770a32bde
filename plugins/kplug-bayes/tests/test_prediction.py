"""Predictive distributions: against closed forms, in batches, and with the model left alone."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest
from keras import ops
from scipy import stats

import kplug_bayes
from kplug_bayes.prediction.predictive_distribution import of_classes, of_numbers

RNG = np.random.default_rng(8)
X = RNG.normal(size=(7, 3)).astype("float32")


def linear(deviation: float = 0.3) -> Any:
    """Return a linear model whose weights have one deviation, and noise of deviation softplus(0)."""
    layer = kplug_bayes.DenseLocalReparameterization(1, use_bias=False, seed=0)
    parameters = keras.layers.Lambda(lambda t: ops.concatenate([t, ops.zeros_like(t)], axis=-1))
    model = keras.Sequential([keras.Input((3,)), layer, parameters, kplug_bayes.IndependentNormal(1, seed=1)])
    layer.kernel_posterior.untransformed_scale.assign(np.full((3, 1), np.log(np.expm1(deviation))))
    return model


def test_the_variance_of_a_linear_model_is_told_apart() -> None:
    model = linear()
    prediction = kplug_bayes.predict_distribution(model, X, samples=1000, seed=1)
    loc = ops.convert_to_numpy(model.layers[0].kernel_posterior.loc)
    epistemic = 0.3 * np.linalg.norm(X, axis=1)
    np.testing.assert_allclose(prediction.epistemic_std[:, 0], epistemic, rtol=5 / np.sqrt(2000))
    np.testing.assert_allclose((prediction.mean - X @ loc)[:, 0] / epistemic, 0, atol=5 / np.sqrt(1000))
    np.testing.assert_allclose(prediction.aleatoric_std, np.log(2), rtol=1e-5)
    np.testing.assert_allclose(prediction.std, np.hypot(prediction.epistemic_std, prediction.aleatoric_std))
    total = np.hypot(epistemic, np.log(2))
    expected = stats.norm.ppf(0.95, (X @ loc)[:, 0], total)
    np.testing.assert_allclose((prediction.quantiles[2, :, 0] - expected) / total, 0, atol=0.35)
    low, high = prediction.interval
    assert (low < prediction.mean).all() and (prediction.mean < high).all()


def test_probabilities_of_draws_by_hand() -> None:
    draws = np.array([[[1.0, 0.0]], [[0.5, 0.5]]])
    found = of_classes(draws, binary=False, levels=(0.0, 1.0), keep=True)
    np.testing.assert_allclose(found.mean, [[0.75, 0.25]])
    np.testing.assert_allclose(found.std, [[0.25, 0.25]])
    predictive = -(0.75 * np.log(0.75) + 0.25 * np.log(0.25))
    np.testing.assert_allclose(found.predictive_entropy, [predictive])
    np.testing.assert_allclose(found.expected_entropy, [np.log(2) / 2])
    np.testing.assert_allclose(found.mutual_information, [predictive - np.log(2) / 2])
    np.testing.assert_allclose(found.quantiles, [[[0.5, 0.0]], [[1.0, 0.5]]])
    assert found.classes.tolist() == [0]


def test_classes_that_do_not_exclude_each_other_have_an_entropy_each() -> None:
    found = of_classes(np.array([[[1.0, 0.5]], [[0.0, 0.5]]]), binary=True, levels=(0.5,), keep=False)
    np.testing.assert_allclose(found.predictive_entropy, [[np.log(2), np.log(2)]])
    np.testing.assert_allclose(found.mutual_information, [[np.log(2), 0]], atol=1e-12)
    assert found.draws is None


def test_numbers_of_draws_by_hand() -> None:
    means, variances = np.array([[[1.0]], [[3.0]]]), np.array([[[0.5]], [[1.5]]])
    found = of_numbers(means, variances, means, levels=(0.5,), keep=True)
    assert (found.mean.item(), found.epistemic_std.item(), found.aleatoric_std.item()) == (2.0, 1.0, 1.0)
    assert found.std.item() == pytest.approx(np.sqrt(2))
    assert found.quantiles.item() == 2.0


def classifier(**options: Any) -> Any:
    return keras.Sequential(
        [
            keras.Input((3,)),
            keras.layers.Dense(8),
            kplug_bayes.MCDropout(0.5, **options),
            keras.layers.Dense(4, "softmax"),
        ]
    )


def test_the_model_is_left_as_it_was() -> None:
    model = classifier(seed=4)
    model.compile("adam", "sparse_categorical_crossentropy")
    model.fit(X, np.arange(7) % 4, verbose=0)
    before = [ops.convert_to_numpy(variable) for variable in (*model.variables, *model.optimizer.variables)]
    kplug_bayes.predict_distribution(model, X, samples=3)
    after = [ops.convert_to_numpy(variable) for variable in (*model.variables, *model.optimizer.variables)]
    for mine, other in zip(before, after, strict=True):
        np.testing.assert_array_equal(mine, other)


def test_draws_repeat_with_a_seed_and_else_do_not() -> None:
    model = classifier()
    first, second, other = (
        kplug_bayes.predict_distribution(model, X, samples=5, seed=seed, keep_draws=True).draws for seed in (1, 1, None)
    )
    np.testing.assert_array_equal(first, second)
    assert not np.allclose(first, other)
    assert first.shape == (5, 7, 4)
    assert not np.allclose(first[0], first[1])


def test_batches_are_joined_in_order_and_the_step_is_compiled_once() -> None:
    traced = []

    @keras.saving.register_keras_serializable(package="bayes_tests")
    class Counted(keras.layers.Layer):  # type: ignore[misc]
        def call(self, inputs: Any) -> Any:
            traced.append(tuple(inputs.shape))
            return inputs

    layers = [keras.layers.Dense(2), Counted(), kplug_bayes.IndependentNormal(1)]
    model = keras.Sequential([keras.Input((3,)), *layers])
    predictor = kplug_bayes.MonteCarloPredictor(model, samples=4, batch_size=3)
    traced.clear()
    means = ops.convert_to_numpy(model.layers[-1].mean(model(X)))
    traced.clear()
    found = predictor(X)
    predictor(X)
    np.testing.assert_allclose(found.mean, means, rtol=1e-5)
    assert found.quantiles.shape == (3, 7, 1)
    np.testing.assert_allclose(found.epistemic_std, 0, atol=1e-6)
    if keras.backend.backend() != "torch":
        assert len(traced) == 1


def test_logits_and_several_inputs() -> None:
    first, second = keras.Input((3,), name="a"), keras.Input((2,), name="b")
    outputs = keras.layers.Dense(4)(kplug_bayes.MCDropout(0.2)(keras.layers.Concatenate()([first, second])))
    model = keras.Model({"a": first, "b": second}, outputs)
    x = {"a": X, "b": X[:, :2]}
    found = kplug_bayes.predict_distribution(model, x, 5, task="classification", from_logits=True)
    np.testing.assert_allclose(found.mean.sum(axis=1), 1, rtol=1e-5)
    with pytest.raises(ValueError, match=r"For logits say from_logits=True\. Received: from_logits=False"):
        kplug_bayes.predict_distribution(model, x, 5, task="classification")
    with pytest.raises(ValueError, match="Say so: task="):
        kplug_bayes.predict_distribution(model, x, 5)


def test_an_ensemble_of_models_that_do_not_draw() -> None:
    models = []
    for value in (1.0, 3.0):
        dense = keras.layers.Dense(1, kernel_initializer="zeros", bias_initializer=keras.initializers.Constant(value))
        models.append(keras.Sequential([keras.Input((3,)), dense]))
    found = kplug_bayes.predict_distribution(models, X, task="regression")
    np.testing.assert_allclose(found.mean, 2.0)
    np.testing.assert_allclose(found.epistemic_std, 1.0)
    np.testing.assert_allclose(found.aleatoric_std, 0.0)


def test_what_cannot_vary_is_refused() -> None:
    plain = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2, "softmax")])
    with pytest.raises(ValueError, match="nothing that draws"):
        kplug_bayes.predict_distribution(plain, X)
    with pytest.raises(ValueError, match="Set their `deterministic` to False"):
        kplug_bayes.predict_distribution(classifier(deterministic=True), X)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"samples": 0}, "samples=0"),
        ({"quantiles": (0.5, 1.5)}, "`quantiles` must be"),
        (
            {"task": "ranking"},
            "`task` must be one of 'regression', 'classification', 'binary'. Received: task='ranking'",
        ),
        ({"batch_size": 0}, "batch_size=0"),
    ],
)
def test_a_wrong_parameter_is_named(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        kplug_bayes.MonteCarloPredictor(classifier(), **options)


def test_models_that_are_none_or_not_built_are_refused() -> None:
    with pytest.raises(ValueError, match="Received: model=str"):
        kplug_bayes.predict_distribution("model", X)
    with pytest.raises(ValueError, match="must be built"):
        kplug_bayes.predict_distribution(keras.Sequential([keras.layers.Dense(2)]), X)
    with pytest.raises(ValueError, match="one sample at least"):
        kplug_bayes.predict_distribution(classifier(), X[:0])
