"""Every data set component refuses parameters out of range, and says the same in its annotations."""

from __future__ import annotations

import pytest

from kplug import datasets
from kplug.catalog.inspection import learn
from kplug.catalog.parameters import fits

FRACTION = r"greater than 0 and less than 1\. Received: "
CASES = [
    *[
        (name, parameter, value, FRACTION)
        for name in ("iris", "wine", "breast_cancer", "diabetes", "moons", "blobs", "gaussian_grid", "imbalanced")
        for parameter in ("validation_fraction", "test_fraction")
        for value in (0, 1, -0.1)
    ],
    *[("python_docs", parameter, 0, FRACTION) for parameter in ("validation_fraction", "test_fraction")],
    ("synthetic_topics", "validation_fraction", 0, FRACTION),
    *[
        (name, "seed", value, r"whole number from 0 to 4294967295\. Received: ")
        for name in ("iris", "diabetes", "moons", "blobs", "gaussian_grid", "imbalanced", "synthetic_topics")
        for value in (-1, 2**32, 0.5)
    ],
    ("python_docs", "seed", -1, "whole number"),
    ("moons", "num_samples", 9, "at least 10"),
    ("moons", "noise", -0.1, "at least 0"),
    ("blobs", "num_samples", 9, "at least 10"),
    ("blobs", "num_classes", 1, "at least 2"),
    ("blobs", "num_features", 0, "at least 1"),
    ("blobs", "spread", 0, "greater than 0"),
    ("gaussian_grid", "num_samples", 11, "at least 75"),
    ("gaussian_grid", "grid_size", 1, "at least 2"),
    ("gaussian_grid", "spacing", 0, "greater than 0"),
    ("gaussian_grid", "scale", -1, "greater than 0"),
    ("imbalanced", "num_samples", 5, "at least 10"),
    ("imbalanced", "num_features", 0, "at least 1"),
    ("imbalanced", "positive_fraction", 0, "greater than 0"),
    ("imbalanced", "positive_fraction", 0.6, "at most 0.5"),
    ("imbalanced", "separation", 0, "greater than 0"),
    ("synthetic_topics", "num_topics", 1, "at least 2"),
    ("synthetic_topics", "vocabulary_size", 9, "at least 10"),
    ("synthetic_topics", "train_documents", 0, "at least 1"),
    ("synthetic_topics", "test_documents", 0, "at least 1"),
    ("synthetic_topics", "words_per_document", 0, "at least 1"),
    ("synthetic_topics", "topic_concentration", 0.01, "at least 0.02"),
    ("synthetic_topics", "mixture_concentration", 0, "at least 0.02"),
    ("python_docs", "max_words", 0, "at least 1"),
    ("python_docs", "min_documents", 0, "at least 1"),
    ("python_docs", "max_document_share", 0, "greater than 0"),
    ("python_docs", "max_document_share", 1.5, "at most 1"),
    ("python_docs", "stop_words", "klingon", "'english' or None"),
]


@pytest.mark.parametrize(("name", "parameter", "value", "expected"), CASES)
def test_a_value_out_of_range_is_refused_by_name(name, parameter, value, expected):
    with pytest.raises(ValueError, match=rf"`{parameter}`.*{expected}") as caught:
        getattr(datasets, name)(**{parameter: value})
    assert repr(value) in str(caught.value)


@pytest.mark.parametrize(("name", "parameter", "value"), [case[:3] for case in CASES])
def test_the_annotation_refuses_it_too(name, parameter, value):
    parameters = learn("dataset", getattr(datasets, name))["parameters"]
    (schema,) = (one["schema"] for one in parameters if one["name"] == parameter)
    assert not fits(value, schema)
