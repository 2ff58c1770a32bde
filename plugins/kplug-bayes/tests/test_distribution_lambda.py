"""The output layer with a distribution of one's own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from keras import ops
from kplug.testing import check_layer
from scipy import stats

import kplug_bayes
from kplug_bayes.outputs.backend_distributions import distributions


@keras.saving.register_keras_serializable(package="bayes_tests")  # type: ignore[untyped-decorator]
def laplace(parameters: Any) -> Any:
    return distributions().Laplace(parameters[..., :1], ops.softplus(parameters[..., 1:]))


@keras.saving.register_keras_serializable(package="bayes_tests")  # type: ignore[untyped-decorator]
def number(parameters: Any) -> Any:
    return distributions().Normal(parameters[..., 0], ops.softplus(parameters[..., 1]))


@keras.saving.register_keras_serializable(package="bayes_tests")  # type: ignore[untyped-decorator]
def three(parameters: Any) -> Any:
    return distributions().Normal(ops.repeat(parameters[..., :1], 3, axis=-1), 1.0)


RNG = np.random.default_rng(7)
PARAMETERS = RNG.normal(size=(6, 2)).astype("float32")


def softplus(x: np.ndarray) -> np.ndarray:
    return np.asarray(np.logaddexp(0, x.astype("float64")))


def test_it_works_in_every_way_keras_uses_a_layer() -> None:
    check_layer(kplug_bayes.DistributionLambda(laplace), PARAMETERS, backends=())


@pytest.mark.parametrize("convert_to", ["mean", "mode"])
def test_it_puts_out_moments(convert_to: Any) -> None:
    layer = kplug_bayes.DistributionLambda(laplace, convert_to=convert_to)
    np.testing.assert_allclose(ops.convert_to_numpy(layer(PARAMETERS)), PARAMETERS[:, :1])
    spread = kplug_bayes.DistributionLambda(laplace).variance(PARAMETERS)
    np.testing.assert_allclose(ops.convert_to_numpy(spread), 2 * softplus(PARAMETERS[:, 1:]) ** 2, rtol=1e-5)


@pytest.mark.parametrize("convert_to", ["mean", "mode", "sample"])
@pytest.mark.parametrize(("make", "sides"), [(laplace, (1,)), (number, ()), (three, (3,))])
def test_what_it_puts_out_feeds_layers_of_a_functional_model(
    make: Any, sides: tuple[int, ...], convert_to: Any
) -> None:
    inputs = keras.Input((4, 2))
    outputs = kplug_bayes.DistributionLambda(make, convert_to=convert_to)(inputs)
    assert outputs.shape == (None, 4, *sides)
    found = keras.Model(inputs, 2 * outputs).predict(np.ones((5, 4, 2), "float32"), verbose=0)
    assert found.shape == (5, 4, *sides)


def test_its_draws_repeat_with_a_seed() -> None:
    first, second = (kplug_bayes.DistributionLambda(laplace, convert_to="sample", seed=3) for _ in range(2))
    draws = [ops.convert_to_numpy(first(PARAMETERS)) for _ in range(2)]
    np.testing.assert_array_equal(ops.convert_to_numpy(second(PARAMETERS)), draws[0])
    assert not np.allclose(*draws)
    many = ops.convert_to_numpy(first(np.repeat(PARAMETERS[:1], 4000, axis=0)))
    scale = softplus(PARAMETERS[0, 1])
    assert many.mean() == pytest.approx(float(PARAMETERS[0, 0]), abs=5 * scale * np.sqrt(2 / 4000))


@pytest.mark.parametrize("make", [laplace, number])
@pytest.mark.parametrize("shape", [(6,), (6, 1)])
def test_targets_are_never_paired_with_each_other(make: Any, shape: tuple[int, ...]) -> None:
    value = RNG.normal(size=6)
    found = kplug_bayes.DistributionLambda(make).log_prob(PARAMETERS, value.reshape(shape).astype("float32"))
    density = stats.laplace if make is laplace else stats.norm
    exact = density.logpdf(value, PARAMETERS[:, 0], softplus(PARAMETERS[:, 1]))
    np.testing.assert_allclose(ops.convert_to_numpy(found).reshape(-1), exact, rtol=1e-5, atol=1e-5)


def test_it_trains_and_is_saved_with_its_loss(tmp_path: Path) -> None:
    layer = kplug_bayes.DistributionLambda(laplace)
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(2), layer])
    model.compile("adam", loss=layer.negative_log_likelihood)
    y = np.ones((6, 1), "float32")
    model.fit(PARAMETERS, y, verbose=0)
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    assert again.evaluate(PARAMETERS, y, verbose=0) == pytest.approx(model.evaluate(PARAMETERS, y, verbose=0), rel=1e-5)


def test_what_is_no_function_is_refused() -> None:
    with pytest.raises(ValueError, match="make_distribution='normal'"):
        kplug_bayes.DistributionLambda("normal")  # type: ignore[arg-type]


def test_targets_of_another_rank_are_refused() -> None:
    with pytest.raises(ValueError, match=r"Received: values of shape \(6, 2, 3\)"):
        kplug_bayes.DistributionLambda(laplace).log_prob(PARAMETERS, np.zeros((6, 2, 3), "float32"))


@pytest.mark.parametrize(
    ("make", "shape"), [(laplace, (6, 3)), (laplace, (1, 1)), (number, (1,)), (number, (3,)), (three, (6, 1))]
)
def test_targets_of_other_sizes_are_not_used_several_times(make: Any, shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="The distribution needs values of shape"):
        kplug_bayes.DistributionLambda(make).log_prob(PARAMETERS, np.zeros(shape, "float32"))
