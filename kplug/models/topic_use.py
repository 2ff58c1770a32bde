"""What can be done with a trained topic model."""

from __future__ import annotations

from typing import Any

import numpy as np
from keras import ops

from kplug.datasets.bag_of_words import count_words
from kplug.models.documents import is_sparse, is_text
from kplug.models.vae_checks import check_count


class TopicUse:
    """Topics and their words, the mixtures of documents, and the perplexity, as NumPy arrays and words.

    What a member has: `built`, `decoder`, `num_topics`, `vocabulary`, `word_normalization`, `evaluate`,
    `check_data`, `_scores` of the topics, and `_posterior` of counts.
    """

    built: Any
    decoder: str
    num_topics: int
    vocabulary: tuple[str, ...] | None
    word_normalization: Any
    evaluate: Any
    check_data: Any
    _scores: Any
    _posterior: Any

    def topic_words(self) -> np.ndarray:
        """Return the topics' word distributions, of shape `(num_topics, vocabulary_size)`, each with the sum 1."""
        self._insist_built()
        scores = self._scores()
        if self.decoder == "product":
            scores = self.word_normalization(scores, training=False)
        return ops.convert_to_numpy(ops.softmax(scores, axis=-1))

    def ranking(self, relevance: float = 0.6) -> np.ndarray:
        """Return scores by which words stand for topics, of shape `(num_topics, vocabulary_size)`.

        ```
        relevance * log p(word | topic) + (1 - relevance) * log( p(word | topic) / p(word) )
        ```

        (Sievert & Shirley 2014): at 1 the likeliest words, which topics may share; lower, the words that a topic has
        for itself. They found 0.6 best for people. `p(word)` is that of all topics alike; they took the corpus's.

        Args:
            relevance: Between 0 and 1.

        Raises:
            ValueError: If `relevance` is out of range, or the model has not seen data yet.
        """
        if not 0 <= relevance <= 1:
            raise ValueError(f"`relevance` must lie between 0 and 1. Received: relevance={relevance}")
        words = np.log(self.topic_words().astype("float64") + 1e-12)
        overall = np.log(np.exp(words).mean(axis=0))
        return words - (1 - relevance) * overall

    def topics(self, n_words: int = 10, relevance: float = 0.6) -> list[list[str]]:
        """Return each topic's top words, the first one first; without a vocabulary their numbers as text.

        Args:
            n_words: How many words of each topic.
            relevance: How words are ranked, see `ranking`.
        """
        check_count("n_words", n_words)
        names = self.vocabulary or [str(number) for number in range(self.topic_words().shape[1])]
        order = np.argsort(-self.ranking(relevance), axis=1, kind="stable")[:, :n_words]
        return [[names[word] for word in row] for row in order]

    def transform(self, documents: Any, batch_size: int = 1024) -> np.ndarray:
        """Return each document's mixture of topics.

        Args:
            documents: A list of texts, or word counts of shape `(n, vocabulary_size)`, NumPy or scipy sparse.
            batch_size: How many to work on at a time.

        Returns:
            NumPy array of shape `(n, num_topics)`; rows have the sum 1.

        Raises:
            ValueError: If the model has not seen data yet, or the documents are no such counts.
        """
        self._insist_built()
        counts: Any = self._counts(documents) if is_text(documents) else documents
        counts = counts.tocsr() if is_sparse(counts) else np.asarray(counts)
        if counts.shape[0]:
            self.check_data(counts)
        mixtures = []
        for start in range(0, counts.shape[0], batch_size):
            batch = counts[start : start + batch_size]
            batch = batch.toarray() if is_sparse(batch) else batch
            mean = self._posterior(ops.cast(ops.convert_to_tensor(batch), "float32"), training=False)[0]
            mixtures.append(ops.convert_to_numpy(ops.softmax(mean, axis=-1)))
        return np.concatenate(mixtures) if mixtures else np.zeros((0, self.num_topics), "float32")

    def top_documents(self, documents: Any, n: int = 5) -> np.ndarray:
        """Return, for each topic, the numbers of the documents that have the most of it: shape `(num_topics, n)`."""
        return np.argsort(-self.transform(documents), axis=0, kind="stable")[:n].T

    def perplexity(self, documents: Any, batch_size: int = 1024) -> float:
        """Return the bound on the perplexity per word, `exp(-ELBO / words)`: lower is better.

        The ELBO is estimated with one draw of each document's mixture, as in training and in `evaluate`.

        Args:
            documents: A list of texts, or word counts of shape `(n, vocabulary_size)`.
            batch_size: How many to work on at a time.
        """
        counts = self._counts(documents) if is_text(documents) else documents
        if getattr(self, "optimizer", None) is None:
            raise ValueError("The model is not compiled. Call `compile` first; the optimizer does not matter here.")
        return float(self.evaluate(counts, batch_size=batch_size, verbose=0, return_dict=True)["perplexity"])

    def _counts(self, texts: Any) -> np.ndarray:
        if self.vocabulary is None:
            raise ValueError(
                "The model has no vocabulary, so it cannot count the words of texts. Give it `vocabulary`, or `fit` it "
                "on texts, or pass word counts."
            )
        return count_words(list(texts), self.vocabulary)

    def _insist_built(self) -> None:
        if not self.built:
            raise ValueError("The topic model has not seen data yet, so it has no topics. Call `fit` first.")
