"""`python_docs`: documents of the right length, their words and their sections."""

from __future__ import annotations

import re
import sys
from pydoc_data.topics import topics

import numpy as np
import pytest

from kplug.datasets import python_docs, tokenize
from kplug.datasets.python_docs import cut_into_documents, without_repetitions
from kplug.errors import DataError


@pytest.fixture(scope="module")
def data():
    return python_docs()


@pytest.mark.parametrize(
    ("lengths", "expected"),
    [
        ([40], [40]),
        ([5], [5]),
        ([10, 10, 10, 10], [40]),
        ([40, 40], [40, 40]),
        ([40, 10], [50]),
        ([20, 40, 35], [60, 35]),
        ([450], [200, 200, 50]),
        ([210], [180, 30]),
        ([200, 10], [180, 30]),
        ([0, 0], []),
    ],
)
def test_paragraphs_go_together_or_are_cut(lengths, expected):
    words = iter(range(10000))
    text = "\n\n".join(" ".join(f"w{next(words)}" for _ in range(length)) for length in lengths)
    documents = cut_into_documents(text, least=30, most=200)
    assert [len(document.split()) for document in documents] == expected
    assert " ".join(documents).split() == text.split()


def test_a_paragraph_of_several_sections_stays_in_the_shortest():
    sections = {
        "all": "one  word\n \nanother\nword\n\nand more\n\nrest",
        "long": "another word\n\nand more\n\n",
        "short": "\none word\n\none word\n",
        "a copy": "and more\n\nanother word",
        "z": "one\nword",
    }
    assert without_repetitions(sections) == {"a copy": "and more\n\nanother word", "all": "rest", "z": "one word"}


def test_documents_of_the_real_text_have_30_to_200_words():
    for text in without_repetitions(topics).values():
        documents = cut_into_documents(text)
        lengths = [len(document.split()) for document in documents]
        assert sum(lengths) == len(text.split())
        assert max(lengths) <= 200
        assert min(lengths) >= min(30, len(text.split()))


def test_sizes_and_types(data):
    sizes = [len(split[0]) for split in (data.train, data.validation, data.test)]
    assert 900 < sum(sizes) < 1100
    assert sizes[2] == round(0.2 * sum(sizes))
    assert sizes[1] == round(0.1 * (sizes[0] + sizes[1]))
    for x, y in (data.train, data.validation, data.test):
        assert (x.dtype, y.dtype, y.shape) == (np.float32, np.int64, (len(x),))
        assert x.sum(axis=1).min() >= 1


@pytest.mark.parametrize("seed", range(3))
def test_no_document_is_in_two_splits(seed):
    data = python_docs(seed=seed)
    splits = [split[0] for split in (data.train, data.validation, data.test)]
    rows = [{row.tobytes() for row in x} for x in splits]
    different = len(set.union(*rows))
    assert sum(map(len, rows)) == different
    # A few paragraphs differ in signs only; they go to one split.
    assert different > 0.99 * sum(map(len, splits))


def test_the_vocabulary_has_between_1000_and_2000_words_and_no_stop_words(data):
    vocabulary = data.info["vocabulary"]
    assert 1000 <= len(vocabulary) <= 2000
    assert data.info["vocabulary_size"] == len(vocabulary)
    assert data.info["input_shape"] == (len(vocabulary),)
    assert {"object", "exception", "attribute", "lambda"} < set(vocabulary)
    assert not {"the", "and", "of", "does", "doesn"} & set(vocabulary)


def test_the_counts_add_up_to_those_of_the_text(data):
    paragraphs = {" ".join(part.split()) for text in topics.values() for part in re.split(r"\n\s*\n", text)}
    expected = sum(tokenize(paragraph).count("lambda") for paragraph in paragraphs)
    column = data.info["vocabulary"].index("lambda")
    assert sum(split[0][:, column].sum() for split in (data.train, data.validation, data.test)) == expected


def test_labels_are_sections(data):
    names = data.info["class_names"]
    assert list(names) == sorted(names)
    assert set(names) < set(topics)
    assert {"lambda", "specialnames", "customization"} < set(names)
    assert data.info["num_classes"] == len(names) >= 70
    x, y = data.train
    for row, section in zip(x[:50], y[:50], strict=True):
        words = set(tokenize(topics[data.info["class_names"][section]]))
        assert {data.info["vocabulary"][column] for column in np.flatnonzero(row)} <= words


def test_one_seed_gives_one_order_and_another_another_of_the_same_vocabulary(data):
    again, other = python_docs(), python_docs(seed=1)
    np.testing.assert_array_equal(data.train[0], again.train[0])
    assert not np.array_equal(data.train[0], other.train[0])
    assert other.info == data.info


def test_the_vocabularys_parameters_are_passed_on():
    data = python_docs(max_words=50, max_document_share=1.0, stop_words=None)
    assert len(data.info["vocabulary"]) == 50
    assert data.info["vocabulary"][0] == "the"


def test_no_word_left_names_the_documentation():
    with pytest.raises(DataError, match=r"Python's documentation: No word is left"):
        python_docs(min_documents=5000)


def test_a_python_without_its_documentation(monkeypatch):
    monkeypatch.setitem(sys.modules, "pydoc_data.topics", None)
    with pytest.raises(DataError, match=r"no module pydoc_data.*another data set, such as synthetic_topics"):
        python_docs()
