"""From documents to a data set of word counts."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from kplug.datasets.bag_of_words import StopWords, choose_words, count_all_words
from kplug.datasets.dataset import Dataset
from kplug.datasets.splits import split_three_ways, take
from kplug.errors import DataError


def word_counts(
    texts: Iterable[str],
    sections: np.ndarray | None = None,
    section_names: Sequence[str] = (),
    *,
    max_words: int,
    min_documents: int,
    max_document_share: float,
    stop_words: StopWords,
    validation_fraction: float,
    test_fraction: float,
    seed: int,
    source: str,
) -> Dataset:
    """Count words, drop documents that have none of the vocabulary, and split the others at random.

    The vocabulary is that of all documents, as is usual for topic models: it is the same for every seed. Documents of
    equal counts go to one split.

    Args:
        texts: The documents.
        sections: The section each document is from, of shape `(documents,)`; without, the splits are `(x,)`.
        section_names: Names of the sections.
        max_words: See `build_vocabulary`; so for the next three.
        min_documents: Words in fewer documents are dropped.
        max_document_share: Words in a larger share of the documents are dropped.
        stop_words: `"english"` or `None`.
        validation_fraction: Share of the documents outside the test split that becomes the validation split.
        test_fraction: Share of the documents that becomes the test split.
        seed: Seed of the order in which the documents are split.
        source: What the documents are from, for messages.

    Returns:
        The data set: `x` float32 counts, `y` int64 sections.

    Raises:
        DataError: If no word, or too few documents, are left.
    """
    words, counts = count_all_words(texts)
    try:
        vocabulary = choose_words(words, counts, max_words, min_documents, max_document_share, stop_words)
    except DataError as error:
        raise DataError(f"{source}: {error}") from error
    columns = {word: column for column, word in enumerate(words)}
    x = counts[:, [columns[word] for word in vocabulary]]
    filled = np.flatnonzero(np.diff(x.indptr))
    x = x[filled]
    indices = split_three_ways(
        len(filled),
        validation_fraction,
        test_fraction,
        seed,
        source=f"{source}, without documents of rare words only,",
        groups=_equal_rows(x),
    )
    info: dict[str, object] = {
        "input_shape": (len(vocabulary),),
        "vocabulary": vocabulary,
        "vocabulary_size": len(vocabulary),
    }
    arrays = [x]
    if sections is not None:
        arrays.append(np.asarray(sections, "int64")[filled])
        info |= {"num_classes": len(section_names), "class_names": tuple(section_names)}
    train, validation, test = ((counts.toarray(), *y) for counts, *y in take(indices, *arrays))
    return Dataset(train, validation, test, info)


def _equal_rows(x: Any) -> np.ndarray:
    """Return a number for each row of a `csr_array`, the same for equal rows."""
    x.sort_indices()
    numbers: dict[tuple[bytes, bytes], int] = {}
    rows = ((x.indices[start:end].tobytes(), x.data[start:end].tobytes()) for start, end in pairwise(x.indptr))
    return np.array([numbers.setdefault(row, len(numbers)) for row in rows])
