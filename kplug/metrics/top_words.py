"""The top words of topics, given as weights or as lists of words."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

import keras
import numpy as np
from keras import ops
from pydantic import Field

Topics = Any
"""Topic-word weights of shape `(num_topics, vocabulary_size)`, larger for likelier words; or a list of lists of word
indices, the likeliest first."""

NumWords = Annotated[int, Field(gt=0)]


def check_num_words(num_words: int, least: int) -> None:
    """Refuse too few words.

    Raises:
        ValueError: If there are fewer than `least`.
    """
    if num_words < least:
        raise ValueError(f"`num_words` must be at least {least}. Received: num_words={num_words}")


def top_words(topics: Topics, num_words: int, vocabulary_size: int | None = None) -> list[np.ndarray]:
    """Return the indices of each topic's top words, the first first; of words of equal weight, the lower index.

    Args:
        topics: See `Topics`.
        num_words: How many words of each topic.
        vocabulary_size: How many words there are, where that is known.

    Raises:
        ValueError: If the topics are neither, have fewer words, or repeat a word, or do not fit the vocabulary.
    """
    if _are_lists_of_words(topics):
        words = [np.asarray(topic)[:num_words] for topic in topics]
    else:
        weights = _numbers(topics)
        if weights.ndim != 2 or vocabulary_size not in {None, weights.shape[-1]}:
            width = "vocabulary_size" if vocabulary_size is None else vocabulary_size
            raise ValueError(
                f"`topics` must be weights of shape (num_topics, {width}), or a list of lists of word indices. "
                f"Received: an array of shape {weights.shape}"
            )
        words = list(np.argsort(-weights, axis=1, kind="stable")[:, :num_words])
    if not words:
        raise ValueError(f"`topics` must hold at least one topic. Received: {topics}")
    for number, topic in enumerate(words):
        _check(topic, number, num_words, vocabulary_size)
    return words


def top_words_of_weights(weights: Any, num_words: int, metric: str) -> Any:
    """Return the indices of each topic's top words as a tensor of shape `(num_topics, num_words)`.

    Args:
        weights: Topic-word weights of shape `(num_topics, vocabulary_size)`.
        num_words: How many words of each topic.
        metric: The metric's name, for messages.

    Raises:
        ValueError: If the shape does not fit.
    """
    weights = ops.convert_to_tensor(weights)
    if len(weights.shape) != 2 or weights.shape[1] is None or weights.shape[1] < num_words:
        raise ValueError(
            f"{metric} needs topic-word weights of shape (num_topics, vocabulary_size) as y_pred, with at least "
            f"num_words={num_words} words. Received: y_pred of shape {tuple(weights.shape)}"
        )
    return ops.cast(ops.top_k(weights, num_words)[1], "int32")


def _are_lists_of_words(topics: Any) -> bool:
    if not isinstance(topics, list | tuple):
        return False
    rows = [np.asarray(row) if isinstance(row, Sequence | np.ndarray) else None for row in topics]
    return all(row is not None and row.ndim == 1 and np.issubdtype(row.dtype, np.integer) for row in rows)


def _numbers(values: Any) -> np.ndarray:
    if isinstance(values, keras.Variable) or keras.ops.is_tensor(values):
        values = ops.convert_to_numpy(values)
    # As numbers with a sign, whose order can be reversed.
    return np.asarray(values, dtype="float64")


def _check(topic: np.ndarray, number: int, num_words: int, vocabulary_size: int | None) -> None:
    if len(topic) < num_words:
        raise ValueError(f"Topic {number} has {len(topic)} words, fewer than num_words={num_words}. Lower num_words")
    if len(np.unique(topic)) < len(topic):
        raise ValueError(f"Topic {number} names a word twice: {topic.tolist()}. List each word once")
    if topic.min() < 0 or (vocabulary_size is not None and topic.max() >= vocabulary_size):
        raise ValueError(
            f"Topic {number} has word indices outside the vocabulary of {vocabulary_size or 'any'} words: "
            f"{topic.tolist()}. Indices are counted from 0"
        )
