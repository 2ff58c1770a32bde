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
        ValueError: If there are fewer documents with words than topics.
    """
    from scipy.sparse import csr_matrix, diags
    from sklearn.cluster import KMeans
    from sklearn.preprocessing import normalize

    counts = csr_matrix(counts, dtype="float64")
    counts = counts[np.flatnonzero(counts.sum(axis=1))]
    if counts.shape[0] < num_topics:
        raise ValueError(f"{num_topics} topics need as many documents with words at least. Received: {counts.shape[0]}")
    if counts.shape[0] > _DOCUMENTS:
        counts = counts[np.random.default_rng(seed).choice(counts.shape[0], _DOCUMENTS, replace=False)]
    shares = normalize(counts, norm="l1")
    spread = np.asarray((counts > 0).sum(axis=0)).ravel()
    rarity = np.log((1 + counts.shape[0]) / (1 + spread))
    clusters = KMeans(num_topics, n_init=4, random_state=seed).fit_predict(normalize(shares @ diags(rarity)))
    centres = np.stack([np.asarray(shares[clusters == number].mean(axis=0)).ravel() for number in range(num_topics)])
    return np.log(centres + _FLOOR).astype("float32")
