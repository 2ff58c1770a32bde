"""`kplug.topic_diversity` and `kplug.TopicDiversity`: the share of distinct words."""

from __future__ import annotations

import keras
import numpy as np
import pytest

from kplug.metrics import TopicDiversity, topic_diversity


def metric_of(topics, num_words) -> float:
    metric = TopicDiversity(num_words=num_words)
    metric.update_state(None, topics)
    return float(metric.result())


WEIGHTS = np.array([[9.0, 8, 7, 1, 0, 0], [0, 1, 8, 9, 7, 0], [0, 1, 2, 7, 8, 9]])


@pytest.mark.parametrize(
    ("num_words", "expected"), [(1, 3 / 3), (2, 6 / 6), (3, 6 / 9)], ids=["all differ", "none shared", "three shared"]
)
def test_the_share_of_distinct_words(num_words, expected):
    # The top words are 0 1 2, 3 2 4 and 5 4 3.
    assert topic_diversity(WEIGHTS, num_words) == pytest.approx(expected)
    assert metric_of(WEIGHTS, num_words) == pytest.approx(expected)


def test_lists_of_words():
    assert topic_diversity([[4, 5, 1], [7, 4, 0]], num_words=2) == 0.75
    assert topic_diversity([np.array([4, 5, 1]), np.array([7, 4, 0])], num_words=1) == 1.0


def test_topics_that_are_all_alike():
    assert topic_diversity(np.tile(WEIGHTS[:1], (5, 1)), num_words=3) == pytest.approx(0.2)
    assert metric_of(np.tile(WEIGHTS[:1], (5, 1)), 3) == pytest.approx(0.2)


def test_one_topic_has_1():
    assert topic_diversity(WEIGHTS[:1], num_words=6) == metric_of(WEIGHTS[:1], 6) == 1.0


def test_tensors_and_variables_are_taken():
    assert topic_diversity(keras.ops.convert_to_tensor(WEIGHTS), 3) == pytest.approx(2 / 3)
    assert topic_diversity(keras.Variable(WEIGHTS), 3) == pytest.approx(2 / 3)


def test_unsigned_counts_are_ordered():
    assert topic_diversity(np.array([[0, 1, 2], [2, 1, 0]], "uint8"), num_words=1) == 1.0


def test_the_metric_keeps_the_last_topics_and_forgets_them():
    metric = TopicDiversity(num_words=3)
    assert float(metric.result()) == 0.0
    metric.update_state(None, WEIGHTS[:1])
    metric.update_state(None, WEIGHTS)
    assert float(metric.result()) == pytest.approx(2 / 3)
    metric.reset_state()
    assert float(metric.result()) == 0.0


def test_config_round_trip():
    again = keras.metrics.deserialize(keras.metrics.serialize(TopicDiversity(num_words=7, name="td")))
    assert type(again) is TopicDiversity
    assert (again.num_words, again.name) == (7, "td")


def test_too_few_words_are_refused():
    with pytest.raises(ValueError, match="num_words=0"):
        topic_diversity(WEIGHTS, num_words=0)
    with pytest.raises(ValueError, match="num_words=0"):
        TopicDiversity(num_words=0)
    with pytest.raises(ValueError, match="Topic 0 has 6 words, fewer than num_words=25"):
        topic_diversity(WEIGHTS)
    with pytest.raises(ValueError, match=r"num_words=25 words. Received: y_pred of shape \(3, 6\)"):
        metric_of(WEIGHTS, 25)


@pytest.mark.parametrize("topics", [np.zeros(4), np.zeros((2, 2, 2))], ids=["vector", "three axes"])
def test_other_shapes_are_refused(topics):
    with pytest.raises(ValueError, match="Received: an array of shape"):
        topic_diversity(topics, num_words=1)
    with pytest.raises(ValueError, match="TopicDiversity needs topic-word weights"):
        metric_of(topics, 1)
