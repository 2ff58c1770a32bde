"""The detector that Keras trains."""

from __future__ import annotations

import csv
import functools
from pathlib import Path
from typing import Any

import keras
import kplug
import numpy as np
import pytest
from keras import ops
from kplug.testing import check_model
from scipy import special, stats

import kplug_bayes

RNG = np.random.default_rng(8)
COVARIANCE = np.array([[1.0, 1.2], [1.2, 4.0]])
LOCATION = np.array([50.0, -3.0])
WIDE = RNG.random(6000) < 0.08
X = (RNG.multivariate_normal([0, 0], COVARIANCE, 6000) * np.where(WIDE, 10, 1)[:, None] + LOCATION).astype("float32")
Y = WIDE.astype("int64")
INFO = {"input_shape": (2,), "num_features": 2, "feature_names": ("a", "b"), "num_classes": 2}


def numbers(tensor: Any) -> np.ndarray:
    return np.asarray(ops.convert_to_numpy(tensor), "float64")


@functools.cache
def trained(epochs: int, **options: Any) -> Any:
    keras.utils.set_random_seed(0)
    model = kplug_bayes.AnomalyDetector(**options)
    model.compile(keras.optimizers.Adam(0.005))
    model.fit(X, epochs=epochs, batch_size=500, verbose=0)
    return model


@pytest.mark.slow
@pytest.mark.parametrize("covariance", ["full", "diagonal"])
def test_it_works_in_every_way_kplug_uses_one(covariance: str, other_backends: tuple[str, ...] | None) -> None:
    data = kplug.Dataset(train=(X[:30], Y[:30]), test=(X[30:50], Y[30:50]), info=INFO)
    check_model(
        lambda: kplug_bayes.AnomalyDetector(covariance=covariance, num_classes=2),  # type: ignore[arg-type]
        data,
        compiled=covariance == "full",
        backends=other_backends if covariance == "full" else (),
    )


@pytest.mark.parametrize("covariance", ["full", "diagonal"])
def test_densities_and_posteriors_are_those_of_scipy(covariance: Any) -> None:
    model = trained(epochs=1, covariance=covariance, width=7.0)
    found = model.components()
    assert (found.covariance[0, 1] != 0) == (covariance == "full")
    normal = stats.multivariate_normal(found.location, found.covariance).logpdf(X) + np.log1p(-found.prior)
    wide = stats.multivariate_normal(found.location, 49 * found.covariance).logpdf(X) + np.log(found.prior)
    np.testing.assert_allclose(numbers(model.log_density(X)), np.logaddexp(normal, wide), rtol=1e-4, atol=1e-3)
    np.testing.assert_allclose(numbers(model.log_odds(X)), wide - normal, rtol=1e-3, atol=1e-2)
    np.testing.assert_allclose(model.predict(X, verbose=0), special.expit(wide - normal), atol=1e-3)


def test_a_uniform_component_is_that_of_the_detector() -> None:
    model = trained(epochs=1, wide="uniform", width=7.0)
    found = model.components()
    normal = stats.multivariate_normal(found.location, found.covariance).logpdf(X) + np.log1p(-found.prior)
    wide = found.wide_log_density + np.log(found.prior)
    np.testing.assert_allclose(numbers(model.log_density(X)), np.logaddexp(normal, wide), rtol=1e-4, atol=1e-3)
    np.testing.assert_allclose(numbers(model.log_odds(X)), wide - normal, rtol=1e-3, atol=1e-2)
    new = kplug_bayes.AnomalyDetector(wide="uniform", width=7.0)
    new.adapt(X)
    begun = new.components()
    sides = 14 * np.sqrt(np.diag(begun.covariance))
    assert begun.wide_log_density == pytest.approx(-np.log(sides).sum(), rel=1e-5)


def test_with_a_uniform_component_anomalies_may_be_however_far() -> None:
    far = X.copy()
    far[:100] = 1e4 * (1 + RNG.random((100, 2)))
    found = {}
    kinds: list[Any] = ["gaussian", "uniform"]
    for wide in kinds:
        model = kplug_bayes.AnomalyDetector(wide=wide, seed=0)
        model.compile(keras.optimizers.Adam(0.005))
        model.fit(far, epochs=5, batch_size=500, verbose=0)
        found[wide] = model.components()
    np.testing.assert_allclose(found["uniform"].location, LOCATION, atol=0.15)
    np.testing.assert_allclose(found["uniform"].covariance, COVARIANCE, rtol=0.3, atol=0.3)
    assert found["gaussian"].covariance[0, 0] > 1.3 * found["uniform"].covariance[0, 0]


def test_the_loss_is_the_negative_log_likelihood_with_sample_weights() -> None:
    model = trained(epochs=1)
    density = numbers(model.log_density(X[:64]))
    weights = np.linspace(0, 2, 64).astype("float32")
    plain = model.evaluate(X[:64], batch_size=64, verbose=0, return_dict=True)["loss"]
    weighted = model.evaluate(X[:64], Y[:64], sample_weight=weights, batch_size=64, verbose=0, return_dict=True)["loss"]
    assert plain == pytest.approx(-density.mean(), rel=1e-5)
    assert weighted == pytest.approx(-(weights * density).mean(), rel=1e-5)


def test_training_finds_what_expectation_maximisation_finds() -> None:
    model = trained(epochs=15)
    found, expected = model.components(), kplug_bayes.BayesianAnomalyDetector(prior="learned").fit(X).components_
    assert found.prior == pytest.approx(expected.prior, abs=0.01)
    np.testing.assert_allclose(found.location, expected.location, atol=0.05)
    np.testing.assert_allclose(found.covariance, expected.covariance, rtol=0.08, atol=0.08)
    assert ((model.predict(X, verbose=0) > 0.5) == WIDE).mean() > 0.97


def test_it_begins_at_robust_estimates_once() -> None:
    model = kplug_bayes.AnomalyDetector()
    model.adapt(X)
    before = model.components()
    np.testing.assert_allclose(before.location, LOCATION, atol=0.15)
    np.testing.assert_allclose(before.covariance, COVARIANCE, rtol=0.25, atol=0.25)
    model.adapt(X * 100)
    np.testing.assert_array_equal(model.components().covariance, before.covariance)
    many = kplug_bayes.AnomalyDetector()
    many.adapt(RNG.normal(3.0, 2.0, (200, 60)).astype("float32"))
    np.testing.assert_allclose(many.components().location, 3.0, atol=1.0)


def test_lists_are_looked_at_and_loaders_are_warned_of() -> None:
    model = kplug_bayes.AnomalyDetector()
    model.compile("adam")
    model.fit(X[:200].tolist(), verbose=0)
    np.testing.assert_allclose(model.components().location, LOCATION, atol=0.5)

    class Batches(keras.utils.PyDataset):  # type: ignore[misc]
        def __len__(self) -> int:
            return 2

        def __getitem__(self, index: int) -> Any:
            return X[index * 50 : (index + 1) * 50], Y[index * 50 : (index + 1) * 50]

    other = kplug_bayes.AnomalyDetector(num_features=2)
    other.compile("adam")
    with pytest.warns(UserWarning, match="Call `adapt` with some thousand samples first"):
        other.fit(Batches(), verbose=0)
    model.fit(Batches(), verbose=0)


def test_it_is_part_of_a_larger_model() -> None:
    detector = trained(epochs=1)
    inputs = keras.Input((2,))
    model = keras.Model(inputs, 1 - detector(inputs))
    assert model.output_shape == (None,)
    np.testing.assert_allclose(model.predict(X[:20], verbose=0), 1 - detector.predict(X[:20], verbose=0), atol=1e-6)


def test_labels_are_measured_by_and_not_learned_from() -> None:
    with_labels, without = trained(epochs=1, num_classes=2), trained(epochs=1)
    results = with_labels.evaluate(X, Y, batch_size=500, verbose=0, return_dict=True)
    flagged = with_labels.predict(X, verbose=0) > 0.5
    assert results["precision"] == pytest.approx(WIDE[flagged].mean(), abs=1e-4)
    assert results["recall"] == pytest.approx(flagged[WIDE].mean(), abs=1e-4)
    assert results["pr_auc"] > 0.9
    assert set(without.evaluate(X, Y, verbose=0, return_dict=True)) == {"loss"}
    np.testing.assert_array_equal(with_labels.components().covariance, without.components().covariance)


def test_samples_without_weight_are_not_learned_from() -> None:
    shifted, weight = X[:2000].copy(), np.repeat(np.array([1, 0], "float32"), 1000)
    shifted[1000:] += 30
    found = []
    for x, options in ((shifted, {"sample_weight": weight}), (X[:1000], {})):
        keras.utils.set_random_seed(0)
        model = kplug_bayes.AnomalyDetector(num_classes=2)
        model.compile("adam")
        assert set(model.fit(x, verbose=0, batch_size=500, **options).history) == {"loss"}
        found.append(model.components().location)
        if options:
            loss = model.evaluate(x, sample_weight=weight, batch_size=2000, verbose=0)
            half = model.evaluate(x[:1000], batch_size=1000, verbose=0)
            assert loss == pytest.approx(half / 2, rel=1e-4)
    np.testing.assert_allclose(found[0], found[1], atol=0.1)


@pytest.mark.parametrize("wide", ["gaussian", "uniform"])
def test_what_is_farther_than_float32_can_square_is_an_anomaly_and_spoils_nothing(wide: Any) -> None:
    far = X[:1000].copy()
    far[5] = [1e20, -3e38]
    model = kplug_bayes.AnomalyDetector(wide=wide)
    model.compile("adam")
    assert np.isfinite(model.fit(far, epochs=2, verbose=0).history["loss"]).all()
    probabilities = model.predict(far, verbose=0)
    assert probabilities[5] == 1
    assert np.isfinite(probabilities).all()
    assert probabilities[~WIDE[:1000]].mean() < 0.2


def test_validation_samples_are_not_looked_at() -> None:
    model = kplug_bayes.AnomalyDetector(covariance="diagonal")
    model.compile("adam")
    shifted = X[:7].copy()
    shifted[3:] += 1e6
    model.fit(shifted, None, 32, 1, 0, None, 0.5)  # validation_split by position: three samples are left
    np.testing.assert_allclose(model.components().location, np.median(shifted[:3], axis=0), rtol=0.1, atol=0.1)


def test_tensors_are_looked_at() -> None:
    model = kplug_bayes.AnomalyDetector()
    model.compile("adam")
    model.fit(ops.convert_to_tensor(X[:200] + 50_000), verbose=0)
    np.testing.assert_allclose(model.components().location, LOCATION + 50_000, atol=0.6)
    assert np.isfinite(model.evaluate(X[:20].tolist(), verbose=0))


def test_which_class_the_anomalies_are() -> None:
    turned = kplug_bayes.AnomalyDetector(num_classes=2, anomaly_class=0)
    turned.compile("adam")
    turned.fit(X, 1 - Y, epochs=1, verbose=0)
    assert turned.evaluate(X, 1 - Y, verbose=0, return_dict=True)["pr_auc"] > 0.9
    model = kplug_bayes.AnomalyDetector(num_classes=2)
    model.compile("adam")
    with pytest.raises(ValueError, match=r"class 1 is \d+% of the labels.*anomaly_class=0"):
        model.fit(X, 1 - Y, verbose=0)
    for call in (model.fit, model.evaluate):
        with pytest.raises(ValueError, match=r"must be 0 or 1, of which 1 is an anomaly\. Received: -1 in sample"):
            call(X, 2 * Y.astype(int) - 1, verbose=0)
    assert set(model.fit(X, verbose=0).history) == {"loss"}


def test_metrics_of_ones_own() -> None:
    model = kplug_bayes.AnomalyDetector()
    model.compile("adam", metrics=[keras.metrics.AUC(name="auc")])
    model.fit(X, Y, batch_size=500, verbose=0)
    assert model.evaluate(X, Y, verbose=0, return_dict=True)["auc"] > 0.9


@pytest.mark.parametrize("features", [1, 2, 4])
def test_it_leaves_a_map_and_a_table(tmp_path: Path, features: int) -> None:
    x = RNG.normal(size=(300, features)).astype("float32")
    x[7] = 30.0
    data = kplug.Dataset(train=(x, np.zeros(300)), test=(x, (x[:, 0] > 10).astype("int64")))
    model = kplug_bayes.AnomalyDetector(num_classes=2)
    model.adapt(x)
    model.write_artifacts(tmp_path, data)
    assert (tmp_path / "anomaly_map.png").stat().st_size > 10000
    rows = list(csv.DictReader((tmp_path / "anomalies.csv").open(encoding="utf-8")))
    assert (rows[0]["sample"], rows[0]["label"], float(rows[0]["probability"])) == ("7", "1", 1.0)
    assert {f"from x{number}" for number in range(features)} <= set(rows[0])
    odds = [float(row["log_odds"]) for row in rows]
    assert odds == sorted(odds, reverse=True)


def test_a_saved_model_says_the_same(tmp_path: Path) -> None:
    model = trained(epochs=1, num_classes=2, width=5.0, prior=0.05, learn_prior=False)
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    assert again.get_config() == model.get_config()
    np.testing.assert_array_equal(again.predict(X[:9], verbose=0), model.predict(X[:9], verbose=0))
    assert again.components().prior == pytest.approx(0.05)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"num_features": 0}, "`num_features`"),
        ({"covariance": "robust"}, "`covariance` must be one of 'full', 'diagonal'"),
        ({"width": 1.0}, "`width`"),
        ({"prior": 1.0}, "`prior`"),
        ({"threshold": 0.0}, "`threshold`"),
        ({"seed": -1}, "`seed`"),
    ],
)
def test_wrong_parameters_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        kplug_bayes.AnomalyDetector(**options)


def test_data_that_nothing_follows_from_are_refused() -> None:
    model = kplug_bayes.AnomalyDetector(num_features=2)
    with pytest.raises(ValueError, match=r"Received: an array of shape \(5, 3\)"):
        model.check_data(np.ones((5, 3)))
    with pytest.raises(ValueError, match="nan in sample 1, column 0"):
        model.check_data(np.array([[1.0, 2.0], [np.nan, 3.0]]))
    with pytest.raises(ValueError, match="Leave out the columns 1"):
        model.check_data(np.array([[1.0, 2.0], [3.0, 2.0]]))
    with pytest.raises(ValueError, match=r"Received: input_shape=\(None, 8, 8\)"):
        model.build((None, 8, 8))
    with pytest.raises(ValueError, match="covariance='diagonal' for more"):
        kplug_bayes.AnomalyDetector().build((None, 2000))
    with pytest.raises(ValueError, match="Received: loss='mse'"):
        model.compile("adam", "mse")
