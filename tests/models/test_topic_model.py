"""The topic model: planted topics found, bounds, texts, sparse counts, saving, bad data, pictures."""

from __future__ import annotations

import csv

import keras
import numpy as np
import pytest
from keras import ops
from scipy import sparse

import kplug
from kplug.models.topic_seeds import topic_seeds

RNG = np.random.default_rng(0)
NUM_TOPICS, WORDS_OF_EACH = 3, 8
SIZE = NUM_TOPICS * WORDS_OF_EACH
PLANTED = RNG.permutation(SIZE).reshape(NUM_TOPICS, WORDS_OF_EACH)
"""Topics without a word in common, each with words of its own at places drawn at random."""


def documents(n=240, words=30):
    """Documents that have nine words in ten from one topic, and that topic's number."""
    topics = np.arange(n) % NUM_TOPICS
    counts = np.zeros((n, SIZE), "float32")
    for row, topic in enumerate(topics):
        chances = np.full(SIZE, 0.1 / SIZE)
        chances[PLANTED[topic]] += 0.9 / WORDS_OF_EACH
        counts[row] = RNG.multinomial(words, chances / chances.sum())
    return counts, topics


COUNTS, TOPICS = documents()


def model(**options):
    keras.utils.set_random_seed(0)
    jit_compile = options.pop("jit_compile", keras.backend.backend() == "jax")
    made = kplug.NeuralTopicModel(
        **{"num_topics": NUM_TOPICS, "units": (16,), "seed": 0, "embedding_dim": 6, **options}
    )
    made.compile(keras.optimizers.Adam(0.02), jit_compile=jit_compile)
    return made


@pytest.fixture(scope="module")
def trained():
    made = model()
    made.fit(COUNTS, epochs=6, batch_size=40, verbose=0)
    return made


def found(made):
    return {frozenset(np.argsort(-row)[:WORDS_OF_EACH].tolist()) for row in made.topic_words()}


@pytest.mark.parametrize("decoder", ["mixture", "product", "embedded"])
def test_planted_topics_are_found(decoder):
    made = model(decoder=decoder)
    history = made.fit(COUNTS, epochs=8, batch_size=40, verbose=0).history
    assert found(made) == {frozenset(topic.tolist()) for topic in PLANTED}
    assert history["loss"][-1] < history["loss"][0]


def test_topics_are_distributions(trained):
    words = trained.topic_words()
    assert words.shape == (NUM_TOPICS, SIZE)
    np.testing.assert_allclose(words.sum(axis=1), 1.0, rtol=1e-5)


def test_mixtures_show_what_documents_are_about(trained):
    mixtures = trained.transform(COUNTS)
    np.testing.assert_allclose(mixtures.sum(axis=1), 1.0, rtol=1e-5)
    groups = [set(mixtures.argmax(axis=1)[topic == TOPICS].tolist()) for topic in range(NUM_TOPICS)]
    assert [len(group) for group in groups] == [1, 1, 1]
    assert len(set.union(*groups)) == NUM_TOPICS


def test_top_documents_have_the_most_of_their_topic(trained):
    mixtures = trained.transform(COUNTS)
    top = trained.top_documents(COUNTS, n=4)
    assert top.shape == (NUM_TOPICS, 4)
    for topic, numbers in enumerate(top):
        np.testing.assert_allclose(mixtures[numbers, topic], np.sort(mixtures[:, topic])[::-1][:4])


def test_the_loss_is_the_bound_by_the_papers_formula():
    made = model(dropout=0.0, initialization="random")
    made.build((None, SIZE))
    outputs = {name: ops.convert_to_numpy(part) for name, part in made(COUNTS).items()}
    expected = []
    prior = (1 / 0.1) * (1 - 2 / NUM_TOPICS) + (1 / NUM_TOPICS**2) * NUM_TOPICS / 0.1
    mixtures = outputs["mixture"]
    for row, counts in enumerate(COUNTS):
        mean, variance = outputs["mean"][row], np.exp(outputs["log_var"][row])
        kl = 0.5 * sum(v / prior + m**2 / prior - 1 + np.log(prior / v) for m, v in zip(mean, variance, strict=True))
        chances = sum(share * topic for share, topic in zip(mixtures[row], made.topic_words(), strict=True))
        expected.append(kl - sum(count * np.log(chance) for count, chance in zip(counts, chances, strict=True)))
    tensors = {name: ops.convert_to_tensor(part) for name, part in outputs.items()}
    found = float(made.compute_loss(ops.convert_to_tensor(COUNTS), y_pred=tensors))
    assert found == pytest.approx(np.mean(expected), rel=1e-4)
    made.reset_metrics()
    # `evaluate` draws its own mixtures.
    results = made.evaluate(COUNTS, batch_size=60, verbose=0, return_dict=True)
    assert results["loss"] == pytest.approx(np.mean(expected), rel=0.05)
    assert results["perplexity"] == pytest.approx(np.exp(results["loss"] * len(COUNTS) / COUNTS.sum()), rel=1e-4)
    assert made.perplexity(COUNTS) == pytest.approx(results["perplexity"], rel=0.05)


def test_evaluation_draws_from_the_posterior():
    made = model(dropout=0.0)
    made.fit(COUNTS, batch_size=80, verbose=0)
    mean, log_var = (ops.convert_to_numpy(made(COUNTS)[name]) for name in ("mean", "log_var"))
    draws = np.stack([ops.convert_to_numpy(made(COUNTS[:40])["mixture"]) for _ in range(200)])
    centred = np.log(draws) - np.log(draws).mean(axis=-1, keepdims=True)
    expected = mean[:40] - mean[:40].mean(axis=-1, keepdims=True)
    np.testing.assert_allclose(centred.mean(axis=0), expected, atol=5 * np.exp(log_var[:40] / 2).max() / np.sqrt(200))
    spread = np.log(draws[..., 0] / draws[..., 1]).var(axis=0)
    np.testing.assert_allclose(spread, np.exp(log_var[:40, :2]).sum(axis=-1), rtol=0.5)


def test_training_lowers_the_perplexity_below_that_of_the_words_alone(trained):
    shares = COUNTS.sum(axis=0) / COUNTS.sum()
    alone = np.exp(-np.sum(shares * np.log(shares)))
    assert trained.perplexity(documents()[0]) < 0.75 * alone


def test_coherence_and_diversity_are_in_the_logs_of_each_epoch():
    made = model()
    history = made.fit(COUNTS, epochs=2, batch_size=80, verbose=0).history
    words = min(10, SIZE)
    expected = kplug.topic_coherence(made.ranking(), COUNTS, num_words=words).mean()
    assert history["coherence"][-1] == pytest.approx(expected, abs=1e-6)
    assert len(history["diversity"]) == 2


def test_sparse_counts_are_as_good_as_dense_ones(trained):
    counts = sparse.csr_matrix(COUNTS)
    np.testing.assert_allclose(trained.transform(counts), trained.transform(COUNTS), rtol=1e-5)
    assert trained.perplexity(counts) == pytest.approx(trained.perplexity(COUNTS), rel=0.05)
    made = model()
    made.fit(counts, epochs=6, batch_size=40, verbose=0)
    assert found(made) == {frozenset(topic.tolist()) for topic in PLANTED}


def evaluated(made, counts, **options):
    """The results with draws that begin anew."""
    made.sampling.seed_generator.state.assign(np.array([0, 1], "uint32"))
    return made.evaluate(counts, verbose=0, return_dict=True, **options)


def test_weights_count_the_same_with_sparse_counts(trained):
    weights = np.linspace(0, 2, len(COUNTS)).astype("float32")
    dense = evaluated(trained, COUNTS, batch_size=32, sample_weight=weights)
    for form in (sparse.csr_matrix, sparse.lil_matrix):
        assert evaluated(trained, form(COUNTS), batch_size=32, sample_weight=weights) == pytest.approx(dense, rel=1e-5)
    # A weight of 2 is as good as having the document twice.
    doubled = evaluated(trained, np.repeat(COUNTS, 2, axis=0), batch_size=480)
    weighted = evaluated(trained, COUNTS, batch_size=240, sample_weight=np.full(240, 2.0))
    assert weighted["perplexity"] == pytest.approx(doubled["perplexity"], rel=0.1)
    assert weighted["loss"] == pytest.approx(2 * doubled["loss"], rel=0.1)


@pytest.mark.parametrize("form", [sparse.csr_matrix, np.asarray])
def test_validation_documents_may_be_sparse(form):
    counts = form(COUNTS)
    for validation in ({"validation_data": (counts, None)}, {"validation_split": 0.25}):
        history = model().fit(counts, batch_size=80, **validation, verbose=0).history
        assert np.isfinite(history["val_perplexity"]).all()


def test_a_last_batch_of_one_does_no_harm():
    harmless, single = model(), model()
    harmless.fit(COUNTS[:100], epochs=3, batch_size=50, verbose=0)
    single.fit(COUNTS[:101], epochs=3, batch_size=50, verbose=0)
    assert single.perplexity(COUNTS) < 1.1 * harmless.perplexity(COUNTS)


def test_batches_of_one_leave_a_model_that_can_be_used():
    made = model()
    made.fit(COUNTS[:30], batch_size=1, verbose=0)
    assert np.isfinite(made.perplexity(COUNTS))
    assert np.isfinite(made.transform(COUNTS)).all()


def test_a_fit_that_was_refused_leaves_nothing_behind():
    made = model()
    with pytest.raises(ValueError, match="3 topics need"):
        made.fit(COUNTS[:2], verbose=0)
    with pytest.raises(ValueError, match=r"No word is left.*vocabulary=kplug\.datasets\.build_vocabulary"):
        made.fit(["one text", "another one"], verbose=0)
    with pytest.raises(ValueError, match="3 topics need"):
        made.fit(["planet star", "star planet"] * 20 + ["moon"] * 10, verbose=0)
    assert made.vocabulary is None
    made.fit(COUNTS, epochs=6, batch_size=40, verbose=0)
    assert found(made) == {frozenset(topic.tolist()) for topic in PLANTED}


def test_large_counts_do_not_overflow_half_precision():
    made = model(dtype="mixed_float16")
    assert np.isfinite(made.fit(COUNTS * 20_000, batch_size=80, verbose=0).history["loss"]).all()


def test_training_goes_on_where_a_loaded_model_stopped(trained, tmp_path):
    trained.save(tmp_path / "model.keras")
    loaded = kplug.load_model(tmp_path / "model.keras")
    loaded.optimizer.learning_rate = 0.0
    loaded.fit(COUNTS, batch_size=80, verbose=0)
    np.testing.assert_allclose(loaded.topic_words(), trained.topic_words(), rtol=1e-4)


def texts():
    subjects = ["planet star comet orbit moon", "flour butter sugar oven dough", "goal pitch referee striker ball"]
    return [" ".join(RNG.permutation(subjects[number % 3].split())) for number in range(90)]


def test_texts_make_a_vocabulary_that_is_saved_with_the_model(tmp_path):
    made = model()
    made.fit(texts(), epochs=6, batch_size=30, verbose=0)
    assert {frozenset(words) for words in made.topics(5)} == {
        frozenset({"planet", "star", "comet", "orbit", "moon"}),
        frozenset({"flour", "butter", "sugar", "oven", "dough"}),
        frozenset({"goal", "pitch", "referee", "striker", "ball"}),
    }
    made.save(tmp_path / "model.keras")
    loaded = kplug.load_model(tmp_path / "model.keras")
    assert loaded.topics(5) == made.topics(5)
    new = ["the oven and the dough", "a comet near the moon"]
    np.testing.assert_allclose(loaded.transform(new), made.transform(new), rtol=1e-5)
    loaded.fit(texts(), batch_size=30, validation_data=texts(), verbose=0)
    assert loaded.predict(new, verbose=0)["mean"].shape == (2, NUM_TOPICS)


def test_lower_relevance_prefers_words_that_are_a_topics_own():
    made = model(num_topics=2)
    made.build((None, 3))
    made.topic_scores.assign(np.log([[0.6, 0.3, 0.1], [0.6, 0.1, 0.3]]))
    assert made.topics(1, relevance=1.0) == [["0"], ["0"]]
    assert made.topics(1, relevance=0.0) == [["1"], ["2"]]
    # log 0.3 - 0.5 log 0.2 for the own word, log 0.6 - 0.5 log 0.6 for the common one.
    np.testing.assert_allclose(made.ranking(0.5)[0], np.log([0.6**0.5, 0.3 / 0.2**0.5, 0.1 / 0.2**0.5]), rtol=1e-4)


def test_topics_begin_at_clusters_of_the_documents():
    words = np.argsort(-topic_seeds(COUNTS, NUM_TOPICS, seed=0), axis=1)[:, :WORDS_OF_EACH]
    assert {frozenset(row.tolist()) for row in words} == {frozenset(topic.tolist()) for topic in PLANTED}


@pytest.mark.parametrize("jit_compile", [False, True])
def test_compiled_training_with_a_partial_batch_and_weights(jit_compile):
    if jit_compile and keras.backend.backend() == "torch":
        pytest.skip("PyTorch has no XLA")
    weights = np.linspace(0, 2, 50)
    history = model(jit_compile=jit_compile).fit(COUNTS[:50], sample_weight=weights, batch_size=40, verbose=0).history
    assert np.isfinite(history["loss"]).all()


def test_one_seed_gives_one_training():
    runs = [model().fit(COUNTS, epochs=2, batch_size=80, verbose=0, shuffle=False).history for _ in range(2)]
    assert runs[0] == runs[1]


def test_mixed_precision_and_a_batch_of_one():
    made = model(dtype="mixed_float16")
    assert np.isfinite(made.fit(COUNTS, batch_size=239, verbose=0).history["loss"]).all()


@pytest.mark.parametrize(
    ("x", "named"),
    [
        (np.ones((4, 3, 2), "float32"), r"Received: an array of shape \(4, 3, 2\)"),
        (np.full((4, SIZE), -1.0), "at least 0. Received: -1.0"),
        (np.full((4, SIZE), np.nan), "at least 0. Received: nan"),
        (np.zeros((4, SIZE)), "None of the 4 documents"),
        (np.eye(2, SIZE), "3 topics need as many documents at least that differ.*Received: 2 documents"),
        (np.ones((60, SIZE)), "Received: 60 documents with words, 1 that differ"),
        (np.full((4, SIZE), 0.5), r"Received: 0.5 in document 0, word 0"),
        (np.full((4, SIZE), np.inf), r"Received: inf in document 0, word 0"),
        (["a text", None], "Document 1 is no text. Received: None"),
        ("a text", "a list of texts, not one text"),
    ],
    ids=["axes", "negative", "NaN", "empty", "few", "alike", "shares", "infinity", "a gap", "one text"],
)
def test_data_that_are_no_counts_are_refused(x, named):
    with pytest.raises(ValueError, match=named):
        model().fit(x, verbose=0)


def test_counts_of_another_vocabulary_are_refused(trained):
    with pytest.raises(ValueError, match=rf"\(n, {SIZE}\). Received: an array of shape \(2, 5\)"):
        trained.transform(np.ones((2, 5)))


def test_texts_without_a_vocabulary_are_refused(trained):
    with pytest.raises(ValueError, match="no vocabulary"):
        trained.transform(["some words"])


@pytest.mark.parametrize(
    "options",
    [
        {"num_topics": 1},
        {"decoder": "lda"},
        {"units": (0,)},
        {"dropout": 1.0},
        {"concentration": 0.0},
        {"initialization": "zeros"},
        {"vocabulary": ("a", "b"), "vocabulary_size": 3},
        {"vocabulary": ("a", "a")},
        {"decoder": "embedded", "embedding_dim": 2},
    ],
    ids=str,
)
def test_a_wrong_parameter_is_named(options):
    with pytest.raises(ValueError, match=list(options)[-1]):
        model(**options)


def test_it_leaves_a_table_and_pictures(trained, tmp_path):
    vocabulary = tuple(f"word{number}" for number in range(SIZE))
    dataset = kplug.Dataset((COUNTS, TOPICS), info={"vocabulary": vocabulary, "vocabulary_size": SIZE})
    trained.write_artifacts(tmp_path, dataset)
    for name in ("topics", "topic_sizes"):
        assert (tmp_path / f"{name}.png").read_bytes().startswith(b"\x89PNG")
    rows = list(csv.DictReader((tmp_path / "topics.csv").open(encoding="utf-8")))
    assert len(rows) == NUM_TOPICS * 10
    first = {row["word"] for row in rows if row["topic"] == "0" and int(row["rank_by_relevance"]) <= WORDS_OF_EACH}
    assert {int(word.removeprefix("word")) for word in first} in [set(topic.tolist()) for topic in PLANTED]
