"""`kplug.MatthewsCorrelation`: equal to scikit-learn's, in all forms of labels and predictions."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from sklearn.metrics import matthews_corrcoef

from kplug.metrics import MatthewsCorrelation


@pytest.fixture(scope="module")
def scores():
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 5, 200)
    return labels, np.eye(5)[labels] + rng.normal(size=(200, 5))


def test_the_documented_case_of_tensorflow_addons(updated):
    metric = MatthewsCorrelation(num_classes=2)
    assert updated(metric, [1, 1, 1, 0], np.array([1.0, 0.0, 1.0, 1.0])) == pytest.approx(-0.33333334, abs=1e-6)


def test_many_classes_are_as_in_scikit_learn(updated, scores):
    labels, given = scores
    found = updated(MatthewsCorrelation(5), labels, given, batch_size=100)
    assert found == pytest.approx(matthews_corrcoef(labels, given.argmax(axis=1)), rel=1e-5)


def test_sample_weights_are_as_in_scikit_learn(updated, scores):
    labels, given = scores
    weights = np.random.default_rng(1).uniform(0, 3, 200)
    expected = matthews_corrcoef(labels, given.argmax(axis=1), sample_weight=weights)
    assert updated(MatthewsCorrelation(5), labels, given, weights, batch_size=100) == pytest.approx(expected, rel=1e-4)


def test_rare_classes_keep_their_digits(updated):
    labels, predicted = np.zeros(100_000, "int32"), np.zeros(100_000, "int32")
    labels[:7], predicted[3:9] = 1, 1
    found = updated(MatthewsCorrelation(2), labels, predicted.astype("float32"))
    assert found == pytest.approx(matthews_corrcoef(labels, predicted), rel=1e-5)


@pytest.mark.parametrize("shape", [(-1,), (-1, 1)], ids=["vector", "column"])
def test_one_probability_is_taken_as_vector_and_column(updated, shape):
    rng = np.random.default_rng(2)
    labels, probabilities = rng.integers(0, 2, 50), rng.random(50)
    found = updated(MatthewsCorrelation(2), labels.reshape(shape), probabilities.reshape(shape))
    assert found == pytest.approx(matthews_corrcoef(labels, probabilities > 0.5), rel=1e-5)


def test_the_threshold_is_exclusive_and_can_be_that_of_logits(updated):
    logits, labels = np.array([-1.0, 0.0, 0.25, 3.0]), [0, 0, 1, 1]
    assert updated(MatthewsCorrelation(2, threshold=0.0), labels, logits) == pytest.approx(1.0)


def test_one_hot_labels_are_taken(updated, scores):
    labels, given = scores
    found = updated(MatthewsCorrelation(5), np.eye(5)[labels], given, batch_size=100)
    assert found == pytest.approx(matthews_corrcoef(labels, given.argmax(axis=1)), rel=1e-5)


def test_perfect_and_all_wrong(updated):
    labels = np.array([0, 1, 1, 0])
    assert updated(MatthewsCorrelation(2), labels, np.eye(2)[labels]) == pytest.approx(1.0)
    assert updated(MatthewsCorrelation(2), labels, np.eye(2)[1 - labels]) == pytest.approx(-1.0)


@pytest.mark.parametrize(("labels", "predicted"), [([0, 1, 2], [1, 1, 1]), ([1, 1, 1], [0, 1, 2]), ([1, 1], [1, 1])])
def test_where_it_is_not_defined_it_is_0(updated, labels, predicted):
    assert updated(MatthewsCorrelation(3), labels, np.eye(3)[predicted]) == 0.0


def test_before_any_update_it_is_0():
    assert float(MatthewsCorrelation(3).result()) == 0.0


def test_a_class_id_that_is_no_class_does_not_count(updated, scores):
    labels, given = scores
    marked = np.where(np.arange(200) % 4 == 0, -1, labels)
    kept = marked >= 0
    expected = matthews_corrcoef(labels[kept], given[kept].argmax(axis=1))
    assert updated(MatthewsCorrelation(5), marked, given, batch_size=100) == pytest.approx(expected, rel=1e-5)


def test_reset_state(updated, scores):
    labels, given = scores
    metric = MatthewsCorrelation(5)
    updated(metric, labels[::-1], given, batch_size=100)
    metric.reset_state()
    assert float(metric.result()) == 0.0
    assert updated(metric, labels, given, batch_size=100) == pytest.approx(
        matthews_corrcoef(labels, given.argmax(axis=1)), rel=1e-5
    )


def test_inside_fit_and_evaluate(identity, scores, jit_compile):
    labels, given = scores
    weights = np.random.default_rng(3).uniform(0.5, 2, 200)
    predicted = given.argmax(axis=1)
    expected = {
        "mcc": matthews_corrcoef(labels, predicted),
        "weighted": matthews_corrcoef(labels, predicted, sample_weight=weights),
    }
    model = identity(
        5,
        metrics=[MatthewsCorrelation(5, name="mcc")],
        weighted_metrics=[MatthewsCorrelation(5, name="weighted")],
        jit_compile=jit_compile,
    )
    history = model.fit(given, labels, sample_weight=weights, batch_size=100, epochs=2, verbose=0).history
    assert history["mcc"] == pytest.approx([expected["mcc"]] * 2, rel=1e-5)
    results = model.evaluate(given, labels, sample_weight=weights, batch_size=100, return_dict=True, verbose=0)
    assert {name: results[name] for name in expected} == pytest.approx(expected, rel=1e-4)


def test_config_round_trip():
    again = keras.metrics.deserialize(keras.metrics.serialize(MatthewsCorrelation(4, threshold=0.25, name="mcc")))
    assert type(again) is MatthewsCorrelation
    assert (again.num_classes, again.threshold, again.name) == (4, 0.25, "mcc")


def test_one_class_is_refused():
    with pytest.raises(ValueError, match="num_classes=1"):
        MatthewsCorrelation(num_classes=1)


@pytest.mark.parametrize(
    ("labels", "predictions", "named"), [((4, 2), (4, 3), (4, 2)), ((4,), (4,), (4,)), ((4,), (4, 2), (4, 2))]
)
def test_shapes_that_cannot_be_are_refused(labels, predictions, named):
    with pytest.raises(ValueError, match="MatthewsCorrelation needs") as caught:
        MatthewsCorrelation(3).update_state(np.zeros(labels), np.zeros(predictions))
    assert str(named) in str(caught.value)
