"""Output layers: in every way Keras uses a layer, what they put out, what they refuse, and in training."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import keras
import kplug
import numpy as np
import pytest
from kplug.testing import check_layer
from scipy import stats

import kplug_bayes

RNG = np.random.default_rng(5)
PARAMETERS = RNG.normal(size=(5, 12)).astype("float32")
MAKERS: dict[str, dict[str, Any]] = {
    "IndependentNormal": {"event_shape": (2, 3)},
    "IndependentBernoulli": {"event_shape": (3, 4)},
    "OneHotCategorical": {"event_size": 12},
    "MixtureNormal": {"num_components": 4, "event_shape": 1},
    "MultivariateNormalTriL": {"event_size": 3},
}
EVENTS = {
    "IndependentNormal": (2, 3),
    "IndependentBernoulli": (3, 4),
    "OneHotCategorical": (12,),
    "MixtureNormal": (1,),
    "MultivariateNormalTriL": (3,),
}


def inputs_of(name: str) -> np.ndarray:
    return PARAMETERS[:, :9] if name == "MultivariateNormalTriL" else PARAMETERS


def make(name: str, **options: Any) -> Any:
    return getattr(kplug_bayes, name)(**{**MAKERS[name], **options})


@pytest.mark.slow
@pytest.mark.parametrize("convert_to", ["parameters", "mean"])
@pytest.mark.parametrize("name", MAKERS)
def test_it_works_in_every_way_keras_uses_a_layer(
    name: str, convert_to: str, other_backends: tuple[str, ...] | None
) -> None:
    check_layer(make(name, convert_to=convert_to), inputs_of(name), backends=other_backends)


@pytest.mark.slow
@pytest.mark.parametrize("name", MAKERS)
def test_it_can_put_out_draws(name: str) -> None:
    discrete = name in {"IndependentBernoulli", "OneHotCategorical"}
    layer = make(name, convert_to="sample", seed=2)
    check_layer(layer, inputs_of(name), random=True, differentiable=not discrete)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["IndependentBernoulli", "OneHotCategorical"])
def test_it_can_put_out_the_mode(name: str) -> None:
    check_layer(make(name, convert_to="mode"), inputs_of(name), differentiable=False, backends=())


@pytest.mark.parametrize("convert_to", ["mean", "sample"])
@pytest.mark.parametrize("name", MAKERS)
def test_what_it_is_converted_to_has_the_shape_of_events(name: str, convert_to: str) -> None:
    outputs = make(name, convert_to=convert_to, seed=0)(inputs_of(name))
    assert tuple(outputs.shape) == (5, *EVENTS[name])
    assert make(name, convert_to=convert_to).compute_output_shape(inputs_of(name).shape) == (5, *EVENTS[name])


def test_sizes_are_those_of_tensorflow_probability() -> None:
    assert kplug_bayes.IndependentNormal.params_size() == 2
    assert kplug_bayes.IndependentNormal.params_size((2, 3)) == 12
    assert kplug_bayes.IndependentBernoulli.params_size([3, 4]) == 12
    assert kplug_bayes.OneHotCategorical.params_size(7) == 7
    assert kplug_bayes.MixtureNormal.params_size(3, 2) == 15
    assert kplug_bayes.MultivariateNormalTriL.params_size(4) == 14


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("IndependentNormal", {"event_shape": 0}, "`event_shape` must be.*event_shape=0"),
        ("IndependentNormal", {"event_shape": "wide"}, "event_shape='wide'"),
        ("IndependentNormal", {"convert_to": "median"}, "'parameters', 'mean', 'mode', 'sample'.*convert_to='median'"),
        ("OneHotCategorical", {"event_size": 1}, "use IndependentBernoulli.*event_size=1"),
        ("MixtureNormal", {"num_components": 0}, "num_components=0"),
        ("MixtureNormal", {"convert_to": "mode"}, 'no closed form of its mode: use "mean" or "sample"'),
        ("MultivariateNormalTriL", {"event_size": 2.5}, "event_size=2.5"),
    ],
)
def test_a_wrong_parameter_is_named(name: str, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make(name, **options)


def test_a_wrong_number_of_parameters_is_refused_with_the_right_one() -> None:
    with pytest.raises(ValueError, match=r"put keras.layers.Dense\(2\) before it.*\(None, 3\)"):
        kplug_bayes.IndependentNormal(1)(keras.Input((3,)))
    with pytest.raises(ValueError, match="takes 2 parameters"):
        kplug_bayes.IndependentNormal(1).mean(np.zeros((4, 3), "float32"))


def test_targets_of_another_shape_are_refused() -> None:
    with pytest.raises(ValueError, match=r"needs values of shape \(4, 2\).*Received: values of shape \(4, 3\)"):
        kplug_bayes.IndependentNormal(2).log_prob(np.zeros((4, 4), "float32"), np.zeros((4, 3), "float32"))
    with pytest.raises(ValueError, match=r"Received: values of shape \(3, 1\)"):
        kplug_bayes.IndependentNormal(1).log_prob(np.zeros((4, 2), "float32"), np.zeros((3, 1), "float32"))


def test_the_loss_needs_parameters() -> None:
    with pytest.raises(ValueError, match="Received: a layer with convert_to='mean'"):
        _ = kplug_bayes.IndependentNormal(1, convert_to="mean").negative_log_likelihood
    with pytest.raises(ValueError, match="Received: layer=Dense"):
        kplug_bayes.NegativeLogLikelihood(keras.layers.Dense(2))


def regression(layer: Any, **options: Any) -> Any:
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(type(layer).params_size(1)), layer])
    model.compile(keras.optimizers.Adam(0.1), loss=layer.negative_log_likelihood, **options)
    return model


X = RNG.normal(size=(64, 3)).astype("float32")
Y = (X @ [1.0, -1.0, 0.5] + 2 + np.exp(X[:, 0]) * 0.1 * RNG.normal(size=64)).astype("float32")[:, None]


@pytest.mark.parametrize("targets", [Y, Y[:, 0]], ids=["columns", "vector"])
def test_the_loss_is_the_mean_negative_log_density(targets: np.ndarray) -> None:
    layer = kplug_bayes.IndependentNormal(1)
    model = regression(layer)
    outputs = model.predict(X, verbose=0).astype("float64")
    expected = -stats.norm.logpdf(Y[:, 0], outputs[:, 0], np.logaddexp(0, outputs[:, 1]))
    assert model.evaluate(X, targets, verbose=0) == pytest.approx(expected.mean(), rel=1e-5)
    weights = np.arange(64.0)
    found = model.evaluate(X, targets, sample_weight=weights, verbose=0)
    assert found == pytest.approx(float((weights * expected).mean()), rel=1e-5)


def test_training_finds_mean_and_noise_and_is_saved_with_its_loss(tmp_path: Path) -> None:
    layer = kplug_bayes.IndependentNormal(1)
    model = regression(layer, metrics=[kplug_bayes.MetricOfMean(layer, "mean_absolute_error")])
    # One epoch of many steps takes less time than many of one.
    model.fit(np.tile(X, (400, 1)), np.tile(Y, (400, 1)), batch_size=64, shuffle=False, verbose=0)
    outputs = model.predict(X, verbose=0)
    deviation = keras.ops.convert_to_numpy(layer.stddev(outputs))[:, 0]
    assert np.corrcoef(np.log(deviation), X[:, 0])[0, 1] > 0.5
    found = model.evaluate(X, Y, verbose=0, return_dict=True)
    errors = np.abs(outputs[:, :1] - Y)
    assert found["mean_absolute_error"] == pytest.approx(errors.mean(), rel=1e-4)
    assert errors.mean() < 0.3
    model.save(tmp_path / "model.keras")
    again = kplug.load_model(tmp_path / "model.keras")
    assert again.evaluate(X, Y, verbose=0, return_dict=True) == pytest.approx(found, rel=1e-5)
    again.fit(X, Y, verbose=0)


def test_masked_steps_cost_nothing() -> None:
    layer = kplug_bayes.IndependentNormal(1)
    sequences = RNG.normal(size=(4, 5, 2)).astype("float32")
    sequences[:, 3:] = 0
    targets = RNG.normal(size=(4, 5, 1)).astype("float32")
    model = keras.Sequential([keras.Input((5, 2)), keras.layers.Masking(0.0), keras.layers.Dense(2), layer])
    model.compile(loss=layer.negative_log_likelihood)
    outputs = model.predict(sequences, verbose=0).astype("float64")
    log_density = stats.norm.logpdf(targets[..., 0], outputs[..., 0], np.logaddexp(0, outputs[..., 1]))
    assert model.evaluate(sequences, targets, verbose=0) == pytest.approx(-log_density[:, :3].mean(), rel=1e-5)


@pytest.mark.parametrize(
    ("layer", "padding"),
    [
        (kplug_bayes.IndependentNormal(1), np.nan),
        (kplug_bayes.IndependentBernoulli(1), -1),
        (kplug_bayes.OneHotCategorical(2), -1),
    ],
)
def test_what_does_not_count_may_have_any_target(layer: Any, padding: float) -> None:
    sequences = RNG.normal(size=(4, 5, 2)).astype("float32")
    sequences[:, 3:] = 0
    targets = RNG.integers(0, 2, size=(4, 5)).astype("float32")
    padded = targets.copy()
    padded[:, 3:] = padding
    dense = keras.layers.Dense(layer.parameters_per_event)
    model = keras.Sequential([keras.Input((5, 2)), keras.layers.Masking(0.0), dense, layer])
    model.compile("sgd", loss=layer.negative_log_likelihood, weighted_metrics=[])
    expected = model.evaluate(sequences, targets, verbose=0)
    assert model.evaluate(sequences, padded, verbose=0) == pytest.approx(expected, rel=1e-6)
    model.fit(sequences, padded, verbose=0)
    assert all(np.isfinite(weight).all() for weight in model.get_weights())

    outputs = layer(RNG.normal(size=(4, layer.parameters_per_event)).astype("float32"))
    y, weight = targets[:, 0], np.array([1, 2, 0, 1], "float32")
    bad = np.where(weight == 0, padding, y).astype("float32")
    loss = layer.negative_log_likelihood
    found = [float(keras.ops.convert_to_numpy(loss(one, outputs, sample_weight=weight))) for one in (y, bad)]
    assert found[1] == pytest.approx(found[0], rel=1e-6)


def test_metrics_of_the_mean_leave_out_masked_steps() -> None:
    layer = kplug_bayes.IndependentNormal(1)
    sequences = RNG.normal(size=(4, 5, 2)).astype("float32")
    sequences[:, 3:] = 0
    targets = np.zeros((4, 5, 1), "float32")
    targets[:, 3:] = 1000
    model = keras.Sequential([keras.Input((5, 2)), keras.layers.Masking(0.0), keras.layers.Dense(2), layer])
    model.compile("sgd", loss=layer.negative_log_likelihood, metrics=[kplug_bayes.MetricOfMean(layer, "mae")])
    found = model.evaluate(sequences, targets, verbose=0, return_dict=True)["mean_absolute_error"]
    means = model.predict(sequences, verbose=0)[:, :3, 0]
    assert found == pytest.approx(np.abs(means).mean(), rel=1e-5)


def test_class_numbers_are_targets_as_one_hot_ones_are() -> None:
    layer = kplug_bayes.OneHotCategorical(3)
    logits, classes = PARAMETERS[:, :3], np.array([0, 2, 1, 1, 0])
    of_numbers, of_columns, of_one_hot = (
        keras.ops.convert_to_numpy(layer.log_prob(logits, targets))
        for targets in (classes, classes[:, None], np.eye(3, dtype="float32")[classes])
    )
    np.testing.assert_allclose(of_numbers, of_one_hot, rtol=1e-6)
    np.testing.assert_allclose(of_columns, of_one_hot, rtol=1e-6)
    assert np.isnan(keras.ops.convert_to_numpy(layer.log_prob(logits[:1], np.array([3])))).all()


def test_a_draw_feeds_layers_that_follow() -> None:
    latent = kplug_bayes.MultivariateNormalTriL(2, convert_to="sample", seed=0)
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(5), latent, keras.layers.Dense(3)])
    model.compile("adam", "mse")
    before = keras.ops.convert_to_numpy(model.layers[0].kernel)
    model.fit(X, X, verbose=0)
    assert not np.allclose(keras.ops.convert_to_numpy(model.layers[0].kernel), before)
    assert not np.allclose(model.predict(X, verbose=0), model.predict(X, verbose=0))


def test_mixed_precision_computes_the_likelihood_in_float32() -> None:
    layer = kplug_bayes.IndependentNormal(1, dtype="mixed_float16")
    parameters = np.array([[1.0, -12.0]], "float16")
    found = layer.log_prob(parameters, np.array([[1.0]], "float32"))
    assert keras.backend.standardize_dtype(found.dtype) == "float32"
    assert float(found[0]) == pytest.approx(stats.norm.logpdf(0, 0, np.logaddexp(0, -12)), rel=1e-5)


def test_the_configuration_of_the_loss_is_json() -> None:
    loss = kplug_bayes.MixtureNormal(3, event_shape=2).negative_log_likelihood
    config = json.loads(json.dumps(keras.saving.serialize_keras_object(loss)))
    again = keras.saving.deserialize_keras_object(config)
    assert again.get_config() == loss.get_config()
    assert again.get_config()["layer"]["config"]["num_components"] == 3
    parameters, value = PARAMETERS[:2, :15].repeat(2, axis=1)[:, :15], PARAMETERS[:2, :2]
    np.testing.assert_allclose(float(again(value, parameters)), float(loss(value, parameters)))


@pytest.mark.parametrize(
    ("layer", "targets", "fine"),
    [
        (
            kplug_bayes.IndependentBernoulli(2),
            [[0.0, 1.0], [0.3, 0.0], [-1.0, 1.0], [0.0, 1.5]],
            [True, True, False, False],
        ),
        (
            kplug_bayes.OneHotCategorical(2),
            [[0.0, 1.0], [0.3, 0.7], [0.5, 0.2], [-0.5, 1.5]],
            [True, True, False, False],
        ),
        (kplug_bayes.OneHotCategorical(2), [0.0, 1.0, 0.5, -1.0], [True, True, False, False]),
    ],
)
def test_targets_that_mean_nothing_cost_nan(layer: Any, targets: Any, fine: list[bool]) -> None:
    logits = RNG.normal(size=(4, 2)).astype("float32")
    found = keras.ops.convert_to_numpy(layer.log_prob(logits, np.array(targets, "float32")))
    assert np.isfinite(found).tolist() == fine
