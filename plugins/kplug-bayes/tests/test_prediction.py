"""Predictive distributions: against closed forms, in batches, and with the model left alone."""

from __future__ import annotations

import gc
import weakref
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
    median = kplug_bayes.predict_distribution(model, X, samples=2, quantiles=[0.5])
    with pytest.raises(ValueError, match=r"needs two quantiles.*quantiles=\(0\.5,\)"):
        median.interval  # noqa: B018


class Batches(keras.utils.PyDataset):  # type: ignore[misc]
    """Three batches of samples, with targets."""

    def __len__(self) -> int:
        return 3

    def __getitem__(self, index: int) -> Any:
        return X[3 * index : 3 * index + 3], np.zeros(len(X[3 * index : 3 * index + 3]))


def test_batches_are_predicted_as_their_samples_are() -> None:
    import tensorflow as tf

    model = linear()
    expected = kplug_bayes.predict_distribution(model, X, samples=5, seed=0).mean
    rows = tf.data.Dataset.from_tensor_slices(X)
    for batches in (Batches(), rows.batch(2), tf.data.Dataset.zip(rows, rows).batch(4)):
        found = kplug_bayes.predict_distribution(model, batches, samples=5, seed=0).mean
        np.testing.assert_array_equal(found, expected)
    with pytest.raises(ValueError, match=r"`x` must be arrays, or batches.*x=generator"):
        kplug_bayes.predict_distribution(model, (row for row in X), samples=5)
    with pytest.raises(ValueError, match="endless batches"):
        kplug_bayes.predict_distribution(model, rows.batch(2).repeat(), samples=5)


class Block(keras.layers.Layer):  # type: ignore[misc]
    """A layer that holds another."""

    def __init__(self) -> None:
        super().__init__()
        self.drop = kplug_bayes.MCDropout(0.5)

    def call(self, inputs: Any) -> Any:
        return self.drop(inputs)


def test_a_layer_within_a_layer_that_is_set_is_taken_note_of() -> None:
    block = Block()
    model = keras.Sequential([keras.Input((3,)), block, keras.layers.Dense(1, kernel_initializer="ones")])
    options: dict[str, Any] = {"samples": 20, "task": "regression", "seed": 0}
    assert kplug_bayes.predict_distribution(model, X, **options).epistemic_std.max() > 0.1
    block.drop.rate = 0.0
    with pytest.raises(ValueError, match="nothing that draws"):
        kplug_bayes.predict_distribution(model, X, **options)
    block.drop.deterministic = True
    with pytest.raises(ValueError, match="switched off"):
        kplug_bayes.predict_distribution(model, X, **options)


def test_outputs_that_are_nan_say_what_may_have_gone_wrong() -> None:
    model = keras.Sequential([keras.Input((3,)), kplug_bayes.DenseFlipout(2), kplug_bayes.OneHotCategorical(2)])
    model.set_weights([np.full_like(weight, np.nan) for weight in model.get_weights()])
    with pytest.raises(ValueError, match=r"The model puts out NaN.*targets that the distribution cannot have"):
        kplug_bayes.predict_distribution(model, X)


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


@keras.saving.register_keras_serializable(package="bayes_tests")
class AddedNoise(keras.layers.Layer):  # type: ignore[misc]
    """As a third party writes it: noise at all times, from a generator of its own."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.generator = keras.random.SeedGenerator(3)

    def call(self, inputs: Any) -> Any:
        return inputs + keras.random.normal(ops.shape(inputs), seed=self.generator)


def test_any_layer_with_a_seed_generator_may_draw() -> None:
    inputs = keras.Input((3,))
    dropped = keras.Model(inputs, keras.layers.Dropout(0.5)(inputs, training=True))
    found = kplug_bayes.predict_distribution(dropped, np.ones((50, 3), "float32"), samples=200, task="regression")
    # Values are 0 or 2.
    np.testing.assert_allclose(found.epistemic_std.mean(), 1.0, atol=0.02)
    noisy = keras.Sequential([keras.Input((3,)), AddedNoise()])
    found = kplug_bayes.predict_distribution(noisy, np.zeros((50, 3), "float32"), samples=200, task="regression")
    np.testing.assert_allclose(found.epistemic_std.mean(), 1.0, atol=0.03)
    plain = keras.Sequential([keras.Input((3,)), keras.layers.Dropout(0.5)])
    with pytest.raises(ValueError, match="nothing that draws"):
        kplug_bayes.predict_distribution(plain, X, task="regression")


def test_members_that_draw_and_that_do_not_count_alike() -> None:
    calls: list[int] = []

    @keras.saving.register_keras_serializable(package="bayes_tests")
    class Counted(keras.layers.Layer):  # type: ignore[misc]
        def call(self, inputs: Any) -> Any:
            calls.append(1)
            return inputs + 5.0

    models = [
        keras.Sequential([keras.Input((3,)), AddedNoise()]),
        keras.Sequential([keras.Input((3,)), Counted()]),
    ]
    calls.clear()
    found = kplug_bayes.predict_distribution(models, np.zeros((40, 3), "float32"), 50, task="regression")
    np.testing.assert_allclose(found.mean.mean(), 2.5, atol=0.05)
    np.testing.assert_allclose(found.epistemic_std.mean(), np.sqrt(2.5**2 + 0.5), atol=0.05)
    assert len(calls) <= 3


def test_an_output_layer_in_a_nested_model_is_seen() -> None:
    inner = keras.Sequential([kplug_bayes.DenseFlipout(2), kplug_bayes.IndependentNormal(1)])
    found = kplug_bayes.predict_distribution(keras.Sequential([keras.Input((3,)), inner]), X, 5)
    assert found.mean.shape == (7, 1)
    assert (found.aleatoric_std > 0).all()
    inner = keras.Sequential([kplug_bayes.MCDropout(0.5), keras.layers.Dense(2, "softmax")])
    found = kplug_bayes.predict_distribution(keras.Sequential([keras.Input((3,)), inner]), X, 5)
    assert found.mutual_information.shape == (7,)


def test_an_output_layer_that_is_not_at_the_end_is_refused() -> None:
    layers = [kplug_bayes.IndependentNormal(1, name="normal"), keras.layers.Dense(1)]
    with pytest.raises(ValueError, match="What comes after normal is not the distribution"):
        kplug_bayes.predict_distribution(keras.Sequential([keras.Input((2,)), *layers]), X[:, :2])
    inputs = keras.Input((2,))
    scaled = keras.Model(inputs, kplug_bayes.IndependentNormal(1, name="normal")(inputs) * 2.0)
    with pytest.raises(ValueError, match="What comes after normal is not the distribution"):
        kplug_bayes.predict_distribution(scaled, X[:, :2])


def test_several_outputs_are_refused() -> None:
    inputs = keras.Input((3,))
    outputs = [keras.layers.Dense(1)(kplug_bayes.MCDropout(0.5)(inputs)) for _ in range(2)]
    with pytest.raises(ValueError, match=r"must have one output: .*keras\.Model.*with 2 outputs"):
        kplug_bayes.predict_distribution(keras.Model(inputs, outputs), X, task="regression")


def test_large_outputs_are_predicted_in_smaller_batches() -> None:
    layers = [kplug_bayes.MCDropout(0.5), keras.layers.Dense(784)]
    model = keras.Sequential([keras.Input((3,)), *layers])
    x = np.ones((300, 3), "float32")
    found = kplug_bayes.predict_distribution(model, x, task="regression", quantiles=(0.5,))
    assert found.mean.shape == (300, 784)


def test_a_batch_that_memory_does_not_hold_is_refused() -> None:
    repeated = keras.layers.Lambda(lambda t: ops.repeat(t, 1000, axis=-1), output_shape=(3000,))
    model = keras.Sequential([keras.Input((3,)), kplug_bayes.MCDropout(0.5), repeated])
    with pytest.raises(
        ValueError, match=r"Give a smaller `batch_size`, or None\. Received: batch_size=7, samples=5000"
    ):
        kplug_bayes.predict_distribution(model, X, 5000, task="regression", batch_size=7)


def test_one_draw_of_a_model_that_draws_is_refused() -> None:
    with pytest.raises(ValueError, match=r"`samples` must be at least 2 of a model that draws.*samples=1"):
        kplug_bayes.predict_distribution(classifier(), X, samples=1)


def test_lists_of_numbers_are_arrays() -> None:
    model = classifier()
    mine, same = (kplug_bayes.predict_distribution(model, x, 5, seed=0).mean for x in (X.tolist(), X))
    np.testing.assert_allclose(mine, same, rtol=1e-5)


def test_the_step_is_compiled_anew_when_a_layer_is_changed_only() -> None:
    traced: list[int] = []

    @keras.saving.register_keras_serializable(package="bayes_tests")
    class Traced(keras.layers.Layer):  # type: ignore[misc]
        def call(self, inputs: Any) -> Any:
            traced.append(1)
            return inputs

    dropout = kplug_bayes.MCDropout(0.5)
    model = keras.Sequential([keras.Input((3,)), Traced(), dropout, keras.layers.Dense(2, "softmax")])
    traced.clear()
    for _ in range(3):
        kplug_bayes.predict_distribution(model, X, 5)
    if keras.backend.backend() != "torch":
        assert len(traced) == 1
    dropout.deterministic = True
    with pytest.raises(ValueError, match="switched off"):
        kplug_bayes.predict_distribution(model, X, 5)


def test_a_step_that_is_kept_sees_new_weights_and_does_not_keep_its_model() -> None:
    model = classifier()
    before = kplug_bayes.predict_distribution(model, X, 5, seed=0).mean
    model.layers[0].kernel.assign(3 * ops.ones((3, 8)))
    assert not np.allclose(kplug_bayes.predict_distribution(model, X, 5, seed=0).mean, before)
    reference = weakref.ref(model)
    del model
    gc.collect()
    assert reference() is None


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
        ({"seed": -1}, "`seed` must be a whole number from 0 to 4294967295. Received: seed=-1"),
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


def test_labels_that_do_not_exclude_each_other_are_said_one_by_one() -> None:
    layer = kplug_bayes.IndependentBernoulli(3)
    model = keras.Sequential([keras.Input((3,)), kplug_bayes.MCDropout(0.01, seed=0), layer])
    x = np.array([[4.0, -4.0, 4.0], [-4.0, -4.0, -4.0]], "float32")
    prediction = kplug_bayes.predict_distribution(model, x, samples=20, seed=0)
    np.testing.assert_array_equal(prediction.classes, [[1, 0, 1], [0, 0, 0]])
