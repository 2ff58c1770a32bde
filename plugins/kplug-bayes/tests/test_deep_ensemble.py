"""Ensembles: members that differ, bootstraps, saving."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from keras import ops

import kplug_bayes

RNG = np.random.default_rng(9)
X = RNG.normal(size=(40, 2)).astype("float32")
Y = (X[:, :1] - X[:, 1:]).astype("float32")


def without_a_seed() -> Any:
    return network(0)


def network(seed: int | None = 0) -> Any:
    layer = kplug_bayes.IndependentNormal(1)
    dense = keras.layers.Dense(2, kernel_initializer=keras.initializers.GlorotUniform(seed=seed))
    model = keras.Sequential([keras.Input((2,)), dense, layer])
    model.compile(keras.optimizers.Adam(0.02), loss=layer.negative_log_likelihood)
    return model


def kernels(ensemble: Any) -> list[np.ndarray]:
    return [ops.convert_to_numpy(member.layers[0].kernel) for member in ensemble.members]


@pytest.mark.parametrize("model", [network(), without_a_seed, network], ids=["seed", "none", "own"])
def test_members_begin_differently_and_repeat_with_a_seed(model: Any) -> None:
    first, again, other = (kplug_bayes.DeepEnsemble(model, members=3, seed=seed) for seed in (1, 1, 2))
    begin = kernels(first)
    assert not np.allclose(begin[0], begin[1])
    assert not np.allclose(begin[1], begin[2])
    for mine, same, different in zip(begin, kernels(again), kernels(other), strict=True):
        np.testing.assert_array_equal(mine, same)
        assert not np.allclose(mine, different)


def test_a_function_is_given_a_seed_by_name_only() -> None:
    given: list[int] = []

    def with_units(units: int = 4) -> Any:
        given.append(units)
        return keras.Sequential([keras.Input((2,)), keras.layers.Dense(units)])

    def with_both(units: int = 3, *, seed: int) -> Any:
        given.append(seed)
        return keras.Sequential([keras.Input((2,)), keras.layers.Dense(units)])

    assert kplug_bayes.DeepEnsemble(with_units, members=2).members[1].output_shape == (None, 4)
    assert given == [4, 4]
    assert kplug_bayes.DeepEnsemble(with_both, members=2).members[1].output_shape == (None, 3)
    assert len(set(given)) == 3


def test_members_have_what_the_model_has_adapted_and_frozen() -> None:
    normalization = keras.layers.Normalization()
    normalization.adapt(np.array([[50.0], [70.0]], "float32"))
    frozen = keras.layers.Dense(1, kernel_initializer=keras.initializers.RandomNormal(seed=3), trainable=False)
    dense = keras.layers.Dense(2, kernel_initializer=keras.initializers.RandomNormal(seed=4))
    inner = keras.Sequential([frozen, keras.layers.Dropout(0.5)])
    model = keras.Sequential([keras.Input((1,)), normalization, inner, dense])
    frozen.kernel.assign([[2.0]])
    frozen.bias.assign([0.5])
    ensemble = kplug_bayes.DeepEnsemble(model, members=2, seed=0)
    for member in ensemble.members:
        # (60 - 60) / 10 * 2 + 0.5 and (80 - 60) / 10 * 2 + 0.5
        before = keras.Sequential(member.layers[:-1])
        outputs = ops.convert_to_numpy(before(np.array([[60.0], [80.0]], "float32")))
        np.testing.assert_allclose(outputs, [[0.5], [4.5]], rtol=1e-5)
        assert not np.allclose(ops.convert_to_numpy(member.layers[-1].kernel), ops.convert_to_numpy(dense.kernel))
    states = [ops.convert_to_numpy(member.layers[1].layers[1].seed_generator.state) for member in ensemble.members]
    assert not np.array_equal(*states)


def test_members_have_the_vocabulary_that_the_model_has_adapted() -> None:
    lookup = keras.layers.IntegerLookup()
    lookup.adapt(np.array([30, 30, 10]))
    embedding = keras.layers.Embedding(3, 2)
    model = keras.Sequential([keras.Input((1,), dtype="int64"), lookup, embedding])
    ensemble = kplug_bayes.DeepEnsemble(model, members=2, seed=0)
    for member in ensemble.members:
        assert ops.convert_to_numpy(member.layers[0](np.array([30, 10, 5]))).tolist() == [1, 2, 0]


def test_members_of_a_model_have_optimizers_of_their_own() -> None:
    ensemble = kplug_bayes.DeepEnsemble(network(), members=2)
    histories = ensemble.fit(X, Y, epochs=3, verbose=0)
    assert [len(history.history["loss"]) for history in histories] == [3, 3]
    assert ensemble.members[0].optimizer is not ensemble.members[1].optimizer
    assert float(ops.convert_to_numpy(ensemble.members[0].optimizer.learning_rate)) == pytest.approx(0.02)


def test_the_spread_is_that_of_the_members() -> None:
    ensemble = kplug_bayes.DeepEnsemble(network(), members=3, seed=0)
    prediction = ensemble.predict_distribution(X)
    outputs = np.stack([member.predict(X, verbose=0) for member in ensemble.members])
    np.testing.assert_allclose(prediction.mean[:, 0], outputs[..., 0].mean(axis=0), rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(prediction.epistemic_std[:, 0], outputs[..., 0].std(axis=0), rtol=1e-4, atol=1e-5)
    noise = np.sqrt((np.logaddexp(0, outputs[..., 1]) ** 2).mean(axis=0))
    np.testing.assert_allclose(prediction.aleatoric_std[:, 0], noise, rtol=1e-4)


def test_a_bootstrap_draws_rows_together() -> None:
    ensemble = kplug_bayes.DeepEnsemble(network(), members=2, bootstrap=True, seed=3)
    number = np.arange(40.0)
    parts = [ensemble._drawn({"x": number[:, None], "y": number}, member) for member in range(2)]
    for part in parts:
        np.testing.assert_array_equal(part["x"][:, 0], part["y"])
        assert len(part["y"]) == 40
        assert 15 < len(np.unique(part["y"])) < 36
    assert not np.array_equal(parts[0]["y"], parts[1]["y"])
    ensemble.fit(X, Y, verbose=0)
    with pytest.raises(ValueError, match="needs NumPy arrays: give those, or set it to False"):
        ensemble.fit(ops.convert_to_tensor(X), ops.convert_to_tensor(Y))


@pytest.mark.parametrize("seed", [None, 3])
def test_a_member_has_the_same_bootstrap_at_each_fit_and_after_loading(seed: int | None, tmp_path: Path) -> None:
    ensemble = kplug_bayes.DeepEnsemble(network(), members=2, bootstrap=True, seed=seed)
    number = {"x": np.arange(40.0)}
    first, second = (ensemble._drawn(number, 1)["x"] for _ in range(2))
    np.testing.assert_array_equal(first, second)
    ensemble.save(tmp_path / "ensemble")
    again = kplug_bayes.DeepEnsemble.load(tmp_path / "ensemble")
    np.testing.assert_array_equal(again._drawn(number, 1)["x"], first)


def test_a_bootstrap_with_validation_split_is_refused() -> None:
    ensemble = kplug_bayes.DeepEnsemble(network(), members=2, bootstrap=True)
    with pytest.raises(ValueError, match=r"give `validation_data`\. Received: validation_split=0.2"):
        ensemble.fit(X, Y, validation_split=0.2, verbose=0)
    ensemble.fit(X, Y, validation_data=(X, Y), verbose=0)


def test_it_is_saved_and_loaded(tmp_path: Path) -> None:
    ensemble = kplug_bayes.DeepEnsemble(network(), members=2, seed=0)
    ensemble.fit(X, Y, verbose=0)
    ensemble.save(tmp_path / "ensemble")
    again = kplug_bayes.DeepEnsemble.load(tmp_path / "ensemble")
    mine, loaded = (one.predict_distribution(X, seed=1) for one in (ensemble, again))
    np.testing.assert_allclose(loaded.mean, mine.mean, rtol=1e-6)
    np.testing.assert_allclose(loaded.quantiles, mine.quantiles, rtol=1e-5)
    again.fit(X, Y, verbose=0)
    with pytest.raises(ValueError, match="new or an empty directory"):
        ensemble.save(tmp_path / "ensemble")
    with pytest.raises(ValueError, match=r"that DeepEnsemble\.save wrote"):
        kplug_bayes.DeepEnsemble.load(tmp_path)


@pytest.mark.parametrize(
    ("model", "members", "message"),
    [
        (network, 1, "`members` must be at least 2. Received: members=1"),
        ("network", 2, "Received: model=str"),
        (lambda units, seed: units, 2, "default values, or wrap it in a lambda. Received: one that needs units"),
        (lambda: 3, 2, "must return a keras.Model. Received: one that returns int"),
    ],
)
def test_a_wrong_parameter_is_named(model: Any, members: int, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        kplug_bayes.DeepEnsemble(model, members=members)


def test_a_negative_seed_is_refused() -> None:
    with pytest.raises(ValueError, match=r"`seed` must be a whole number from 0 to 4294967295. Received: seed=-1"):
        kplug_bayes.DeepEnsemble(network, members=2, seed=-1)


def test_members_that_are_not_compiled_are_refused() -> None:
    plain = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    with pytest.raises(ValueError, match="member 0, which is not compiled"):
        kplug_bayes.DeepEnsemble(plain, members=2).fit(X, Y)
