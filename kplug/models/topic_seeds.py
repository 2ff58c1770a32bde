"""Where topics begin: at the centres of a clustering of the documents."""

from __future__ import annotations

from typing import Any

import numpy as np

_FLOOR = 1e-4
"""Added to a centre's word shares, so that a word it lacks can still be learned."""
_DOCUMENTS = 20_000
"""Documents that are clustered at most; more change the centres little."""


def topic_seeds(counts: Any, num_topics: int, seed: int | None = None) -> np.ndarray:
    """Return log word shares of k-means clusters of the documents, by tf-idf: `(num_topics, vocabulary_size)`.

    Args:
        counts: Word counts of shape `(n, vocabulary_size)`, NumPy or scipy sparse.
        num_topics: How many clusters.
        seed: Whole number that makes the clustering repeat, or `None`.

    Raises:
        ValueError: If there are fewer documents with words that differ than topics.
    """
    from scipy.sparse import csr_matrix, diags
    from sklearn.cluster import KMeans
    from sklearn.preprocessing import normalize

    counts = csr_matrix(counts, dtype="float64")
    counts = counts[np.flatnonzero(counts.sum(axis=1))]
    if counts.shape[0] > _DOCUMENTS:
        counts = counts[np.random.default_rng(seed).choice(counts.shape[0], _DOCUMENTS, replace=False)]
    shares = normalize(counts, norm="l1")
    spread = np.asarray((counts > 0).sum(axis=0)).ravel()
    rarity = np.log((1 + counts.shape[0]) / (1 + spread))
    weighted = normalize(shares @ diags(rarity))
    different = len(np.unique((weighted @ np.random.default_rng(0).normal(size=weighted.shape[1])).round(12)))
    if different < num_topics:
        raise ValueError(
            f"{num_topics} topics need as many documents at least that differ in the words that tell documents apart. "
            f"Received: {counts.shape[0]} documents with words, {different} that differ. Ask for fewer topics, or use "
            "initialization='random'."
        )
    clusters = KMeans(num_topics, n_init=4, random_state=seed).fit_predict(weighted)
    centres = np.stack([np.asarray(shares[clusters == number].mean(axis=0)).ravel() for number in range(num_topics)])
    return np.log(centres + _FLOOR).astype("float32")


def as_embeddings(scores: np.ndarray, embedding_dim: int, seed: int | None = None) -> tuple[np.ndarray, np.ndarray]:
    """Return vectors of topics and of words whose products are the scores.

    Args:
        scores: Of shape `(num_topics, vocabulary_size)`, so of a rank of `num_topics` at most.
        embedding_dim: Length of the vectors, at least `num_topics`.
        seed: Seed of the small numbers in those places of the words' vectors that the scores do not need, so that they
            can be learned; or `None`.
    """
    num_topics, vocabulary_size = scores.shape
    left, sizes, right = np.linalg.svd(scores, full_matrices=False)
    topics = np.zeros((num_topics, embedding_dim))
    words = np.random.default_rng(seed).normal(0, 0.01, (vocabulary_size, embedding_dim))
    topics[:, : len(sizes)] = left * np.sqrt(sizes)
    words[:, : len(sizes)] = right.T * np.sqrt(sizes)
    return topics, words
