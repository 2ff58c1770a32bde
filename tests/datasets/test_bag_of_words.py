"""Tokens, vocabulary and counts, against small cases worked by hand."""

from __future__ import annotations

import numpy as np
import pytest

from kplug.datasets import build_vocabulary, count_words, tokenize
from kplug.errors import DataError


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("The cat sat.", ["the", "cat", "sat"]),
        ("snake_case, CamelCase; kebab-case", ["snake", "case", "camelcase", "kebab", "case"]),
        ("__init__ x2y 42 a b", ["init"]),
        ("Python's they're don't", ["python", "they", "re", "don"]),
        ("don\u2019t", ["don"]),
        ("Ärger über CAFÉ", ["ärger", "über", "café"]),
        ("cafe\u0301 \ufb01ne", ["café", "fine"]),
        ("Привет, мир", ["привет", "мир"]),
        ("line\nbreak\ttab", ["line", "break", "tab"]),
        ("", []),
        ("42 -- !", []),
    ],
)
def test_tokens(text, expected):
    assert tokenize(text) == expected


DOCUMENTS = ["apple pear apple", "apple plum", "plum cherry plum plum", "apple cherry"]
# total: apple 4, plum 4, cherry 2, pear 1; in documents: apple 3, plum 2, cherry 2, pear 1


def vocabulary(**changes):
    return build_vocabulary(DOCUMENTS, **{"min_documents": 1, "max_document_share": 1.0, **changes})


def test_the_most_frequent_words_come_first_and_ties_in_order_of_the_alphabet():
    assert vocabulary() == ("apple", "plum", "cherry", "pear")


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"max_words": 2}, ("apple", "plum")),
        ({"min_documents": 2}, ("apple", "plum", "cherry")),
        ({"max_document_share": 0.5}, ("plum", "cherry", "pear")),
        ({"min_documents": 3}, ("apple",)),
    ],
)
def test_rare_frequent_and_surplus_words_are_dropped(changes, expected):
    assert vocabulary(**changes) == expected


def test_english_stop_words_and_contracted_verbs_are_dropped_unless_kept():
    documents = ["The dog doesn't bark, they'll see; I've seen."]
    kept = {"min_documents": 1, "max_document_share": 1.0}
    assert build_vocabulary(documents, **kept) == ("bark", "dog", "seen")
    everything = build_vocabulary(documents, **kept, stop_words=None)
    assert set(everything) == {"the", "dog", "doesn", "bark", "they", "ll", "see", "ve", "seen"}


def test_tokens_are_taken_as_they_are():
    documents = [["New York", "x"], ["New York"]]
    words = build_vocabulary(documents, min_documents=1, max_document_share=1.0)
    assert words == ("New York", "x")
    np.testing.assert_array_equal(count_words(documents, words), [[1, 1], [1, 0]])


def test_counts():
    counts = count_words(iter(DOCUMENTS), ("plum", "apple"))
    np.testing.assert_array_equal(counts, [[0, 2], [1, 1], [3, 0], [0, 1]])
    assert counts.dtype == np.float32


def test_sparse_counts():
    counts = count_words(iter(DOCUMENTS), ("plum", "apple"), sparse=True)
    assert (counts.format, counts.dtype, counts.shape, counts.nnz) == ("csr", np.float32, (4, 2), 5)
    assert counts.has_sorted_indices
    np.testing.assert_array_equal(counts.toarray(), [[0, 2], [1, 1], [3, 0], [0, 1]])


def test_no_documents_give_no_rows():
    assert count_words([], ("plum", "apple")).shape == (0, 2)
    assert count_words([], ("plum", "apple"), sparse=True).shape == (0, 2)


def test_a_vocabulary_with_a_word_twice_is_refused():
    with pytest.raises(ValueError, match=r"`vocabulary` must have every word once.*'plum'"):
        count_words(DOCUMENTS, ("apple", "plum", "plum"))


def test_no_word_left_is_an_error_that_says_why():
    expected = r"No word is left of the 4 in 4 documents.*at least 9 documents.*at most 50%.*Lower `min_documents`"
    with pytest.raises(DataError, match=expected):
        build_vocabulary(DOCUMENTS, min_documents=9)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"max_words": 0}, r"`max_words`.*0"),
        ({"min_documents": 0}, r"`min_documents`.*0"),
        ({"max_document_share": 0}, r"`max_document_share`.*0"),
        ({"max_document_share": 1.1}, r"`max_document_share`.*1\.1"),
        ({"stop_words": "german"}, r"`stop_words`.*'german'"),
    ],
)
def test_parameters_out_of_range_are_refused(changes, expected):
    with pytest.raises(ValueError, match=expected):
        vocabulary(**changes)
