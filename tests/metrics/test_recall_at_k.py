"""`kplug.RecallAtK`: what it counts, over batches, at the edges, and inside `fit`."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.datasets import load_digits
from sklearn.neighbors import NearestNeighbors

from kplug.metrics import RecallAtK


def slow_recall(labels, embeddings, k, distance, weights=None) -> float:
    """Recall@K by the definition, one query after the other, in float64."""
    found = total = 0.0
    embeddings = np.asarray(embeddings, "float64")
    for query in range(len(labels)):
        distances = []
        for other in range(len(labels)):
            if other == query:
                continue
            a, b = embeddings[query], embeddings[other]
            if distance == "euclidean":
                far = np.sqrt(((a - b) ** 2).sum())
            else:
                lengths = np.linalg.norm(a) * np.linalg.norm(b)
                far = 1 - (a @ b / lengths if lengths else 0.0)
            distances.append((far, labels[other] == labels[query]))
        if not any(match for _, match in distances):
            continue
        weight = 1 if weights is None else weights[query]
        found += weight * any(match for _, match in sorted(distances)[:k])
        total += weight
    return found / total if total else 0.0


@pytest.mark.parametrize(("distance", "k"), [("cosine", 1), ("cosine", 3), ("euclidean", 3)])
@pytest.mark.parametrize("batch_size", [1, 15])
def test_it_is_the_slow_loop_over_all_samples_whatever_the_batches(updated, embeddings, k, distance, batch_size):
    labels, points = embeddings
    metric = RecallAtK(k=k, distance=distance, capacity=64)
    found = updated(metric, labels, points, batch_size=batch_size)
    assert found == pytest.approx(slow_recall(labels, points, k, distance), abs=1e-6)


def test_recall_at_1_on_digits_is_that_of_scikit_learn(identity):
    x, y = load_digits(return_X_y=True)
    # The data themselves have equal distances; with noise there is one answer.
    x = x + np.random.default_rng(0).normal(scale=0.01, size=x.shape)
    nearest = NearestNeighbors(n_neighbors=2).fit(x).kneighbors(x, return_distance=False)[:, 1]
    model = identity(64, metrics=[RecallAtK(k=1, distance="euclidean")])
    results = model.evaluate(x, y, batch_size=599, return_dict=True, verbose=0)
    assert results["recall_at_k"] == pytest.approx((y == y[nearest]).mean(), abs=1e-6)


@settings(max_examples=10)
@given(seed=st.integers(0, 2**32 - 1))
def test_the_order_of_the_samples_does_not_matter(updated, embeddings, seed):
    labels, points = embeddings
    order = np.random.default_rng(seed).permutation(len(labels))
    shuffled = updated(RecallAtK(k=3, capacity=64), labels[order], points[order], batch_size=15)
    assert shuffled == pytest.approx(slow_recall(labels, points, 3, "cosine"), abs=1e-6)


def test_neighbours_are_found_in_other_batches(one_by_one):
    points = np.array([[0.0], [10.0], [0.1], [10.1]])
    assert one_by_one(RecallAtK(distance="euclidean", capacity=64), [0, 1, 0, 1], points) == 1.0


def test_cosine_distance_ignores_lengths(one_by_one):
    points = np.array([[1.0, 0.0], [0.9, 1.1], [9.0, 0.5], [0.0, 1.0]])
    labels = [0, 1, 0, 1]
    assert one_by_one(RecallAtK(distance="cosine", capacity=64), labels, points) == 1.0
    assert one_by_one(RecallAtK(distance="euclidean", capacity=64), labels, points) == 0.75


def test_a_zero_vector_is_orthogonal_to_all_others(one_by_one):
    # The cosine distances of the zero vector are 1; those of the first sample are 1.5, .75 and 1.
    points = np.array([[1.0, 0.0], [-0.5, 0.75**0.5], [0.25, -(0.9375**0.5)], [0.0, 0.0]])
    labels = [0, 0, 1, 1]
    assert slow_recall(labels, points, 2, "cosine") == one_by_one(RecallAtK(k=2, capacity=64), labels, points)


def test_a_query_without_its_label_elsewhere_is_left_out(one_by_one):
    points = np.array([[0.0], [1.0], [3.0]])
    assert one_by_one(RecallAtK(distance="euclidean", capacity=64), [0, 0, 7], points) == 1.0


@pytest.mark.parametrize("labels", [[1], [1, 2, 3]])
def test_without_a_query_it_is_0(one_by_one, labels):
    assert one_by_one(RecallAtK(capacity=64), labels, np.eye(3)[: len(labels)]) == 0.0


def test_before_any_update_it_is_0():
    assert float(RecallAtK().result()) == 0.0


@pytest.mark.parametrize("distance", ["cosine", "euclidean"])
def test_embeddings_that_are_all_one_point_find_nothing(updated, distance):
    points = np.full((30, 4), 0.3)
    assert updated(RecallAtK(distance=distance, capacity=64), np.arange(30) % 2, points, batch_size=15) == 0.0


def test_embeddings_that_are_not_finite_find_nothing_and_disturb_no_other(one_by_one):
    points = np.array([[0.0], [0.1], [5.0], [5.1], [np.nan], [np.inf], [1e30]])
    labels = [0, 0, 1, 1, 0, 1, 1]
    # Of seven queries, the four at 0 and 5 find their own.
    assert one_by_one(RecallAtK(distance="euclidean", capacity=64), labels, points) == pytest.approx(4 / 7)


def test_small_distances_far_from_the_origin_are_told_apart(one_by_one):
    points = 1000 + np.array([[0.0], [0.01], [0.03], [0.04]])
    assert one_by_one(RecallAtK(distance="euclidean", capacity=64), [0, 0, 1, 1], points) == 1.0


@pytest.mark.parametrize("batch_size", [1, 15])
def test_beyond_the_capacity_the_first_samples_count(updated, embeddings, batch_size):
    labels, points = (np.concatenate([part, part[::-1] + 1]) for part in embeddings)
    metric = RecallAtK(k=3, capacity=64)
    expected = slow_recall(labels[:64], points[:64], 3, "cosine")
    assert updated(metric, labels, points, batch_size=batch_size) == pytest.approx(expected, abs=1e-6)


def test_sample_weights_weight_the_queries(updated, embeddings):
    labels, points = embeddings
    weights = np.random.default_rng(1).uniform(0, 2, 45)
    weights[:9] = 0
    expected = slow_recall(labels, points, 1, "cosine", weights)
    assert updated(RecallAtK(capacity=64), labels, points, weights, batch_size=1) == pytest.approx(expected, rel=1e-5)
    column = updated(RecallAtK(capacity=64), labels, points, weights[:, None], batch_size=1)
    assert column == pytest.approx(expected, rel=1e-5)


def test_labels_may_be_a_column(updated, embeddings):
    labels, points = embeddings
    column = updated(RecallAtK(capacity=64), labels[:, None], points, batch_size=15)
    assert column == pytest.approx(slow_recall(labels, points, 1, "cosine"), abs=1e-6)


def test_large_labels_are_told_apart(one_by_one):
    labels = np.array([2**24, 2**24, 2**24 + 1, 2**24 + 1], "int32")
    points = np.array([[0.0], [2.0], [1.0], [3.0]])
    assert one_by_one(RecallAtK(distance="euclidean", capacity=64), labels, points) == 0.0


def test_reset_state_forgets_all_samples(updated, embeddings):
    labels, points = embeddings
    metric = RecallAtK(k=3, capacity=64)
    updated(metric, labels[::-1], points + 1, batch_size=15)
    metric.reset_state()
    assert float(metric.result()) == 0.0
    expected = slow_recall(labels[:12], points[:12], 3, "cosine")
    assert updated(metric, labels[:12], points[:12], batch_size=1) == pytest.approx(expected, abs=1e-6)


def test_half_precision_is_computed_in_single(one_by_one):
    points = np.array([[300.0, 0.0], [290.0, 1.0], [0.0, 300.0], [1.0, 290.0]], "float16")
    assert one_by_one(RecallAtK(distance="euclidean", capacity=64), [0, 0, 1, 1], points) == 1.0


def test_inside_fit_and_evaluate(identity, embeddings, jit_compile):
    labels, points = embeddings
    metrics = [RecallAtK(capacity=64), RecallAtK(k=3, distance="euclidean", capacity=64, name="recall_at_3")]
    model = identity(4, metrics=metrics, jit_compile=jit_compile)
    expected = {
        "recall_at_k": slow_recall(labels, points, 1, "cosine"),
        "recall_at_3": slow_recall(labels, points, 3, "euclidean"),
    }
    history = model.fit(points, labels, batch_size=15, epochs=2, verbose=0).history
    assert history["recall_at_k"] == pytest.approx([expected["recall_at_k"]] * 2, abs=1e-6)
    assert history["recall_at_3"] == pytest.approx([expected["recall_at_3"]] * 2, abs=1e-6)
    results = model.evaluate(points, labels, batch_size=15, return_dict=True, verbose=0)
    assert {name: results[name] for name in expected} == pytest.approx(expected, abs=1e-6)


def test_it_is_saved_with_a_compiled_model(tmp_path):
    inputs = keras.Input((4,))
    model = keras.Model(inputs, keras.layers.Dense(3)(inputs))
    model.compile("sgd", "mse", metrics=[RecallAtK(k=5, distance="euclidean", capacity=99, name="r5")])
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    points = np.random.default_rng(0).normal(size=(20, 4))
    y = np.zeros((20, 1), "int32")
    assert again.evaluate(points, y, return_dict=True, verbose=0)["r5"] == 1.0


def test_config_round_trip():
    metric = RecallAtK(k=5, distance="euclidean", capacity=99, name="r5", dtype="float64")
    again = keras.metrics.deserialize(keras.metrics.serialize(metric))
    assert type(again) is RecallAtK
    assert (again.k, again.distance, again.capacity, again.name, again.dtype) == (5, "euclidean", 99, "r5", "float64")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"k": 0}, "k=0"),
        ({"k": 8, "capacity": 8}, "k=8, capacity=8"),
        ({"capacity": 1}, "capacity=1"),
        ({"distance": "manhattan"}, "'cosine', 'euclidean'.*'manhattan'"),
    ],
)
def test_parameters_that_cannot_be_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        RecallAtK(**arguments)


@pytest.mark.parametrize(("labels", "points"), [((4,), (4,)), ((4, 2), (4, 2)), ((4,), (4, 2, 2))], ids=str)
def test_shapes_that_cannot_be_are_refused(labels, points):
    with pytest.raises(ValueError, match="RecallAtK needs integer labels of shape") as caught:
        RecallAtK().update_state(np.zeros(labels), np.zeros(points))
    assert str(points) in str(caught.value)


def test_another_dimension_is_refused():
    metric = RecallAtK(capacity=64)
    metric.update_state([0], np.zeros((1, 4)))
    with pytest.raises(ValueError, match=r"holds embeddings of 4 dimensions.*\(2, 3\)"):
        metric.update_state([0, 1], np.zeros((2, 3)))
