"""`kplug.ExpectedCalibrationError`: bins, norms, forms of labels and predictions, inside `fit`."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from sklearn.calibration import calibration_curve

from kplug.metrics import ExpectedCalibrationError


def slow_error(labels, probabilities, num_bins, norm="l1", weights=None) -> float:
    """The calibration error, bin by bin, in float64."""
    probabilities = np.asarray(probabilities, "float64")
    if probabilities.ndim == 1:
        confidence, right = probabilities, np.asarray(labels, "float64")
    else:
        confidence, right = probabilities.max(axis=1), (probabilities.argmax(axis=1) == labels).astype("float64")
    weights = np.ones(len(confidence)) if weights is None else weights
    gaps, shares = [], []
    for number in range(num_bins):
        low, high = number / num_bins, (number + 1) / num_bins
        inside = (confidence > low) & (confidence <= high) | (number == 0) & (confidence == 0)
        if not weights[inside].sum() > 0:
            continue
        accuracy = np.average(right[inside], weights=weights[inside])
        gaps.append(abs(accuracy - np.average(confidence[inside], weights=weights[inside])))
        shares.append(weights[inside].sum() / weights.sum())
    gaps, shares = np.array(gaps), np.array(shares)
    return {"l1": (shares * gaps).sum(), "l2": np.sqrt((shares * gaps**2).sum()), "max": gaps.max()}[norm]


@pytest.fixture(scope="module")
def predictions():
    rng = np.random.default_rng(0)
    logits = rng.normal(scale=2, size=(300, 4))
    probabilities = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    labels = np.where(rng.random(300) < 0.6, logits.argmax(axis=1), rng.integers(0, 4, 300))
    return labels, logits, probabilities


@pytest.mark.parametrize("norm", ["l1", "l2", "max"])
@pytest.mark.parametrize("num_bins", [1, 15])
def test_it_is_the_slow_loop_whatever_the_batches(updated, predictions, norm, num_bins):
    labels, _, probabilities = predictions
    metric = ExpectedCalibrationError(num_bins=num_bins, norm=norm)
    expected = slow_error(labels, probabilities, num_bins, norm)
    assert updated(metric, labels, probabilities, batch_size=100) == pytest.approx(expected, rel=1e-4)


def test_one_probability_is_judged_as_by_scikit_learns_calibration_curve(updated):
    rng = np.random.default_rng(1)
    probabilities = rng.random(500)
    labels = (rng.random(500) < probabilities**2).astype("int32")
    positive, mean = calibration_curve(labels, probabilities, n_bins=10)
    found = updated(ExpectedCalibrationError(num_bins=10, norm="max"), labels, probabilities, batch_size=100)
    assert found == pytest.approx(np.abs(positive - mean).max(), rel=1e-4)


@pytest.mark.parametrize("shape", [(-1,), (-1, 1)], ids=["vector", "column"])
def test_one_probability_is_taken_as_vector_and_column(updated, shape):
    labels, probabilities = np.array([1, 0, 1, 1]), np.array([0.9, 0.4, 0.6, 0.2])
    # Each is alone in its bin: .1, .4, .4 and .8 off.
    found = updated(ExpectedCalibrationError(num_bins=10), labels.reshape(shape), probabilities.reshape(shape))
    assert found == pytest.approx(0.425, rel=1e-5)


def test_bins_are_closed_on_the_right(updated):
    # In bins (0, 1/2] and (1/2, 1], the two are off by 1/2 and 1/4; in one bin they would be off by 1/8.
    found = updated(ExpectedCalibrationError(num_bins=2), [1, 1], np.array([0.5, 0.75]))
    assert found == pytest.approx(0.375)
    found = updated(ExpectedCalibrationError(num_bins=4), [1, 0], np.array([0.5, 0.375]))
    assert found == pytest.approx(abs(0.5 - 0.4375))


def test_probabilities_0_and_1_have_bins(updated):
    assert updated(ExpectedCalibrationError(), [0, 1], np.array([0.0, 1.0])) == 0.0
    assert updated(ExpectedCalibrationError(), [1, 0], np.array([0.0, 1.0])) == 1.0


def test_logits_are_made_probabilities(updated, predictions):
    labels, logits, probabilities = predictions
    expected = slow_error(labels, probabilities, 15)
    assert updated(ExpectedCalibrationError(from_logits=True), labels, logits, batch_size=100) == pytest.approx(
        expected, rel=1e-4
    )
    binary = updated(ExpectedCalibrationError(from_logits=True), labels % 2, logits[:, 0], batch_size=100)
    assert binary == pytest.approx(slow_error(labels % 2, 1 / (1 + np.exp(-logits[:, 0])), 15), rel=1e-4)


@pytest.mark.parametrize("shape", [(2, 2), (2, 1)], ids=["classes", "one"])
def test_extreme_logits_are_certain(updated, shape):
    logits = np.array([[1e4, -1e4], [-1e4, 1e4]])[:, : shape[1]]
    labels = [0, 1] if shape[1] == 2 else [1, 0]
    assert updated(ExpectedCalibrationError(from_logits=True), labels, logits) == 0.0


def test_one_hot_labels_are_taken(updated, predictions):
    labels, _, probabilities = predictions
    found = updated(ExpectedCalibrationError(), np.eye(4)[labels], probabilities, batch_size=100)
    assert found == pytest.approx(slow_error(labels, probabilities, 15), rel=1e-4)


def test_sample_weights(updated, predictions):
    labels, _, probabilities = predictions
    weights = np.random.default_rng(2).uniform(0, 1, 300)
    weights[::3] = 0
    for norm in ("l1", "l2", "max"):
        expected = slow_error(labels, probabilities, 15, norm, weights)
        metric = ExpectedCalibrationError(norm=norm)
        assert updated(metric, labels, probabilities, weights, batch_size=100) == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize("norm", ["l1", "l2", "max"])
def test_before_any_update_it_is_0(norm):
    assert float(ExpectedCalibrationError(norm=norm).result()) == 0.0


def test_reset_state(updated):
    metric = ExpectedCalibrationError()
    updated(metric, [1, 0], np.array([0.1, 0.9]))
    metric.reset_state()
    assert float(metric.result()) == 0.0
    assert updated(metric, [1], np.array([0.75])) == pytest.approx(0.25)


def test_half_precision_is_computed_in_single(updated, predictions):
    labels, _, probabilities = predictions
    halves = probabilities.astype("float16")
    metric = ExpectedCalibrationError()
    assert updated(metric, labels, halves, batch_size=100) == pytest.approx(slow_error(labels, halves, 15), rel=1e-4)


def test_inside_fit_and_evaluate(identity, predictions, jit_compile):
    labels, logits, probabilities = predictions
    weights = np.random.default_rng(3).uniform(0.5, 2, 300)
    metric = ExpectedCalibrationError(from_logits=True, name="ece")
    weighted = ExpectedCalibrationError(from_logits=True, name="weighted")
    model = identity(4, metrics=[metric], weighted_metrics=[weighted], jit_compile=jit_compile)
    expected = {
        "ece": slow_error(labels, probabilities, 15),
        "weighted": slow_error(labels, probabilities, 15, weights=weights),
    }
    history = model.fit(logits, labels, sample_weight=weights, batch_size=100, epochs=2, verbose=0).history
    assert history["ece"] == pytest.approx([expected["ece"]] * 2, rel=1e-4)
    results = model.evaluate(logits, labels, sample_weight=weights, batch_size=100, return_dict=True, verbose=0)
    assert {name: results[name] for name in expected} == pytest.approx(expected, rel=1e-4)


def test_config_round_trip():
    metric = ExpectedCalibrationError(num_bins=7, from_logits=True, norm="l2", name="ece")
    again = keras.metrics.deserialize(keras.metrics.serialize(metric))
    assert type(again) is ExpectedCalibrationError
    assert (again.num_bins, again.from_logits, again.norm, again.name) == (7, True, "l2", "ece")


@pytest.mark.parametrize(
    ("arguments", "message"), [({"num_bins": 0}, "num_bins=0"), ({"norm": "l3"}, "'l1', 'l2', 'max'.*'l3'")]
)
def test_parameters_that_cannot_be_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        ExpectedCalibrationError(**arguments)


@pytest.mark.parametrize(
    ("labels", "predictions", "named"), [((4, 2), (4, 3), (4, 2)), ((4, 2), (4,), (4, 2)), ((4,), (4, 3, 2), (4, 3, 2))]
)
def test_shapes_that_cannot_be_are_refused(labels, predictions, named):
    with pytest.raises(ValueError, match="ExpectedCalibrationError needs") as caught:
        ExpectedCalibrationError().update_state(np.zeros(labels), np.zeros(predictions))
    assert str(named) in str(caught.value)
