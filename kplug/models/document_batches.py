"""Documents as models meet them: texts, or word counts of which batches are made dense one at a time."""

from __future__ import annotations

import math
from typing import Any

import keras
import numpy as np


def is_sparse(documents: Any) -> bool:
    """Say whether these are word counts in one of scipy's sparse forms."""
    return hasattr(documents, "tocsr")


def is_text(documents: Any) -> bool:
    """Say whether these are texts: a list, tuple or array of strings."""
    if isinstance(documents, np.ndarray):
        return documents.dtype.kind == "U" or (documents.dtype == object and is_text(documents.tolist()))
    return isinstance(documents, list | tuple) and bool(documents) and all(isinstance(one, str) for one in documents)


class DocumentBatches(keras.utils.PyDataset):
    """Batches of word counts, sparse ones made dense one at a time.

    Args:
        counts: Of shape `(n, vocabulary_size)`, NumPy or scipy sparse.
        batch_size: Documents per batch; the last may have fewer.
        shuffle: Whether each epoch has an order of its own.
        seed: Whole number that makes the orders repeat, or `None`.
        sample_weight: The documents' weights, of shape `(n,)`, or `None`.
    """

    def __init__(
        self,
        counts: Any,
        batch_size: int = 32,
        shuffle: bool = True,
        seed: int | None = None,
        sample_weight: Any = None,
    ) -> None:
        super().__init__()
        self._weights = None if sample_weight is None else np.asarray(sample_weight).reshape(-1)
        self._counts = counts.tocsr() if is_sparse(counts) else counts
        self._batch_size = batch_size
        self._shuffle = shuffle
        self._random = np.random.default_rng(seed)
        self._order = np.arange(counts.shape[0])
        self.on_epoch_end()

    def __len__(self) -> int:
        return math.ceil(len(self._order) / self._batch_size)

    def __getitem__(self, index: int) -> tuple[np.ndarray, ...]:
        chosen = self._order[index * self._batch_size : (index + 1) * self._batch_size]
        counts = self._counts[chosen]
        counts = (counts.toarray() if is_sparse(counts) else counts).astype("float32")
        # Keras passes over weights without a target.
        return (counts,) if self._weights is None else (counts, counts, self._weights[chosen])

    def on_epoch_end(self) -> None:
        """Put the documents into a new order."""
        if self._shuffle:
            self._order = self._random.permutation(len(self._order))
