"""Topic diversity: how few words the topics share."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from keras import ops

from kplug.catalog.facts import component
from kplug.metrics.top_words import NumWords, Topics, check_num_words, top_words, top_words_of_weights

_DIENG = "Dieng et al. (2020), Topic Modeling in Embedding Spaces, https://arxiv.org/abs/1907.04907"


def topic_diversity(topics: Topics, num_words: int = 25) -> float:
    """Return the share of distinct words among the top words of all topics.

    ```
    TD = |union of the topics' top n words| / (n * num_topics)
    ```

    (Dieng et al. 2020, with n = 25.) Near `1 / num_topics` all topics are the same; 1 if no two share a
    word. Read it beside `topic_coherence`: topics that are all alike can be coherent, and random ones diverse.

    Args:
        topics: Topic-word weights of shape `(num_topics, vocabulary_size)`, larger for likelier words (NumPy, or a
            tensor or variable); or a list of lists of word indices, the likeliest first.
        num_words: How many top words of each topic count; at least 1.

    Returns:
        A number greater than 0, at most 1.

    Raises:
        ValueError: If a topic has fewer words, or repeats a word, or `topics` has another form.

    References:
        Dieng et al. (2020), Topic Modeling in Embedding Spaces, https://arxiv.org/abs/1907.04907

    Example:

    >>> kplug.topic_diversity([[0, 1], [1, 2]], num_words=2)
    0.75
    """
    check_num_words(num_words, least=1)
    words = np.stack(top_words(topics, num_words))
    return len(np.unique(words)) / words.size


@component(tasks=["topic-modeling"], references=[_DIENG])
@keras.saving.register_keras_serializable(package="kplug")
class TopicDiversity(keras.Metric):
    """The share of distinct words among the top words of all topics, as a metric.

    The metric of `kplug.topic_diversity`, which has the formula. `y_pred` is the topic-word matrix itself: the
    result is that of the topics of the last update. In `compile` the model needs an output that is the matrix, as a
    metric sees outputs only; a model of your own calls `update_state` where it has the matrix. Of words of equal
    weight at the border, which one counts is the backend's choice.

    Args:
        num_words: How many top words of each topic count; at least 1.
        name: The metric's name.
        dtype: The dtype of the result. Keras' `floatx` by default.

    Call arguments:
        y_true: Ignored.
        y_pred: Topic-word weights of shape `(num_topics, vocabulary_size)`, larger for likelier words.
        sample_weight: Ignored: topics are no samples.

    Returns:
        A scalar greater than 0, at most 1; 0 before any update.

    Raises:
        ValueError: If `num_words` or the shape is wrong.

    References:
        Dieng et al. (2020), Topic Modeling in Embedding Spaces, https://arxiv.org/abs/1907.04907

    Example:

    >>> metric = kplug.TopicDiversity(num_words=2)
    >>> metric.update_state(None, [[0.6, 0.3, 0.1], [0.1, 0.3, 0.6]])
    >>> float(metric.result())
    0.75
    """

    def __init__(self, num_words: NumWords = 25, name: str = "topic_diversity", dtype: str | None = None) -> None:
        super().__init__(name=name, dtype=dtype)
        check_num_words(num_words, least=1)
        self.num_words = num_words
        self.diversity = self.add_variable((), "zeros", dtype=self.dtype, name="diversity")

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        del y_true, sample_weight
        words = ops.sort(ops.reshape(top_words_of_weights(y_pred, self.num_words, "TopicDiversity"), (-1,)))
        distinct = 1 + ops.sum(ops.cast(words[1:] != words[:-1], "float32"))
        share = distinct / ops.cast(ops.shape(words)[0], "float32")
        self.diversity.assign(ops.cast(share, self.dtype))

    def result(self) -> Any:
        return ops.cast(self.diversity, self.dtype)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "num_words": self.num_words}
