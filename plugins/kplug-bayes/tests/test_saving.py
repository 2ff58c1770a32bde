"""Models with variational layers, saved and loaded."""

from __future__ import annotations

import importlib.metadata
import json
import math
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import keras
import kplug
import numpy as np
import pytest
from keras import ops

import kplug_bayes

X = np.random.default_rng(4).normal(size=(6, 3)).astype("float32")


@keras.saving.register_keras_serializable(package="bayes_tests")
class LaplacePrior(kplug_bayes.WeightDistribution):
    """Independent Laplace weights of unit scale."""

    def log_prob(self, weights: Any) -> Any:
        return -ops.sum(ops.abs(weights) + math.log(2))


def model_of(*layers: Any) -> Any:
    model = keras.Sequential([keras.Input((3,)), *layers])
    model(X)
    return model


def test_a_loaded_model_goes_on_with_draws_and_weight(tmp_path: Path) -> None:
    layer = kplug_bayes.DenseFlipout(4, random_bias=True, name="draws")
    model = model_of(layer, kplug_bayes.DenseVariational(2, posterior="multivariate_normal", seed=2))
    layer.kl_weight = 0.375
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    assert again.get_layer("draws").kl_weight == 0.375
    for _ in range(3):
        np.testing.assert_array_equal(ops.convert_to_numpy(again(X)), ops.convert_to_numpy(model(X)))


def test_a_prior_of_ones_own_is_saved_with_the_layer(tmp_path: Path) -> None:
    model = model_of(kplug_bayes.DenseVariational(2, prior=LaplacePrior(), seed=2))
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    assert type(again.layers[0].prior) is LaplacePrior
    np.testing.assert_array_equal(ops.convert_to_numpy(again(X)), ops.convert_to_numpy(model(X)))
    np.testing.assert_allclose(float(again.losses[0]), float(model.losses[0]), rtol=1e-6)


def test_layers_make_distributions_of_their_own_of_one_that_is_given() -> None:
    posterior = kplug_bayes.MeanFieldNormal(initial_untransformed_scale=-1.0, seed=0)
    first, second = (kplug_bayes.DenseVariational(units, posterior=posterior) for units in (2, 3))
    model_of(first, second)
    assert (tuple(first.posterior.loc.shape), tuple(second.posterior.loc.shape)) == ((8,), (9,))
    assert not posterior.built


def test_the_configuration_is_json_and_makes_the_same_layer() -> None:
    layer = kplug_bayes.Conv2DFlipout(
        3,
        (2, 3),
        padding="same",
        activation="relu",
        prior_scale=0.5,
        kl_weight=0.01,
        initial_untransformed_scale=-5.0,
        loc_initializer="he_normal",
        seed=7,
        dtype="mixed_bfloat16",
    )
    config = json.loads(json.dumps(layer.get_config()))
    again = kplug_bayes.Conv2DFlipout.from_config(config)
    assert again.get_config() == layer.get_config()
    assert (again.kernel_size, again.strides, again.prior_scale, again.seed) == ((2, 3), (1, 1), 0.5, 7)
    assert again.dtype_policy.name == "mixed_bfloat16"


def test_an_initializer_of_keras_sets_the_means() -> None:
    layer = kplug_bayes.DenseFlipout(2, loc_initializer=keras.initializers.Constant(0.5), deterministic=True)
    layer(X)
    np.testing.assert_array_equal(ops.convert_to_numpy(layer.kernel_posterior.loc), np.full((3, 2), 0.5))


def installed() -> bool:
    try:
        importlib.metadata.distribution("kplug-bayes")
    except importlib.metadata.PackageNotFoundError:
        return False
    return True


@pytest.mark.slow
@pytest.mark.skipif(not installed(), reason="kplug finds it only where it is installed: pip install -e .")
def test_kplug_loads_a_model_in_a_process_that_has_not_imported_the_layers(tmp_path: Path) -> None:
    layers = [
        kplug_bayes.DenseReparameterization(4, activation="relu", seed=0),
        kplug_bayes.DenseLocalReparameterization(3, seed=1),
        kplug_bayes.DenseVariational(2, prior=kplug_bayes.NormalMixturePrior(), seed=2),
    ]
    model = model_of(*layers)
    model.save(tmp_path / "model.keras")
    np.save(tmp_path / "x.npy", X)
    code = (
        "import sys, numpy as np, keras, kplug\n"
        "folder = sys.argv[1]\n"
        "model = kplug.load_model(folder + '/model.keras')\n"
        "np.save(folder + '/y.npy', keras.ops.convert_to_numpy(model(np.load(folder + '/x.npy'))))\n"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "KPLUG_HOME": str(tmp_path)}
    subprocess.run([sys.executable, "-c", code, str(tmp_path)], env=environment, check=True, timeout=300)
    np.testing.assert_allclose(np.load(tmp_path / "y.npy"), ops.convert_to_numpy(model(X)), rtol=1e-5)
    found = {component.id for component in kplug.components("layer") if component.namespace == "bayes"}
    assert {"bayes/dense_variational", "bayes/conv2d_flipout"} <= found


def test_weights_that_are_loaded_leave_the_weight_of_the_divergence(tmp_path: Path) -> None:
    def made(kl_weight: float) -> keras.Model:
        return keras.Sequential([keras.Input((3,)), kplug_bayes.DenseFlipout(2, kl_weight=kl_weight, name="flipout")])

    first, second = made(0.001), made(0.02)
    first.save_weights(tmp_path / "first.weights.h5")
    second.load_weights(tmp_path / "first.weights.h5")
    assert second.layers[0].kl_weight == pytest.approx(0.02)
    for mine, other in zip(first.layers[0].trainable_weights, second.layers[0].trainable_weights, strict=True):
        np.testing.assert_array_equal(keras.ops.convert_to_numpy(mine), keras.ops.convert_to_numpy(other))
