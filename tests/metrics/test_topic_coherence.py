"""`kplug.topic_coherence` and `kplug.TopicCoherence`: the definitions, the reference figure, batches, and `fit`."""

from __future__ import annotations

import itertools
import math

import keras
import numpy as np
import pytest
from scipy import sparse

from kplug.metrics import TopicCoherence, TopicDiversity, topic_coherence


def slow_coherence(words, counts, measure) -> float:
    """One topic's coherence, pair by pair, from sets of documents."""
    documents = [{word for word, count in enumerate(document) if count > 0} for document in counts]
    values = []
    for earlier, later in itertools.combinations(words, 2):
        with_earlier = sum(earlier in document for document in documents)
        with_later = sum(later in document for document in documents)
        both = sum({earlier, later} <= document for document in documents)
        if measure == "u_mass":
            values.append(math.log((both + 1) / with_earlier))
        elif both == 0:
            values.append(-1.0)
        else:
            p, q, r = with_earlier / len(counts), with_later / len(counts), both / len(counts)
            values.append(math.log(r / (p * q)) / -math.log(r))
    return sum(values) / len(values)


@pytest.fixture(scope="module")
def corpus():
    """Topic-word weights of 5 topics, and 60 documents of 12 words out of 30."""
    rng = np.random.default_rng(0)
    topics = rng.dirichlet(np.full(30, 0.1), 5) + 1e-6 * rng.random((5, 30))
    mixtures = rng.dirichlet(np.full(5, 0.2), 60)
    probabilities = mixtures @ (topics / topics.sum(axis=1, keepdims=True))
    counts = np.stack([rng.multinomial(12, row / row.sum()) for row in probabilities])
    counts[:3] += 1
    return topics.astype("float32"), counts


def slow_of_weights(topics, counts, num_words, measure):
    return [slow_coherence(np.argsort(-topic)[:num_words], counts, measure) for topic in topics]


@pytest.mark.parametrize("measure", ["npmi", "u_mass"])
@pytest.mark.parametrize("num_words", [2, 6])
def test_the_function_is_the_slow_loop(corpus, measure, num_words):
    topics, counts = corpus
    expected = slow_of_weights(topics, counts, num_words, measure)
    np.testing.assert_allclose(topic_coherence(topics, counts, num_words, measure), expected, rtol=1e-9)


@pytest.mark.parametrize("measure", ["npmi", "u_mass"])
def test_the_metric_is_the_mean_of_the_slow_loop_over_all_batches(corpus, measure):
    topics, counts = corpus
    metric = TopicCoherence(num_words=6, measure=measure)
    for start in range(0, 60, 20):
        metric.update_state(counts[start : start + 20], topics)
    assert float(metric.result()) == pytest.approx(np.mean(slow_of_weights(topics, counts, 6, measure)), rel=1e-5)


def test_the_true_topics_of_synthetic_lda_have_the_reference_npmi():
    # The order of the reference's draws is not known. Over seeds the figure has a standard deviation of .02.
    rng = np.random.RandomState(0)
    topics = rng.dirichlet(np.full(1000, 0.02), 10)
    mixtures = rng.dirichlet(np.full(10, 0.1), 5000)
    counts = np.stack([rng.multinomial(60, mixture @ topics) for mixture in mixtures[4000:]])
    assert topic_coherence(topics, counts).mean() == pytest.approx(0.521, abs=0.03)


def test_npmi_of_pairs_by_hand():
    # Words 0 and 1 always meet, 0 and 2 never, 0 and 3 as often as chance has it, 4 is everywhere, 5 nowhere.
    counts = np.array([[1, 1, 0, 1, 1, 0], [2, 9, 0, 0, 1, 0], [0, 0, 1, 1, 1, 0], [0, 0, 3, 0, 1, 0]])
    pairs = [[0, 1], [0, 2], [0, 3], [4, 0], [0, 5]]
    np.testing.assert_allclose(topic_coherence(pairs, counts, num_words=2), [1, -1, 0, 0, -1], atol=1e-12)


def test_words_that_are_in_every_document_say_nothing():
    assert topic_coherence([[0, 1]], np.ones((5, 2)), num_words=2) == [0.0]
    metric = TopicCoherence(num_words=2)
    metric.update_state(np.ones((5, 2)), np.ones((1, 2)))
    assert float(metric.result()) == 0.0


def test_u_mass_depends_on_the_order_of_the_words():
    # Word 0 is in one document, word 1 in three, both in one: Mimno et al. (2011), equation 1.
    counts = np.array([[1, 1], [0, 1], [0, 1]])
    assert topic_coherence([[0, 1]], counts, 2, "u_mass")[0] == pytest.approx(math.log(2 / 1))
    assert topic_coherence([[1, 0]], counts, 2, "u_mass")[0] == pytest.approx(math.log(2 / 3))


def test_u_mass_of_a_word_in_no_document_is_nan_for_that_topic_alone():
    counts = np.array([[1, 1, 0], [0, 1, 0]])
    found = topic_coherence([[0, 1], [0, 2]], counts, 2, "u_mass")
    assert np.isfinite(found[0])
    assert np.isnan(found[1])
    metric = TopicCoherence(num_words=2, measure="u_mass")
    metric.update_state(counts, np.array([[1.0, 0.0, 2.0]]))
    assert np.isnan(float(metric.result()))


@pytest.mark.parametrize(
    "make", [sparse.csr_matrix, sparse.csc_array, sparse.coo_array], ids=lambda make: make.__name__
)
def test_sparse_counts_are_as_dense_ones(corpus, make):
    topics, counts = corpus
    np.testing.assert_array_equal(topic_coherence(topics, make(counts), 6), topic_coherence(topics, counts, 6))


def test_lists_of_words_are_as_weights(corpus):
    topics, counts = corpus
    lists = [[int(word) for word in np.argsort(-topic)[:8]] for topic in topics]
    np.testing.assert_array_equal(topic_coherence(lists, counts, 6), topic_coherence(topics, counts, 6))
    # A topic may list more words than count, and the topics may differ in length.
    lists[0] = lists[0][:6]
    np.testing.assert_array_equal(topic_coherence(lists, counts, 6), topic_coherence(topics, counts, 6))


def test_tensors_are_taken(corpus):
    topics, counts = corpus
    found = topic_coherence(keras.ops.convert_to_tensor(topics), counts, 6)
    np.testing.assert_array_equal(found, topic_coherence(topics, counts, 6))


def test_sample_weights_count_documents_several_times(corpus):
    topics, counts = corpus
    weights = np.random.default_rng(1).integers(0, 4, 60)
    expected = np.mean(slow_of_weights(topics, np.repeat(counts, weights, axis=0), 6, "npmi"))
    for given in (weights, weights[:, None].astype("float32")):
        metric = TopicCoherence(num_words=6)
        metric.update_state(counts, topics, sample_weight=given)
        assert float(metric.result()) == pytest.approx(expected, rel=1e-5)


def test_the_topics_of_the_last_update_count(corpus):
    topics, counts = corpus
    metric = TopicCoherence(num_words=6)
    metric.update_state(counts[:20], topics[::-1] ** 2 + topics)
    metric.update_state(counts[20:40], topics)
    metric.update_state(counts[40:], topics)
    assert float(metric.result()) == pytest.approx(np.mean(slow_of_weights(topics, counts, 6, "npmi")), rel=1e-5)


def test_reset_state_forgets_all_documents(corpus):
    topics, counts = corpus
    metric = TopicCoherence(num_words=6)
    assert float(metric.result()) == 0.0
    metric.update_state(counts[:20], topics)
    metric.reset_state()
    assert float(metric.result()) == 0.0
    metric.update_state(counts[40:], topics)
    assert float(metric.result()) == pytest.approx(np.mean(slow_of_weights(topics, counts[40:], 6, "npmi")), rel=1e-5)


class Topics(keras.layers.Layer):
    """Puts out its topic-word matrix, whatever it is given."""

    def __init__(self, topics):
        super().__init__()
        self.topics = self.add_weight(shape=topics.shape, initializer=lambda *_, **__: keras.ops.array(topics))

    def call(self, inputs):
        return keras.ops.convert_to_tensor(self.topics)

    def compute_output_shape(self, input_shape):
        return tuple(self.topics.shape)


def test_inside_fit_and_evaluate_on_an_output_that_is_the_matrix(corpus, jit_compile):
    topics, counts = corpus
    inputs = keras.Input((30,))
    outputs = {"logits": keras.layers.Dense(30)(inputs), "topics": Topics(topics)(inputs)}
    model = keras.Model(inputs, outputs)
    model.compile(
        "sgd",
        loss={"logits": "mse"},
        metrics={"topics": [TopicCoherence(num_words=6), TopicDiversity(num_words=6)]},
        jit_compile=jit_compile,
    )
    x, y = counts.astype("float32"), {"logits": counts.astype("float32"), "topics": counts.astype("float32")}
    expected = {
        "topics_topic_coherence": np.mean(slow_of_weights(topics, counts, 6, "npmi")),
        "topics_topic_diversity": len({word for topic in topics for word in np.argsort(-topic)[:6]}) / 30,
    }
    history = model.fit(x, y, batch_size=20, epochs=2, verbose=0).history
    assert {name: history[name][-1] for name in expected} == pytest.approx(expected, rel=1e-5)
    results = model.evaluate(x, y, batch_size=20, return_dict=True, verbose=0)
    assert {name: results[name] for name in expected} == pytest.approx(expected, rel=1e-5)


def test_config_round_trip():
    metric = TopicCoherence(num_words=7, measure="u_mass", name="coherence")
    again = keras.metrics.deserialize(keras.metrics.serialize(metric))
    assert type(again) is TopicCoherence
    assert (again.num_words, again.measure, again.name) == (7, "u_mass", "coherence")


@pytest.mark.parametrize(
    ("arguments", "message"), [({"num_words": 1}, "num_words=1"), ({"measure": "c_v"}, "'npmi', 'u_mass'.*'c_v'")]
)
def test_parameters_that_cannot_be_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        TopicCoherence(**arguments)
    with pytest.raises(ValueError, match=message):
        topic_coherence([[0, 1]], np.ones((3, 3)), **{"num_words": 2, **arguments})


@pytest.mark.parametrize(
    ("topics", "counts", "message"),
    [
        ([[0, 3]], np.ones((2, 3)), r"outside the vocabulary of 3 words: \[0, 3\]"),
        ([[-1, 0]], np.ones((2, 3)), r"outside the vocabulary of 3 words: \[-1, 0\]"),
        ([[1, 1]], np.ones((2, 3)), "names a word twice"),
        ([[1, 2], [1]], np.ones((2, 3)), "Topic 1 has 1 words"),
        ([], np.ones((2, 3)), "at least one topic"),
        (np.ones((2, 4)), np.ones((2, 3)), r"\(num_topics, 3\).*\(2, 4\)"),
        ([[0, 1]], np.ones(3), r"counts of shape \(3,\)"),
        ([[0, 1]], np.ones((0, 3)), r"counts of shape \(0, 3\)"),
    ],
    ids=["beyond", "negative", "twice", "short", "none", "width", "one axis", "no documents"],
)
def test_what_does_not_fit_is_refused(topics, counts, message):
    with pytest.raises(ValueError, match=message):
        topic_coherence(topics, counts, num_words=2)


@pytest.mark.parametrize(
    ("counts", "topics"), [((4, 3), (2, 5)), ((4,), (2, 5)), ((4, 5), (5,)), ((4, 5), (2, 1))], ids=str
)
def test_shapes_that_cannot_be_are_refused(counts, topics):
    with pytest.raises(ValueError, match="TopicCoherence needs"):
        TopicCoherence(num_words=2).update_state(np.ones(counts), np.ones(topics))
