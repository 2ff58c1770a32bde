"""From texts to word counts: tokens, a vocabulary, and a row of counts for each document."""

from __future__ import annotations

import re
import unicodedata
from array import array
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Annotated, Any, Literal, overload

import numpy as np
from pydantic import Field

from kplug.datasets.limits import check_choice, check_counts
from kplug.errors import DataError

Document = str | Sequence[str]
"""A text, or its tokens."""

StopWords = Literal["english"] | None

_WORD = re.compile(r"[^\W\d_]{2,}")

_CONTRACTED = (
    "ain aren couldn did didn does doesn doing don hadn hasn haven having isn ll mightn mustn needn shan shouldn ve "
    "wasn weren won wouldn"
)
"""Forms of auxiliary verbs, some cut off by an apostrophe, that scikit-learn's list of stop words lacks."""


def tokenize(text: str) -> list[str]:
    """Return the words of a text in order, in lower case.

    A word is a run of two or more letters of any script; everything else divides words, apostrophes too: "don't" is
    `don`, which `build_vocabulary` counts among the English stop words. Scripts that do not divide words, such as
    Chinese, must be divided beforehand.

    Args:
        text: Any text.

    Returns:
        The words.

    Example:

    >>> kplug.datasets.tokenize("Python's 2 lambda_forms don't bind; they return.")
    ['python', 'lambda', 'forms', 'don', 'bind', 'they', 'return']
    """
    return _WORD.findall(unicodedata.normalize("NFKC", text).lower())


def build_vocabulary(
    documents: Iterable[Document],
    max_words: Annotated[int, Field(ge=1)] = 2000,
    min_documents: Annotated[int, Field(ge=1)] = 5,
    max_document_share: Annotated[float, Field(gt=0, le=1)] = 0.5,
    stop_words: StopWords = "english",
) -> tuple[str, ...]:
    """Return the words that are worth counting, the most frequent first.

    Words that are in nearly no document or in very many tell documents apart badly; so do stop words ("the", "of").

    Args:
        documents: Texts, or lists of tokens.
        max_words: The most words to keep, those of the highest total count; of equal ones the first in the alphabet.
        min_documents: Words in fewer documents are dropped.
        max_document_share: Words in a larger share of the documents are dropped.
        stop_words: `"english"` drops scikit-learn's English stop words and contracted auxiliary verbs; `None` drops
            none.

    Returns:
        The vocabulary.

    Raises:
        ValueError: If a parameter is out of range.
        DataError: If no word is left.

    Example:

    >>> documents = ["A cat and a dog.", "A dog; a dog!", "Cat, sleep, cat, sleep.", "The bird."]
    >>> kplug.datasets.build_vocabulary(documents, min_documents=2)
    ('cat', 'dog')
    """
    check_vocabulary(max_words, min_documents, max_document_share, stop_words)
    words, counts = count_all_words(documents)
    return choose_words(words, counts, max_words, min_documents, max_document_share, stop_words)


@overload
def count_words(
    documents: Iterable[Document], vocabulary: Sequence[str], sparse: Literal[False] = False
) -> np.ndarray: ...
@overload
def count_words(documents: Iterable[Document], vocabulary: Sequence[str], sparse: Literal[True]) -> Any: ...


def count_words(documents: Iterable[Document], vocabulary: Sequence[str], sparse: bool = False) -> Any:
    """Count how often each word of a vocabulary is in each document; other words are left out.

    Args:
        documents: Texts, or lists of tokens.
        vocabulary: The words, each once.
        sparse: Whether to return only the counts that are not 0, for which many documents and words need a small part
            of the memory.

    Returns:
        Counts, float32 of shape `(documents, len(vocabulary))`: an array, or a `scipy.sparse.csr_array`.

    Raises:
        ValueError: If the vocabulary has a word twice.

    Example:

    >>> kplug.datasets.count_words(["Dog, cat, dog.", "Birds."], ("cat", "dog"))
    array([[1., 2.],
           [0., 0.]], dtype=float32)
    """
    columns = _Columns((word, column) for column, word in enumerate(vocabulary))
    if len(columns) != len(vocabulary):
        (twice, _), *_ = Counter(vocabulary).most_common(1)
        raise ValueError(f"`vocabulary` must have every word once. Received: {twice!r} more than once")
    counts = _count(documents, columns)[:, : len(vocabulary)]
    return counts if sparse else counts.toarray()


def count_all_words(documents: Iterable[Document]) -> tuple[list[str], Any]:
    """Count all words.

    Args:
        documents: Texts, or lists of tokens.

    Returns:
        The words, and counts of shape `(documents, words)`, a `scipy.sparse.csr_array` of float32.
    """
    columns = _Columns()
    counts = _count(documents, columns)
    return list(columns), counts


def choose_words(
    words: Sequence[str],
    counts: Any,
    max_words: int,
    min_documents: int,
    max_document_share: float,
    stop_words: StopWords,
) -> tuple[str, ...]:
    """Return the words that are worth counting, the most frequent first; see `build_vocabulary`.

    Args:
        words: All words.
        counts: Counts of them, as `count_all_words` returns them.
        max_words: See `build_vocabulary`; so for the others.
        min_documents: Words in fewer documents are dropped.
        max_document_share: Words in a larger share of the documents are dropped.
        stop_words: `"english"` or `None`.

    Raises:
        DataError: If no word is left.
    """
    size = counts.shape[0]
    total = np.bincount(counts.indices, counts.data, len(words))
    spread = np.bincount(counts.indices, minlength=len(words))
    stopped = _english_stop_words() if stop_words == "english" else frozenset()
    worthy = np.flatnonzero((min_documents <= spread) & (spread <= max_document_share * size))
    kept = [(-total[column], words[column]) for column in worthy.tolist() if words[column] not in stopped]
    if not kept:
        raise DataError(
            f"No word is left of the {len(words)} in {size} documents: a word must be in at least {min_documents} "
            f"documents and in at most {max_document_share:.0%} of them"
            + (", and be no stop word. " if stopped else ". ")
            + "Lower `min_documents`, raise `max_document_share`, or add documents."
        )
    return tuple(word for _, word in sorted(kept)[:max_words])


def check_vocabulary(max_words: int, min_documents: int, max_document_share: float, stop_words: StopWords) -> None:
    """Refuse what `build_vocabulary` does not take.

    Raises:
        ValueError: If a parameter is out of range.
    """
    check_counts(max_words=max_words, min_documents=min_documents)
    if not 0 < max_document_share <= 1:
        raise ValueError(f"`max_document_share` must be greater than 0 and at most 1. Received: {max_document_share!r}")
    check_choice("stop_words", stop_words, ("english", None))


class _Columns(dict[str, int]):
    """The column of each word; a new word gets the next one."""

    def __missing__(self, word: str) -> int:
        self[word] = column = len(self)
        return column


def _count(documents: Iterable[Document], columns: _Columns) -> Any:
    from scipy.sparse import csr_array

    indices, numbers, ends = array("i"), array("f"), array("q", [0])
    for document in documents:
        counts = Counter(_tokens(document))
        indices.extend(map(columns.__getitem__, counts))
        numbers.extend(counts.values())
        ends.append(len(indices))
    parts = np.frombuffer(numbers, "float32"), np.frombuffer(indices, "int32"), np.frombuffer(ends, "int64")
    matrix = csr_array(parts, shape=(len(ends) - 1, len(columns)))
    matrix.sort_indices()
    return matrix


def _tokens(document: Document) -> Sequence[str]:
    return tokenize(document) if isinstance(document, str) else document


def _english_stop_words() -> frozenset[str]:
    from sklearn.feature_extraction.text import ENGLISH_STOP_WORDS

    return ENGLISH_STOP_WORDS | frozenset(_CONTRACTED.split())
