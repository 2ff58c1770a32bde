"""From texts to word counts: tokens, a vocabulary, and a row of counts for each document."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Annotated, Literal

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
    check_counts(max_words=max_words, min_documents=min_documents)
    check_share(max_document_share)
    check_choice("stop_words", stop_words, ("english", None))
    total: Counter[str] = Counter()
    spread: Counter[str] = Counter()
    size = 0
    for document in documents:
        words = _tokens(document)
        total.update(words)
        spread.update(set(words))
        size += 1
    stopped = _english_stop_words() if stop_words == "english" else frozenset()
    kept = [
        word
        for word, number in spread.items()
        if min_documents <= number <= max_document_share * size and word not in stopped
    ]
    if not kept:
        raise DataError(
            f"No word is left of the {len(spread)} in {size} documents: a word must be in at least {min_documents} "
            f"documents and in at most {max_document_share:.0%} of them"
            + (", and be no stop word. " if stopped else ". ")
            + "Lower `min_documents`, raise `max_document_share`, or add documents."
        )
    return tuple(sorted(kept, key=lambda word: (-total[word], word))[:max_words])


def count_words(documents: Iterable[Document], vocabulary: Sequence[str]) -> np.ndarray:
    """Count how often each word of a vocabulary is in each document; other words are left out.

    Args:
        documents: Texts, or lists of tokens.
        vocabulary: The words, each once.

    Returns:
        Counts, float32 of shape `(documents, len(vocabulary))`.

    Raises:
        ValueError: If the vocabulary has a word twice.

    Example:

    >>> kplug.datasets.count_words(["Dog, cat, dog.", "Birds."], ("cat", "dog"))
    array([[1., 2.],
           [0., 0.]], dtype=float32)
    """
    columns = {word: column for column, word in enumerate(vocabulary)}
    if len(columns) != len(vocabulary):
        (twice, _), *_ = Counter(vocabulary).most_common(1)
        raise ValueError(f"`vocabulary` must have every word once. Received: {twice!r} more than once")
    documents = list(documents)
    counts = np.zeros((len(documents), len(vocabulary)), "float32")
    for row, document in enumerate(documents):
        for word, number in Counter(_tokens(document)).items():
            column = columns.get(word)
            if column is not None:
                counts[row, column] = number
    return counts


def check_share(max_document_share: float) -> None:
    """Refuse a share of documents that is not above 0 and at most 1.

    Raises:
        ValueError: If it is out of range.
    """
    if not 0 < max_document_share <= 1:
        raise ValueError(f"`max_document_share` must be greater than 0 and at most 1. Received: {max_document_share!r}")


def _tokens(document: Document) -> Sequence[str]:
    return tokenize(document) if isinstance(document, str) else document


def _english_stop_words() -> frozenset[str]:
    from sklearn.feature_extraction.text import ENGLISH_STOP_WORDS

    return ENGLISH_STOP_WORDS | frozenset(_CONTRACTED.split())
