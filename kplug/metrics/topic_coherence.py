"""Topic coherence: whether a topic's top words occur in the same documents."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import keras
import numpy as np
from keras import ops
from pydantic import Field

from kplug.catalog.facts import component
from kplug.metrics.top_words import Topics, check_num_words, top_words, top_words_of_weights

_LAU = "Lau et al. (2014), Machine Reading Tea Leaves, https://aclanthology.org/E14-1056"
_BOUMA = "Bouma (2009), Normalized (Pointwise) Mutual Information in Collocation Extraction, GSCL"
_MIMNO = "Mimno et al. (2011), Optimizing Semantic Coherence in Topic Models, https://aclanthology.org/D11-1024"
_MEASURES = ("npmi", "u_mass")

Measure = Literal["npmi", "u_mass"]


def topic_coherence(topics: Topics, counts: Any, num_words: int = 10, measure: Measure = "npmi") -> np.ndarray:
    """Return how much each topic's top words occur together in reference documents.

    ```
    npmi(i, j) = log( p(i, j) / (p(i) p(j)) ) / -log p(i, j)
    u_mass(i, j) = log( (D(i, j) + 1) / D(j) ),  j before i
    ```

    with D the number of documents that have a word, or both words, and p = D / number of documents. A topic's value is
    the mean over all pairs of its top words; the mean over the topics is the model's.

    `"npmi"` (Bouma 2009; Lau et al. 2014) agrees best with what people find coherent. Documents that the model was not
    trained on are the honest reference. A pair that never meets is -1 (so is one with a word that no document has), an
    independent pair 0, one that always meets 1; words that are in every document say nothing, and count 0.
    Whole documents are taken here, where some implementations slide a window over the text: the numbers differ.

    `"u_mass"` (Mimno et al. 2011, equation 1) is meant for the training documents themselves. The paper takes the sum
    over the pairs; the mean, as in gensim, does not depend on `num_words`. A topic with a word that is in no document
    has no u_mass: NaN.

    Args:
        topics: Topic-word weights of shape `(num_topics, vocabulary_size)`, larger for likelier words (NumPy, or a
            tensor or variable); or a list of lists of word indices, the likeliest first.
        counts: Word counts of the reference documents, of shape `(num_documents, vocabulary_size)`: NumPy or a scipy
            sparse matrix. Only whether a count is greater than 0 matters.
        num_words: How many top words of each topic count; at least 2.
        measure: `"npmi"` or `"u_mass"`.

    Returns:
        Float64 array of shape `(num_topics,)`: without a unit between -1 and 1, or in nats.

    Raises:
        ValueError: If a topic has fewer words, or repeats a word, or the shapes do not fit.

    References:
        - Lau et al. (2014), Machine Reading Tea Leaves, https://aclanthology.org/E14-1056
        - Bouma (2009), Normalized (Pointwise) Mutual Information in Collocation Extraction, GSCL
        - Mimno et al. (2011), Optimizing Semantic Coherence in Topic Models, https://aclanthology.org/D11-1024

    Example:

    >>> documents = np.array([[1, 2, 0], [3, 1, 0], [0, 0, 1], [0, 1, 1]])
    >>> kplug.topic_coherence([[0, 1], [0, 2]], documents, num_words=2).round(4)
    array([ 0.415, -1.   ])
    """
    _check(num_words, measure)
    counts = counts if hasattr(counts, "tocsc") else np.asarray(counts)
    if len(counts.shape) != 2 or 0 in counts.shape:
        raise ValueError(
            "`counts` must hold documents, in the shape (num_documents, vocabulary_size). "
            f"Received: counts of shape {tuple(counts.shape)}"
        )
    words = np.stack(top_words(topics, num_words, counts.shape[1]))
    used, places = np.unique(words, return_inverse=True)
    places = places.reshape(words.shape)
    if hasattr(counts, "tocsc"):
        present = (counts.tocsc()[:, used] > 0).astype("float64")
        joint = (present.T @ present).toarray()
    else:
        present = (counts[:, used] > 0).astype("float64")
        joint = present.T @ present
    by_topic = joint[places[:, :, None], places[:, None, :]]
    with np.errstate(divide="ignore", invalid="ignore"):
        pairs = _npmi(by_topic, counts.shape[0], np) if measure == "npmi" else _u_mass(by_topic, np)
    return _mean_over_pairs(pairs, num_words, np)


@component(tasks=["topic-modeling"], references=[_LAU, _BOUMA, _MIMNO])
@keras.saving.register_keras_serializable(package="kplug")
class TopicCoherence(keras.Metric):
    """How much each topic's top words occur together in the documents seen, as a metric: the mean over the topics.

    The metric of `kplug.topic_coherence`, which has the formulas and says which measure to use. `y_true` are the
    documents' word counts and `y_pred` is the topic-word matrix itself: the result is the coherence of the topics of
    the last update in all documents since the last reset, so it is exact on a whole test set in batches.

    In `compile` the model needs an output that is the matrix, as a metric sees outputs only; with JAX, whose compiled
    steps do not let a metric read weights, there is no other way. A model of your own, or a loop, calls `update_state`
    where it has the matrix. With the documents in memory the function is simpler, and needs far less memory.

    The state counts all pairs of words: `4 * vocabulary_size ** 2` bytes, 16 MB for 2,000 words and 400 MB for 10,000.
    An update multiplies matrices of `batch_size * vocabulary_size ** 2`. Of words of equal weight at the border, which
    one counts is the backend's choice. Counts of documents are exact up to 16,777,216.

    Args:
        num_words: How many top words of each topic count; at least 2.
        measure: `"npmi"` or `"u_mass"`.
        name: The metric's name.
        dtype: The dtype of the state; computed in float32 at least. Keras' `floatx` by default.

    Call arguments:
        y_true: Word counts of documents, of shape `(batch_size, vocabulary_size)`; only whether a count is greater
            than 0 matters.
        y_pred: Topic-word weights of shape `(num_topics, vocabulary_size)`, larger for likelier words.
        sample_weight: Weights of the documents, of shape `(batch_size,)` or `(batch_size, 1)`, or `None`: a document of
            weight 2 counts as two.

    Returns:
        A scalar; 0 if there is no document.

    Raises:
        ValueError: If a parameter or the shapes are wrong.

    References:
        - Lau et al. (2014), Machine Reading Tea Leaves, https://aclanthology.org/E14-1056
        - Bouma (2009), Normalized (Pointwise) Mutual Information in Collocation Extraction, GSCL
        - Mimno et al. (2011), Optimizing Semantic Coherence in Topic Models, https://aclanthology.org/D11-1024

    Example:

    >>> metric = kplug.TopicCoherence(num_words=2)
    >>> topics = np.array([[0.5, 0.4, 0.1]])
    >>> metric.update_state(np.array([[1, 2, 0], [3, 1, 0]]), topics)
    >>> metric.update_state(np.array([[0, 0, 1], [0, 1, 1]]), topics)
    >>> round(float(metric.result()), 4)
    0.415

    ```python
    model = keras.Model(counts, {"reconstruction": logits, "topics": topics})
    model.compile("adam", loss={"reconstruction": loss}, metrics={"topics": kplug.TopicCoherence()})
    model.fit(documents, {"reconstruction": documents, "topics": documents})
    ```
    """

    def __init__(
        self,
        num_words: Annotated[int, Field(gt=1)] = 10,
        measure: Measure = "npmi",
        name: str = "topic_coherence",
        dtype: str | None = None,
    ) -> None:
        super().__init__(name=name, dtype=dtype)
        _check(num_words, measure)
        self.num_words = num_words
        self.measure = measure
        self.precise = keras.backend.result_type(self.dtype, "float32")
        self.documents = self.add_variable((), "zeros", dtype=self.precise, name="documents")
        self.joint: Any = None

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        present = ops.cast(ops.convert_to_tensor(y_true) > 0, self.precise)
        words = top_words_of_weights(y_pred, self.num_words, "TopicCoherence")
        vocabulary_size = ops.convert_to_tensor(y_pred).shape[1]
        if len(present.shape) != 2 or present.shape[1] != vocabulary_size:
            raise ValueError(
                "TopicCoherence needs word counts of shape (batch_size, vocabulary_size) as y_true, and topic-word "
                "weights of shape (num_topics, vocabulary_size) as y_pred. "
                f"Received: y_true of shape {tuple(present.shape)}, {vocabulary_size} words in y_pred"
            )
        if self.joint is None:
            self.joint = self.add_variable((vocabulary_size,) * 2, "zeros", dtype=self.precise, name="joint_documents")
            self.top_words = self.add_variable(words.shape, "zeros", dtype="int32", name="top_words")
        weights = ops.ones((ops.shape(present)[0],), dtype=self.precise)
        if sample_weight is not None:
            weights *= ops.reshape(ops.cast(ops.convert_to_tensor(sample_weight), self.precise), (-1,))
        self.documents.assign_add(ops.sum(weights))
        self.joint.assign_add(ops.matmul(ops.transpose(present * weights[:, None]), present))
        self.top_words.assign(words)

    def result(self) -> Any:
        if self.joint is None:
            return ops.zeros((), dtype=self.dtype)
        rows, columns = self.top_words[:, :, None], self.top_words[:, None, :]
        by_topic = ops.take(ops.reshape(self.joint.value, (-1,)), rows * self.joint.shape[1] + columns)
        pairs = _npmi(by_topic, self.documents, ops) if self.measure == "npmi" else _u_mass(by_topic, ops)
        mean = ops.mean(_mean_over_pairs(pairs, self.num_words, ops))
        return ops.cast(ops.where(self.documents > 0, mean, 0), self.dtype)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "num_words": self.num_words, "measure": self.measure}


def _check(num_words: int, measure: str) -> None:
    check_num_words(num_words, least=2)
    if measure not in _MEASURES:
        raise ValueError(f"`measure` must be one of {', '.join(map(repr, _MEASURES))}. Received: measure={measure!r}")


def _npmi(joint: Any, documents: Any, xp: Any) -> Any:
    """Return NPMI by topic and pair, from the documents that have both words: `(num_topics, num_words, num_words)`."""
    single = xp.diagonal(joint, axis1=1, axis2=2)
    together = joint > 0
    safe = xp.where(together, joint, 1)
    alone = xp.where(single > 0, single, 1)
    # As ratios, so that pairs in nearly all documents keep their digits.
    mutual = xp.log(safe / alone[:, :, None]) + xp.log(documents / alone[:, None, :])
    surprise = xp.log(documents / safe)
    everywhere = surprise <= 0
    normalized = xp.where(everywhere, 0, mutual / xp.where(everywhere, 1, surprise))
    return xp.where(together, normalized, -1)


def _u_mass(joint: Any, xp: Any) -> Any:
    """Return u_mass by topic and pair, each word given those before it: `(num_topics, num_words, num_words)`."""
    single = xp.diagonal(joint, axis1=1, axis2=2)
    seen = xp.min(single, axis=1)[:, None, None] > 0
    given = xp.where(single > 0, single, 1)[:, None, :]
    return xp.where(seen, xp.log((joint + 1) / given), np.nan)


def _mean_over_pairs(pairs: Any, num_words: int, xp: Any) -> Any:
    """Average over the pairs of a word and one before it."""
    before = np.tril(np.ones((num_words, num_words), dtype="float32"), -1)
    return xp.sum(xp.where(before > 0, pairs, 0), axis=(1, 2)) / before.sum()
