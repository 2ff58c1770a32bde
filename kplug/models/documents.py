"""Documents as a topic model meets them: texts, or word counts, dense or sparse."""

from __future__ import annotations

import math
from typing import Any

import keras
import numpy as np

from kplug.datasets.bag_of_words import build_vocabulary
from kplug.errors import DataError


def is_sparse(documents: Any) -> bool:
    """Say whether these are word counts in one of scipy's sparse forms."""
    return hasattr(documents, "tocsr")


def is_text(documents: Any) -> bool:
    """Say whether these are texts: a list, tuple or array of strings.

    Raises:
        DataError: If they are one string, or a list in which only some are strings.
    """
    if isinstance(documents, str):
        raise DataError(f"Documents must be a list of texts, not one text. Received: {documents[:40]!r}")
    if isinstance(documents, np.ndarray):
        return documents.dtype.kind == "U" or (documents.dtype == object and is_text(documents.tolist()))
    if not isinstance(documents, list | tuple):
        return False
    others = [number for number, one in enumerate(documents) if not isinstance(one, str)]
    if others and len(others) < len(documents) and isinstance(documents, list):
        raise DataError(f"Document {others[0]} is no text. Received: {documents[others[0]]!r}")
    return bool(documents) and not others


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


def vocabulary_of(texts: Any) -> tuple[str, ...]:
    """Return the words of texts that are worth counting.

    Raises:
        DataError: If there are none.
    """
    try:
        return build_vocabulary(list(texts))
    except DataError as error:
        raise DataError(
            f"{error} For other limits give the model a vocabulary: "
            "`vocabulary=kplug.datasets.build_vocabulary(texts, min_documents=1)`, say."
        ) from None


def check_counts(counts: Any, vocabulary_size: int | None) -> None:
    """Refuse what are no word counts, dense or sparse.

    Args:
        counts: An array.
        vocabulary_size: How many words there are, or `None` if that is not known.

    Raises:
        ValueError: If the shape is wrong, a value is no count, or no document has words.
    """
    if counts.ndim != 2 or counts.shape[1] != (vocabulary_size or counts.shape[1]):
        raise ValueError(
            f"Word counts must have the shape (n, {vocabulary_size or 'vocabulary_size'}). "
            f"Received: an array of shape {counts.shape}"
        )
    stored = counts.tocoo() if is_sparse(counts) else counts
    values = stored.data if is_sparse(counts) else stored
    wrong = ~((values >= 0) & (values == np.floor(values)) & np.isfinite(values))
    if wrong.any():
        first = np.flatnonzero(wrong)[0]
        place = (stored.row[first], stored.col[first]) if is_sparse(counts) else np.unravel_index(first, stored.shape)
        raise ValueError(
            "Word counts must be whole numbers, at least 0. "
            f"Received: {np.ravel(values)[first]} in document {place[0]}, word {place[1]}"
        )
    if not values.any():
        raise ValueError(f"None of the {counts.shape[0]} documents has a word of the vocabulary.")


def in_batches(options: dict[str, Any], shuffle: bool = False, seed: int | None = None) -> dict[str, Any]:
    """Return the arguments of `fit` or `evaluate` with sparse counts made dense a batch at a time."""
    taken = {name: options.pop(name, None) for name in ("x", "y", "batch_size", "sample_weight", "shuffle")}
    batches = DocumentBatches(taken["x"], taken["batch_size"] or 32, shuffle, seed, taken["sample_weight"])
    return {**options, "x": batches}


def with_held_out(options: dict[str, Any]) -> dict[str, Any]:
    """Return the arguments of `fit` with the last documents set apart for validation, as Keras does with arrays."""
    share = options.pop("validation_split", None)
    if not share or options.get("validation_data") is not None:
        return options
    parts = [options["x"], options.get("sample_weight")]
    first = int(parts[0].shape[0] * (1 - share))
    train, held_out = ([None if part is None else part[chosen] for part in parts] for chosen in _cut_at(first))
    return {**options, "x": train[0], "sample_weight": train[1], "validation_data": (held_out[0], None, held_out[1])}


def _cut_at(first: int) -> tuple[slice, slice]:
    return slice(first), slice(first, None)


def validation_of(counts: Any, sample_weight: Any, options: dict[str, Any]) -> Any:
    """Return validation documents as `fit` takes them, given its other arguments."""
    if not is_sparse(counts):
        return (counts,) if sample_weight is None else (counts, counts, sample_weight)
    rows = options.get("validation_batch_size") or options.get("batch_size") or 32
    return DocumentBatches(counts, rows, shuffle=False, sample_weight=sample_weight)
