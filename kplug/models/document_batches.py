"""Documents as models meet them: texts, dense counts, or sparse counts made dense a batch at a time."""

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
    """Batches of sparse word counts, made dense one at a time.

    Args:
        counts: scipy sparse matrix of shape `(n, vocabulary_size)`.
        batch_size: Documents per batch; the last may have fewer.
        shuffle: Whether each epoch has an order of its own.
        seed: Whole number that makes the orders repeat, or `None`.
    """

    def __init__(self, counts: Any, batch_size: int, shuffle: bool = True, seed: int | None = None) -> None:
        super().__init__()
        self._counts = counts.tocsr()
        self._batch_size = batch_size
        self._shuffle = shuffle
        self._random = np.random.default_rng(seed)
        self._order = np.arange(counts.shape[0])
        self.on_epoch_end()

    def __len__(self) -> int:
        return math.ceil(len(self._order) / self._batch_size)

    def __getitem__(self, index: int) -> tuple[np.ndarray]:
        chosen = self._order[index * self._batch_size : (index + 1) * self._batch_size]
        return (self._counts[chosen].toarray().astype("float32"),)

    def on_epoch_end(self) -> None:
        """Put the documents into a new order."""
        if self._shuffle:
            self._order = self._random.permutation(len(self._order))
