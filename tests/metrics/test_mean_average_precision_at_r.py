"""`kplug.MeanAveragePrecisionAtR`: the definition, over batches, at the edges, and inside `evaluate`."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kplug.metrics import MeanAveragePrecisionAtR


def slow_map_at_r(labels, points, distance, weights=None) -> float:
    """MAP@R by the definition, one query after the other, in float64."""
    points = np.asarray(points, "float64")
    if distance == "cosine":
        points = points / np.linalg.norm(points, axis=1, keepdims=True)
    total = weight_sum = 0.0
    for query in range(len(labels)):
        others = [other for other in range(len(labels)) if other != query]
        others.sort(key=lambda other: ((points[query] - points[other]) ** 2).sum())
        matches = [labels[other] == labels[query] for other in others]
        r = sum(matches)
        if r == 0:
            continue
        precisions = [sum(matches[: i + 1]) / (i + 1) if matches[i] else 0.0 for i in range(r)]
        weight = 1.0 if weights is None else weights[query]
        total += weight * sum(precisions) / r
        weight_sum += weight
    return total / weight_sum if weight_sum else 0.0


@pytest.mark.parametrize(
    ("ranking", "expected"),
    [
        # The nearest ten of a query with R = 10, by hand: (1/1) / 10, (1/1 + 2/10) / 10, (1/1 + 2/2) / 10.
        ([1, 0, 0, 0, 0, 0, 0, 0, 0, 0], 0.1),
        ([1, 0, 0, 0, 0, 0, 0, 0, 0, 1], 0.12),
        ([1, 1, 0, 0, 0, 0, 0, 0, 0, 0], 0.2),
    ],
)
def test_one_query(updated, ranking, expected):
    labels = [0, *(1 - np.array(ranking)), *[0] * (10 - sum(ranking))]
    labels = np.array([0 if label == 0 else 100 + place for place, label in enumerate(labels)])
    points = np.arange(len(labels))[:, None] * np.ones(4)
    weights = np.eye(len(labels))[0]
    metric = MeanAveragePrecisionAtR(distance="euclidean", capacity=64)
    assert updated(metric, labels, points, weights, batch_size=1) == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("distance", ["cosine", "euclidean"])
@pytest.mark.parametrize("batch_size", [1, 15])
def test_it_is_the_slow_loop_over_all_samples_whatever_the_batches(updated, embeddings, distance, batch_size):
    labels, points = embeddings
    metric = MeanAveragePrecisionAtR(distance=distance, capacity=64)
    expected = slow_map_at_r(labels, points, distance)
    assert updated(metric, labels, points, batch_size=batch_size) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("samples", [129, 257])
def test_buffers_of_any_filling_give_the_same(updated, samples):
    rng = np.random.default_rng(samples)
    labels, points = rng.integers(0, 9, samples), rng.normal(size=(samples, 3))
    metric = MeanAveragePrecisionAtR(capacity=257)
    assert updated(metric, labels, points) == pytest.approx(slow_map_at_r(labels, points, "cosine"), rel=1e-5)


@settings(max_examples=10)
@given(seed=st.integers(0, 2**32 - 1))
def test_the_order_of_the_samples_does_not_matter(updated, embeddings, seed):
    labels, points = embeddings
    order = np.random.default_rng(seed).permutation(len(labels))
    shuffled = updated(MeanAveragePrecisionAtR(capacity=64), labels[order], points[order], batch_size=15)
    assert shuffled == pytest.approx(slow_map_at_r(labels, points, "cosine"), rel=1e-5)


def test_perfect_embeddings_have_1(one_by_one):
    labels = np.arange(30) % 3
    assert one_by_one(MeanAveragePrecisionAtR(capacity=64), labels, np.eye(3)[labels]) == pytest.approx(1.0)


@pytest.mark.parametrize("distance", ["cosine", "euclidean"])
def test_embeddings_that_are_all_one_point_have_0(updated, distance):
    # Fourteen others of the same label, all behind the fifteen of the other one.
    labels = np.arange(30) % 2
    assert updated(MeanAveragePrecisionAtR(distance, capacity=64), labels, np.full((30, 4), 0.3), batch_size=15) == 0.0


@pytest.mark.parametrize("labels", [[1], [1, 2, 3]])
def test_without_a_query_it_is_0(one_by_one, labels):
    assert one_by_one(MeanAveragePrecisionAtR(capacity=64), labels, np.eye(3)[: len(labels)]) == 0.0


def test_before_any_update_it_is_0():
    assert float(MeanAveragePrecisionAtR().result()) == 0.0


def test_embeddings_that_are_not_finite_come_last(one_by_one):
    points = np.array([[0.0], [0.1], [5.0], [5.1], [np.nan], [1e30]])
    labels = [0, 0, 1, 1, 0, 1]
    # The first four find one of two matches first; then comes the other label. The last two find nothing in time.
    expected = (4 * 0.5) / 6
    metric = MeanAveragePrecisionAtR(distance="euclidean", capacity=64)
    assert one_by_one(metric, labels, points) == pytest.approx(expected)


def test_beyond_the_capacity_the_first_samples_count(updated, embeddings):
    labels, points = (np.concatenate([part, part[::-1] + 1]) for part in embeddings)
    expected = slow_map_at_r(labels[:64], points[:64], "cosine")
    found = updated(MeanAveragePrecisionAtR(capacity=64), labels, points, batch_size=15)
    assert found == pytest.approx(expected, rel=1e-5)


def test_sample_weights_weight_the_queries(updated, embeddings):
    labels, points = embeddings
    weights = np.random.default_rng(1).uniform(0, 2, 45)
    weights[:9] = 0
    expected = slow_map_at_r(labels, points, "cosine", weights)
    metric = MeanAveragePrecisionAtR(capacity=64)
    assert updated(metric, labels, points, weights, batch_size=1) == pytest.approx(expected, rel=1e-5)


def test_reset_state_forgets_all_samples(updated, embeddings):
    labels, points = embeddings
    metric = MeanAveragePrecisionAtR(capacity=64)
    updated(metric, labels[::-1], points + 1, batch_size=15)
    metric.reset_state()
    assert float(metric.result()) == 0.0
    expected = slow_map_at_r(labels[:12], points[:12], "cosine")
    assert updated(metric, labels[:12], points[:12], batch_size=1) == pytest.approx(expected, rel=1e-5)


def test_inside_fit_and_evaluate(identity, embeddings, jit_compile):
    labels, points = embeddings
    # The capacity has the metric choose among two sizes.
    model = identity(4, metrics=[MeanAveragePrecisionAtR(capacity=258)], jit_compile=jit_compile)
    expected = slow_map_at_r(labels, points, "cosine")
    history = model.fit(points, labels, batch_size=15, epochs=2, verbose=0).history
    assert history["mean_average_precision_at_r"] == pytest.approx([expected] * 2, rel=1e-5)
    results = model.evaluate(points, labels, batch_size=15, return_dict=True, verbose=0)
    assert results["mean_average_precision_at_r"] == pytest.approx(expected, rel=1e-5)


def test_config_round_trip():
    metric = MeanAveragePrecisionAtR("euclidean", capacity=99, name="map")
    again = keras.metrics.deserialize(keras.metrics.serialize(metric))
    assert type(again) is MeanAveragePrecisionAtR
    assert (again.distance, again.capacity, again.name) == ("euclidean", 99, "map")


def test_parameters_that_cannot_be_are_refused():
    with pytest.raises(ValueError, match="capacity=0"):
        MeanAveragePrecisionAtR(capacity=0)
    with pytest.raises(ValueError, match="'squared'"):
        MeanAveragePrecisionAtR(distance="squared")
