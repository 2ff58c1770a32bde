"""What holds for every layer: it works in every way Keras uses one."""

from __future__ import annotations

import doctest
import inspect
from typing import Any

import keras
import numpy as np
import pytest
from kplug.testing import check_layer

import kplug_bayes

RNG = np.random.default_rng(0)
VECTORS = RNG.normal(size=(6, 3))
SEQUENCES = RNG.normal(size=(5, 4, 3))
INPUTS = {
    "Dense": VECTORS,
    "Conv1D": RNG.normal(size=(5, 6, 2)),
    "Conv2D": RNG.normal(size=(5, 5, 4, 2)),
    "Conv3D": RNG.normal(size=(4, 3, 4, 3, 2)),
}
CONVOLUTIONS = [name for name in kplug_bayes.__all__ if name.startswith("Conv")]
MEAN_FIELD_DENSE = ["DenseFlipout", "DenseLocalReparameterization", "DenseReparameterization"]
LAYERS = [*CONVOLUTIONS, *MEAN_FIELD_DENSE, "DenseVariational"]
PAIRS = [("multivariate_normal", "trainable_normal"), ("mean_field_normal", "normal_mixture")]


def make(name: str, channels: int = 2, **arguments: Any) -> Any:
    size = {"kernel_size": 2} if name in CONVOLUTIONS else {}
    return getattr(kplug_bayes, name)(channels, **{**size, "seed": 1, "kl_weight": 0.01, **arguments})


def inputs_of(name: str) -> np.ndarray:
    return next(values for kind, values in INPUTS.items() if name.startswith(kind))


@pytest.mark.parametrize("name", LAYERS)
def test_a_layer_that_draws_works_in_every_way_keras_uses_one(name: str) -> None:
    check_layer(make(name, activation="tanh"), inputs_of(name), random=True)


@pytest.mark.parametrize("name", [name for name in LAYERS if name.endswith(("Reparameterization", "Variational"))])
def test_a_layer_that_computes_with_the_mean_is_the_same_on_every_backend(
    name: str, other_backends: tuple[str, ...] | None
) -> None:
    check_layer(make(name, deterministic=True), inputs_of(name), backends=other_backends)


def test_positions_and_a_random_bias() -> None:
    check_layer(make("DenseFlipout", random_bias=True), SEQUENCES, random=True)


@pytest.mark.parametrize(("posterior", "prior"), PAIRS)
def test_the_posteriors_and_priors_that_have_names(posterior: str, prior: str) -> None:
    check_layer(make("DenseVariational", posterior=posterior, prior=prior), SEQUENCES, random=True)


@pytest.mark.parametrize("name", LAYERS)
def test_one_seed_makes_the_same_layer_and_every_call_draws_anew(name: str) -> None:
    inputs = inputs_of(name).astype("float32")
    first, second = make(name, seed=5), make(name, seed=5)
    draws = [keras.ops.convert_to_numpy(first(inputs, training=training)) for training in (True, False, True)]
    for draw in draws:
        np.testing.assert_array_equal(keras.ops.convert_to_numpy(second(inputs)), draw)
    assert not np.allclose(draws[0], draws[1])
    assert not np.allclose(draws[1], draws[2])
    assert not np.allclose(keras.ops.convert_to_numpy(make(name, seed=6)(inputs)), draws[0])


@pytest.mark.parametrize("name", LAYERS)
def test_the_initial_posterior_is_that_of_tensorflow_probability(name: str) -> None:
    layer = make(name, 300)
    layer(inputs_of(name).astype("float32"))
    posterior = layer.posterior if name == "DenseVariational" else layer.kernel_posterior
    loc, untransformed = (keras.ops.convert_to_numpy(one) for one in (posterior.loc, posterior.untransformed_scale))
    error = 5 / np.sqrt(loc.size)
    assert loc.mean() == pytest.approx(0, abs=0.1 * error)
    assert loc.std() == pytest.approx(0.1, rel=error)
    assert untransformed.mean() == pytest.approx(-3, abs=0.1 * error)
    assert untransformed.std() == pytest.approx(0.1, rel=error)
    assert abs(np.corrcoef(loc.ravel(), untransformed.ravel())[0, 1]) < error


@pytest.mark.parametrize("name", kplug_bayes.__all__)
def test_the_examples_in_the_docstrings_run(name: str) -> None:
    documented = getattr(kplug_bayes, name)
    names = {"kplug_bayes": kplug_bayes, "keras": keras, "np": np}
    found = doctest.DocTestParser().get_doctest(inspect.getdoc(documented) or "", names, name, None, 0)
    said: list[str] = []
    result = doctest.DocTestRunner().run(found, out=said.append)
    assert result.failed == 0, "".join(said)
    assert result.attempted > 0 or name not in LAYERS


@pytest.mark.parametrize("name", CONVOLUTIONS)
@pytest.mark.parametrize(
    "arguments",
    [{"padding": "same", "strides": 2}, {"dilation_rate": 2, "kernel_size": 2}, {"kernel_size": 1}],
    ids=str,
)
def test_shapes_are_those_of_keras_own_convolution(name: str, arguments: dict[str, Any]) -> None:
    plain = getattr(keras.layers, name[:6])(3, **{"kernel_size": 2, **arguments})
    layer = make(name, 3, **arguments)
    shape = inputs_of(name).shape
    assert layer.compute_output_shape(shape) == plain.compute_output_shape(shape)
    assert tuple(layer(inputs_of(name).astype("float32")).shape) == plain.compute_output_shape(shape)


@pytest.mark.skipif(keras.backend.backend() == "tensorflow", reason="TensorFlow has no such convolutions on a CPU")
@pytest.mark.parametrize("name", ["Conv2DFlipout", "Conv2DReparameterization"])
def test_channels_first_is_channels_last_turned(name: str) -> None:
    last, first = make(name), make(name, data_format="channels_first")
    inputs = INPUTS["Conv2D"].astype("float32")
    expected = keras.ops.convert_to_numpy(last(inputs))
    turned = keras.ops.convert_to_numpy(first(np.moveaxis(inputs, -1, 1)))
    np.testing.assert_allclose(np.moveaxis(turned, 1, -1), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", LAYERS)
def test_a_layer_without_a_bias_gives_nothing_for_nothing(name: str) -> None:
    outputs = make(name, use_bias=False)(np.zeros_like(inputs_of(name), dtype="float32"))
    np.testing.assert_allclose(keras.ops.convert_to_numpy(outputs), 0, atol=1e-10)


@pytest.mark.parametrize(
    ("name", "arguments", "message"),
    [
        ("DenseFlipout", {"channels": 0}, "`units` must be a whole number of at least 1. Received: units=0"),
        ("Conv2DFlipout", {"channels": -1}, "filters=-1"),
        ("Conv2DFlipout", {"kernel_size": (3, 3, 3)}, r"`kernel_size` must be one number, or 2.*\(3, 3, 3\)"),
        ("Conv1DFlipout", {"strides": 0}, "strides=0"),
        ("Conv1DFlipout", {"padding": "causal"}, "padding='causal'"),
        ("Conv1DFlipout", {"data_format": "nhwc"}, "data_format='nhwc'"),
        ("Conv1DFlipout", {"strides": 2, "dilation_rate": 3}, "strides=2, dilation_rate=3"),
        (
            "DenseReparameterization",
            {"kl_weight": -0.1},
            "1 / number of training samples, say. Received: kl_weight=-0.1",
        ),
        ("DenseReparameterization", {"kl_weight": float("nan")}, "kl_weight=nan"),
        ("DenseReparameterization", {"prior_scale": 0.0}, "scale=0.0"),
        ("DenseReparameterization", {"use_bias": False, "random_bias": True}, "use_bias=False, random_bias=True"),
        ("DenseVariational", {"posterior": "laplace"}, "'mean_field_normal', 'multivariate_normal'.*'laplace'"),
        ("DenseVariational", {"prior": 3}, "'normal_mixture'. Received: prior=3"),
    ],
)
def test_a_wrong_parameter_is_named(name: str, arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make(name, **arguments)


@pytest.mark.parametrize("name", LAYERS)
def test_an_unknown_number_of_channels_is_refused(name: str) -> None:
    shape = (*inputs_of(name).shape[1:-1], None)
    with pytest.raises(ValueError, match="Received: inputs of shape"):
        make(name)(keras.Input(shape))


def test_an_attribute_that_the_package_does_not_have() -> None:
    with pytest.raises(AttributeError, match="DenseMagic"):
        _ = kplug_bayes.DenseMagic


@pytest.mark.parametrize("name", [*CONVOLUTIONS, *MEAN_FIELD_DENSE])
def test_a_seed_repeats_the_beginning_with_any_initializer(name: str) -> None:
    def beginning(seed: int | None) -> np.ndarray:
        layer = make(name, seed=seed, loc_initializer="he_normal")
        layer.build(inputs_of(name).shape)
        return np.asarray(keras.ops.convert_to_numpy(layer.kernel_posterior.loc))

    np.testing.assert_array_equal(beginning(1), beginning(1))
    assert not np.allclose(beginning(1), beginning(2))
    assert not np.allclose(beginning(None), beginning(None))


def test_a_seed_repeats_the_beginning_of_a_posterior_that_is_given() -> None:
    def beginning(seed: int) -> np.ndarray:
        layer = kplug_bayes.DenseVariational(3, posterior=kplug_bayes.MeanFieldNormal(), seed=seed)
        layer.build((None, 4))
        return np.asarray(keras.ops.convert_to_numpy(layer.posterior.loc))

    np.testing.assert_array_equal(beginning(1), beginning(1))
    assert not np.allclose(beginning(1), beginning(2))


def test_a_layer_that_is_called_twice_adds_its_divergence_twice() -> None:
    layer = make("DenseFlipout", 3)
    inputs = keras.Input((3,))
    model = keras.Model(inputs, layer(layer(inputs)))
    model(VECTORS.astype("float32"))
    first, second = map(float, model.losses)
    assert first == pytest.approx(second)


@pytest.mark.parametrize(
    ("name", "argument"),
    [
        ("DenseFlipout", "kernel_divergence_fn"),
        ("Conv2DReparameterization", "bias_posterior_fn"),
        ("DenseVariational", "make_prior_fn"),
    ],
)
def test_an_argument_of_tfp_layers_is_told_what_it_is_here(name: str, argument: str) -> None:
    with pytest.raises(ValueError, match=f"`{argument}` is an argument of `tfp.layers`. Here: "):
        arguments: dict[str, Any] = {argument: print}
        make(name, **arguments)
