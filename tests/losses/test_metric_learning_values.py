"""Losses on embeddings: their values against loops over pairs and triplets, and against published numbers."""

import keras
import numpy as np
import oracles
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import kplug
from kplug.losses.distances import pairwise_distances

RNG = np.random.default_rng(1)
LABELS = np.array([0, 0, 1, 2, 1, 0, 3, 2, 2, 9])
X = RNG.normal(size=(10, 4))
VIEWS = RNG.normal(size=(5, 2, 4))
COSINES = np.tanh(RNG.normal(size=(6, 4)))


def mean(values):
    return float(np.mean(keras.ops.convert_to_numpy(values)))


@pytest.mark.parametrize("kind", ["euclidean", "squared", "cosine"])
@pytest.mark.parametrize("margin", [0.0, 0.3, 1.0])
def test_triplet_losses_are_the_papers_over_all_distances_and_margins(kind, margin):
    for function, oracle, options, names in (
        (kplug.triplet_semihard_loss, oracles.semihard, {}, {}),
        (kplug.triplet_hard_loss, oracles.hard, {}, {}),
        (kplug.triplet_hard_loss, oracles.hard, {"soft_margin": True}, {"soft": True}),
        (kplug.triplet_all_loss, oracles.all_triplets, {}, {}),
        (kplug.triplet_all_loss, oracles.all_triplets, {"nonzero_mean": True}, {"nonzero": True}),
    ):
        found = mean(function(LABELS, X.astype("float32"), margin=margin, distance=kind, **options))
        assert found == pytest.approx(oracle(LABELS, X, margin, kind, **names), rel=2e-5, abs=1e-6)


def test_triplet_loss_of_given_triplets():
    triplets = RNG.normal(size=(4, 3, 5))
    for kind in ("euclidean", "squared", "cosine"):
        expected = [max(0, oracles.distance(a, p, kind) - oracles.distance(a, n, kind) + 0.5) for a, p, n in triplets]
        found = kplug.triplet_loss(np.zeros(4), triplets.astype("float32"), margin=0.5, distance=kind)
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)


def test_tensorflow_addons_documented_case():
    embeddings = np.array([[0.0, 1.0], [1.0, 0.0]], "float32")
    assert mean(kplug.triplet_semihard_loss([0, 0], embeddings, margin=1.0)) == pytest.approx(2.4142, abs=1e-4)
    assert mean(kplug.triplet_hard_loss([0, 0], embeddings, margin=1.0)) == pytest.approx(1.0, abs=1e-4)


def test_a_distance_may_be_a_function():
    def manhattan(a, b):
        return keras.ops.sum(keras.ops.abs(a - b), axis=-1)

    found = kplug.triplet_loss([0], np.array([[[0.0, 0], [1, 2], [1, 1]]], "float32"), distance=manhattan)
    assert float(found[0]) == 2.0
    found = kplug.triplet_hard_loss([0, 0, 1], np.array([[0.0, 0], [1, 2], [1, 1]], "float32"), distance=manhattan)
    np.testing.assert_allclose(found, [3.0, 4.5, 0.0], rtol=1e-6)


def test_contrastive_loss_of_pairs_and_of_distances():
    y = np.array([1, 0, 1, 0, 0])
    distances = np.array([oracles.distance(a, b) for a, b in VIEWS])
    expected = np.where(y == 1, distances**2, np.maximum(2.5 - distances, 0) ** 2)
    np.testing.assert_allclose(kplug.contrastive_loss(y, VIEWS.astype("float32"), margin=2.5), expected, rtol=1e-5)
    np.testing.assert_allclose(
        kplug.contrastive_loss(y[:, None], distances[:, None].astype("float32"), margin=2.5), expected, rtol=1e-5
    )


@pytest.mark.parametrize("temperature", [0.1, 0.5, 2.0])
def test_contrastive_losses_of_a_batch(temperature):
    found = mean(kplug.supervised_contrastive_loss(LABELS, X.astype("float32"), temperature))
    assert found == pytest.approx(oracles.supervised_contrastive(LABELS, X, temperature), rel=1e-5)
    found = kplug.ntxent_loss(np.zeros(5), VIEWS.astype("float32"), temperature)
    np.testing.assert_allclose(found, oracles.ntxent(VIEWS, temperature), rtol=1e-5)


def test_npairs_losses():
    pairs = VIEWS.astype("float32")
    expected = oracles.npairs(VIEWS)
    np.testing.assert_allclose(kplug.npairs_loss(np.arange(5), pairs), expected, rtol=1e-5)
    similarities = pairs[:, 0] @ pairs[:, 1].T
    np.testing.assert_allclose(kplug.npairs_loss(np.arange(5), similarities), expected, rtol=1e-5)
    np.testing.assert_allclose(kplug.npairs_multilabel_loss(np.eye(5), pairs), expected, rtol=1e-5)


def test_npairs_targets_are_shared_by_class_and_by_overlap():
    similarities = np.log(np.array([[1.0, 2, 1], [1, 1, 2], [3, 1, 4]], "float32"))
    shares = [[1 / 4, 2 / 4, 1 / 4], [1 / 4, 1 / 4, 2 / 4], [3 / 8, 1 / 8, 4 / 8]]
    of_class = [-(np.log(row[0]) + np.log(row[1])) / 2 for row in shares[:2]] + [-np.log(shares[2][2])]
    np.testing.assert_allclose(kplug.npairs_loss([0, 0, 1], similarities), of_class, rtol=1e-5)
    labels = np.array([[1, 1, 0], [0, 1, 0], [0, 0, 0]])
    by_overlap = [-(2 * np.log(shares[0][0]) + np.log(shares[0][1])) / 3, -np.log(1 / 4), 0.0]
    np.testing.assert_allclose(kplug.npairs_multilabel_loss(labels, similarities), by_overlap, rtol=1e-5)


@pytest.mark.parametrize("margin", [0.0, 1.0, 3.0])
def test_lifted_structure_loss(margin):
    found = mean(kplug.lifted_structure_loss(LABELS, X.astype("float32"), margin))
    assert found == pytest.approx(oracles.lifted(LABELS, X, margin), rel=1e-5)


@pytest.mark.parametrize("epsilon", [None, 0.0, 0.1, 1.0])
def test_multi_similarity_loss(epsilon):
    found = kplug.multi_similarity_loss(LABELS, X.astype("float32"), 2.0, 10.0, 0.4, epsilon)
    np.testing.assert_allclose(
        found, oracles.multi_similarity(LABELS, X, 2.0, 10.0, 0.4, epsilon), rtol=1e-4, atol=1e-6
    )


def test_proxy_anchor_loss():
    labels = np.array([0, 2, 2, 0, 3, 2])
    found = mean(kplug.proxy_anchor_loss(labels, COSINES.astype("float32"), margin=0.1, alpha=8.0))
    assert found == pytest.approx(oracles.proxy_anchor(labels, COSINES, 0.1, 8.0), rel=1e-5)


@pytest.mark.parametrize("margin", [0.0, 0.5, 2.0])
def test_arcface_loss(margin):
    labels = np.array([0, 2, 2, 0, 3, 2])
    found = kplug.arcface_loss(labels, COSINES.astype("float32"), margin=margin, scale=8.0)
    expected = [oracles.arcface(c, row, margin, 8.0) for c, row in zip(labels, COSINES, strict=True)]
    np.testing.assert_allclose(found, expected, rtol=1e-4)


ON_LABELS = {
    "triplet_semihard_loss": {},
    "triplet_hard_loss": {},
    "triplet_all_loss": {},
    "supervised_contrastive_loss": {},
    "lifted_structure_loss": {},
    "multi_similarity_loss": {},
}


@pytest.mark.parametrize("name", ON_LABELS)
@pytest.mark.parametrize("labels", [np.arange(6), np.array([0])], ids=["all labels different", "a batch of one"])
def test_without_a_positive_pair_loss_and_gradient_are_zero(name, labels, gradient):
    x = RNG.normal(size=(len(labels), 3)).astype("float32")
    np.testing.assert_array_equal(getattr(kplug, name)(labels, x), np.zeros(len(labels)))
    found = gradient(lambda value: getattr(kplug, name)(labels, value), x)
    np.testing.assert_array_equal(found, np.zeros_like(x))


@pytest.mark.parametrize("name", ["triplet_all_loss", "lifted_structure_loss"])
def test_of_a_single_class_without_triplets_loss_and_gradient_are_zero(name, gradient):
    x = RNG.normal(size=(5, 3)).astype("float32")
    np.testing.assert_array_equal(getattr(kplug, name)(np.zeros(5), x), np.zeros(5))
    np.testing.assert_array_equal(gradient(lambda value: getattr(kplug, name)(np.zeros(5), value), x), 0 * x)


@pytest.mark.parametrize("name", ON_LABELS)
@pytest.mark.parametrize("where", ["identical", "zero", "huge", "tiny"])
def test_values_and_gradients_are_finite_at_ugly_places(name, where, gradient):
    x = {
        "identical": np.ones((6, 3)),
        "zero": np.zeros((6, 3)),
        "huge": 1e4 * RNG.normal(size=(6, 3)),
        "tiny": 1e-12 * RNG.normal(size=(6, 3)),
    }[where].astype("float32")
    labels = np.array([0, 0, 1, 1, 2, 2])
    assert np.isfinite(keras.ops.convert_to_numpy(getattr(kplug, name)(labels, x))).all()
    assert np.isfinite(gradient(lambda value: getattr(kplug, name)(labels, value), x)).all()


@pytest.mark.parametrize("distance", ["euclidean", "squared", "cosine"])
def test_given_pairs_and_triplets_that_coincide_have_finite_gradients(distance, gradient):
    same = np.ones((2, 3, 4), "float32")
    assert np.isfinite(gradient(lambda x: kplug.triplet_loss([0, 0], x, distance=distance), same)).all()
    for y in ([1, 1], [0, 0]):
        found = gradient(lambda x, y=y: kplug.contrastive_loss(y, x, distance=distance), same[:, :2])
        assert np.isfinite(found).all()


def test_arcface_has_finite_gradients_where_a_cosine_is_one_or_minus_one(gradient):
    cosines = np.array([[1.0, -1.0], [-1.0, 1.0]], "float32")
    assert np.isfinite(gradient(lambda x: kplug.arcface_loss([0, 0], x), cosines)).all()


@pytest.mark.parametrize("name", ON_LABELS)
@settings(max_examples=15)
@given(seed=st.integers(0, 2**16), order=st.permutations(range(8)))
def test_permuting_the_batch_permutes_the_values(name, seed, order):
    rng = np.random.default_rng(seed)
    x, labels = rng.normal(size=(8, 3)).astype("float32"), rng.integers(0, 3, 8)
    values = keras.ops.convert_to_numpy(getattr(kplug, name)(labels, x))
    permuted = keras.ops.convert_to_numpy(getattr(kplug, name)(labels[order], x[order]))
    np.testing.assert_allclose(permuted, values[order], rtol=1e-4, atol=1e-5)


@settings(max_examples=25)
@given(seed=st.integers(0, 2**16), classes=st.integers(1, 5), margin=st.sampled_from([0.0, 0.2, 1.0]))
def test_triplet_losses_of_any_batch(seed, classes, margin):
    rng = np.random.default_rng(seed)
    x, labels = rng.normal(size=(9, 3)).astype("float32"), rng.integers(0, classes, 9)
    exact = x.astype("float64")
    for function, oracle in (
        (kplug.triplet_semihard_loss, oracles.semihard),
        (kplug.triplet_hard_loss, oracles.hard),
        (kplug.triplet_all_loss, oracles.all_triplets),
    ):
        assert mean(function(labels, x, margin)) == pytest.approx(oracle(labels, exact, margin), rel=1e-4, abs=1e-5)


def test_semihard_negatives_are_strictly_farther():
    # The negative at the positive's own distance is not semi-hard; the one at distance 3 is.
    x = np.array([[0.0], [1.0], [-1.0], [3.0]], "float32")
    values = kplug.triplet_semihard_loss([0, 0, 1, 1], x, margin=1.0)
    assert mean(values) == pytest.approx(oracles.semihard([0, 0, 1, 1], x.astype("float64")))


def test_integer_labels_are_compared_as_such():
    labels = np.array([2**24, 2**24 + 1], "int32")
    assert mean(kplug.triplet_semihard_loss(labels, X[:2].astype("float32"))) == 0.0


@pytest.mark.parametrize(("offset", "outlier"), [(1e4, None), (0.0, 1e4), (300.0, 300.0)])
def test_distances_are_right_far_from_the_origin_and_beside_a_far_outlier(offset, outlier):
    points = (np.random.default_rng(0).normal(size=(32, 8)) + offset).astype("float32")
    if outlier is not None:
        points[3] *= outlier
    exact = points.astype("float64")
    expected = np.sqrt(np.sum(np.square(exact[:, None] - exact[None]), axis=-1))
    found = keras.ops.convert_to_numpy(pairwise_distances(keras.ops.convert_to_tensor(points)))
    np.testing.assert_allclose(found, expected, rtol=2e-5)


@settings(max_examples=30)
@given(seed=st.integers(0, 2**16), margin=st.sampled_from([0.0, 0.5, 1.0]), nonzero=st.booleans())
def test_triplets_that_just_cost_nothing_do_not_count(seed, margin, nonzero):
    rng = np.random.default_rng(seed)
    x, labels = rng.integers(0, 5, size=(7, 1)) / 2, rng.integers(0, 3, 7)
    terms = [
        abs(x[a, 0] - x[p, 0]) - abs(x[a, 0] - x[n, 0]) + margin
        for a in range(7)
        for p in range(7)
        for n in range(7)
        if a != p and labels[a] == labels[p] != labels[n]
    ]
    counted = [max(term, 0) for term in terms if term > 0 or not nonzero]
    found = mean(kplug.triplet_all_loss(labels, x.astype("float32"), margin, nonzero_mean=nonzero))
    assert found == pytest.approx(np.mean(counted) if counted else 0.0, rel=1e-5, abs=1e-6)


@settings(max_examples=15)
@given(seed=st.integers(0, 2**16), shift=st.floats(-50, 50, width=32))
def test_a_shift_of_all_logits_changes_nothing(seed, shift):
    rng = np.random.default_rng(seed)
    logits, labels = rng.normal(size=(6, 4)).astype("float32"), rng.integers(0, 4, 6)
    before, after = (
        kplug.sparse_categorical_focal_loss(labels, one, gamma=0.5, from_logits=True)
        for one in (logits, logits + np.float32(shift))
    )
    np.testing.assert_allclose(after, before, rtol=1e-4, atol=1e-5)
    tokens = rng.integers(0, 4, (2, 3))
    before, after = (
        kplug.length_penalty_loss(tokens, one.reshape(2, 3, 4)) for one in (logits, logits + np.float32(shift))
    )
    np.testing.assert_allclose(after, before, rtol=1e-4, atol=1e-5)
