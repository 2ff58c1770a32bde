"""`synthetic_topics`: the protocol of REFERENCES.md, and its truth."""

from __future__ import annotations

import numpy as np
import pytest

import kplug
from kplug.datasets import synthetic_topics, synthetic_topics_truth

SMALL = {"num_topics": 3, "vocabulary_size": 40, "train_documents": 300, "test_documents": 100}


@pytest.fixture(scope="module")
def protocol():
    return synthetic_topics()


def test_the_protocols_sizes(protocol):
    assert [split[0].shape for split in (protocol.train, protocol.validation, protocol.test)] == [
        (4000, 1000),
        (400, 1000),
        (1000, 1000),
    ]
    for x, y in (protocol.train, protocol.validation, protocol.test):
        assert (x.dtype, y.dtype, y.shape) == (np.float32, np.int64, (len(x),))
        assert set(x.sum(axis=1)) == {60}
        assert set(y) == set(range(10))


def test_the_protocols_draw(protocol):
    # Topics, mixtures and counts in this order from RandomState(0).
    random = np.random.RandomState(0)
    topics = random.dirichlet(np.full(1000, 0.02), 10)
    mixtures = random.dirichlet(np.full(10, 0.1), 5000)
    np.testing.assert_array_equal(synthetic_topics_truth(), topics)
    np.testing.assert_array_equal(protocol.train[1], mixtures[:4000].argmax(axis=1))
    np.testing.assert_array_equal(protocol.test[1], mixtures[4000:].argmax(axis=1))


def test_the_true_topics_are_as_coherent_as_the_reference_says(protocol):
    # REFERENCES.md: NPMI of the true topics' top 10 words on the test documents is .521.
    assert kplug.topic_coherence(synthetic_topics_truth(), protocol.test[0]).mean() == pytest.approx(0.521, abs=5e-4)


def test_info(protocol):
    assert protocol.info["input_shape"] == (1000,)
    assert protocol.info["vocabulary_size"] == len(protocol.info["vocabulary"]) == 1000
    assert protocol.info["vocabulary"][999] == "word999"
    assert protocol.info["num_classes"] == len(protocol.info["class_names"]) == 10


def test_documents_of_a_topic_have_its_words():
    data = synthetic_topics(**SMALL, mixture_concentration=0.02, words_per_document=500)
    truth = synthetic_topics_truth(num_topics=3, vocabulary_size=40)
    for topic in range(3):
        counts = data.train[0][data.train[1] == topic].sum(axis=0)
        np.testing.assert_allclose(counts / counts.sum(), truth[topic], atol=0.05)


def test_the_validation_documents_cost_the_others_none():
    one, other = (synthetic_topics(**SMALL, validation_fraction=fraction) for fraction in (0.1, 0.5))
    assert (len(one.validation[0]), len(other.validation[0])) == (30, 150)
    np.testing.assert_array_equal(one.train[0], other.train[0])
    np.testing.assert_array_equal(one.test[0], other.test[0])


def test_one_seed_gives_one_draw_and_another_another():
    first, again, other = (synthetic_topics(**SMALL, seed=seed).train[0] for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)
    assert not np.array_equal(synthetic_topics_truth(seed=1), synthetic_topics_truth(seed=2))


def test_the_truth_depends_on_its_own_parameters_alone():
    truth = synthetic_topics_truth(num_topics=3, vocabulary_size=40, topic_concentration=0.5, seed=7)
    np.testing.assert_allclose(truth.sum(axis=1), 1)
    random = np.random.RandomState(7)
    np.testing.assert_array_equal(truth, random.dirichlet(np.full(40, 0.5), 3))


@pytest.mark.parametrize("seed", range(3))
def test_the_least_concentrations_still_draw_numbers(seed):
    data = synthetic_topics(
        num_topics=2, vocabulary_size=10, topic_concentration=0.02, mixture_concentration=0.02, seed=seed
    )
    assert np.isfinite(data.train[0]).all()


@pytest.mark.parametrize(("parameter", "value"), [("num_topics", 0), ("vocabulary_size", 1), ("seed", -1)])
def test_the_truth_refuses_what_the_documents_refuse(parameter, value):
    with pytest.raises(ValueError, match=f"`{parameter}`.*{value}"):
        synthetic_topics_truth(**{parameter: value})
