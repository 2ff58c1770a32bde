"""The Python language reference that every Python installation has."""

from __future__ import annotations

import re
from collections.abc import Mapping
from itertools import chain
from typing import Annotated

import numpy as np
from pydantic import Field

from kplug.catalog.facts import component
from kplug.datasets.bag_of_words import StopWords, check_vocabulary
from kplug.datasets.dataset import Dataset
from kplug.datasets.limits import Fraction, Seed, check_fractions, check_seed
from kplug.datasets.word_counts import word_counts
from kplug.errors import DataError

_LEAST_WORDS, _MOST_WORDS = 30, 200
_EMPTY_LINES = re.compile(r"\n\s*\n")


@component(
    tasks=["topic-modeling", "density-estimation"],
    provides=["input_shape", "vocabulary", "vocabulary_size", "num_classes", "class_names"],
    references=["Python Software Foundation, The Python Language Reference, https://docs.python.org/3/reference/"],
)
def python_docs(
    max_words: Annotated[int, Field(ge=1)] = 2000,
    min_documents: Annotated[int, Field(ge=1)] = 4,
    max_document_share: Annotated[float, Field(gt=0, le=1)] = 0.3,
    stop_words: StopWords = "english",
    validation_fraction: Fraction = 0.1,
    test_fraction: Fraction = 0.2,
    seed: Seed = 0,
) -> Dataset:
    """Word counts of the Python reference, as `help("lambda")` shows it; needs no download.

    The sections of `pydoc_data.topics` repeat each other ("specialnames" has most of "customization"): a paragraph that
    is in several is kept in the shortest, and a section that is left with none is no class. Sections are then cut at
    empty lines into documents of 30 to 200 words, about 1,000 in all: short paragraphs go together, long ones (tables,
    mostly) are cut. Only a section that is shorter as a whole makes a shorter document. The text, and so the counts,
    differ a little from one Python version to the next.

    Args:
        max_words: The most words in the vocabulary, those of the highest total count.
        min_documents: Words in fewer documents are dropped.
        max_document_share: Words in a larger share of the documents are dropped.
        stop_words: `"english"` drops English stop words; `None` drops none.
        validation_fraction: Share of the documents outside the test split that becomes the validation split.
        test_fraction: Share of the documents that becomes the test split.
        seed: Seed of the order in which the documents are split.

    Returns:
        A `kplug.Dataset` with word counts of shape `(documents, vocabulary_size)`, float32, and the section that each
        document is from, int64; its info has `input_shape`, `vocabulary`, `vocabulary_size`, `num_classes` and
        `class_names` (the sections' names).

    Raises:
        ValueError: If a parameter is out of range.
        DataError: If this Python lacks `pydoc_data`, or no word is left.

    References:
        Python Software Foundation, The Python Language Reference, https://docs.python.org/3/reference/

    Example:

    >>> python_docs = kplug.datasets.python_docs()
    >>> "lambda" in python_docs.info["vocabulary"], "lambda" in python_docs.info["class_names"]
    (True, True)
    """
    check_vocabulary(max_words, min_documents, max_document_share, stop_words)
    check_fractions(validation_fraction=validation_fraction, test_fraction=test_fraction)
    check_seed(seed)
    try:
        from pydoc_data.topics import topics
    except ImportError as error:
        raise DataError(
            "This Python has no module pydoc_data, which holds its documentation. Install the full standard library, "
            "or take another data set, such as synthetic_topics."
        ) from error
    cut = {name: cut_into_documents(section) for name, section in without_repetitions(topics).items()}
    return word_counts(
        chain.from_iterable(cut.values()),
        np.repeat(np.arange(len(cut)), [len(documents) for documents in cut.values()]),
        tuple(cut),
        max_words=max_words,
        min_documents=min_documents,
        max_document_share=max_document_share,
        stop_words=stop_words,
        validation_fraction=validation_fraction,
        test_fraction=test_fraction,
        seed=seed,
        source="Python's documentation",
    )


def without_repetitions(sections: Mapping[str, str]) -> dict[str, str]:
    """Return sections of which every paragraph is in one only, the shortest of those that have it.

    Args:
        sections: Texts by their names.

    Returns:
        The sections that are left with any paragraph, in the order of their names.
    """
    seen: set[str] = set()
    own = {}
    for name in sorted(sections, key=lambda name: (len(sections[name].split()), name)):
        paragraphs = [" ".join(paragraph.split()) for paragraph in _EMPTY_LINES.split(sections[name])]
        own[name] = "\n\n".join(one for one in dict.fromkeys(paragraphs) if one not in seen)
        seen.update(paragraphs)
    return {name: own[name] for name in sorted(own) if own[name].strip()}


def cut_into_documents(text: str, least: int = _LEAST_WORDS, most: int = _MOST_WORDS) -> list[str]:
    """Cut a text into documents of a number of words (whatever stands between spaces), at empty lines if possible.

    Args:
        text: The text.
        least: The fewest words of a document; only a text that has fewer makes a shorter one.
        most: The most words of a document; at least twice `least`.

    Returns:
        The documents, each with its words divided by one space.
    """
    paragraphs = [paragraph.split() for paragraph in _EMPTY_LINES.split(text)]
    documents: list[list[str]] = []
    gathered: list[str] = []
    for paragraph in paragraphs:
        gathered = gathered + paragraph
        while len(gathered) > most:
            # What is left over must still make a document.
            size = min(most, len(gathered) - least)
            documents.append(gathered[:size])
            gathered = gathered[size:]
        if len(gathered) >= least:
            documents.append(gathered)
            gathered = []
    if gathered:
        _append_rest(documents, gathered, least, most)
    return [" ".join(document) for document in documents]


def _append_rest(documents: list[list[str]], rest: list[str], least: int, most: int) -> None:
    """Add fewer than `least` words at the end: to the last document, or with some of its words as one more."""
    if not documents:
        documents.append(rest)
    elif len(documents[-1]) + len(rest) <= most:
        documents[-1] = documents[-1] + rest
    else:
        missing = least - len(rest)
        documents.append(documents[-1][-missing:] + rest)
        documents[-2] = documents[-2][:-missing]
