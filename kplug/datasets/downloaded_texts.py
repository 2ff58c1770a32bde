"""Classified texts as sequences of words, fetched through Keras when they are first used."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import numpy as np
from pydantic import Field

from kplug.catalog.facts import component
from kplug.datasets.dataset import Dataset
from kplug.datasets.downloads import load_download
from kplug.datasets.limits import Fraction, Seed, check_counts, check_fractions, check_seed
from kplug.datasets.splits import split_two_ways, take

_TASKS = ("text-classification",)
_PROVIDES = ("input_shape", "sequence_length", "vocabulary_size", "num_classes", "class_names")
_KERAS_FILES = "https://storage.googleapis.com/tensorflow/tf-keras-datasets"
_LEAST_WORDS = 5  # Padding, start, unknown, 3, which Keras leaves unused, and one word.


@component(
    tasks=_TASKS,
    provides=_PROVIDES,
    references=["Maas et al. (2011), Learning Word Vectors for Sentiment Analysis, https://aclanthology.org/P11-1015"],
)
def imdb(
    vocabulary_size: Annotated[int, Field(ge=_LEAST_WORDS)] = 10000,
    sequence_length: Annotated[int, Field(ge=1)] = 200,
    validation_fraction: Fraction = 0.1,
    seed: Seed = 0,
) -> Dataset:
    """50,000 film reviews, negative (0) or positive (1), as sequences of words; downloads 17 MB once.

    Words are numbered by their frequency from 4, the most frequent; 0 is padding, 1 the start, 2 a word beyond the
    vocabulary, and 3 is not used. Of a longer review the end is kept, a shorter one is padded in front. Half of the
    reviews are the authors' test split.

    Args:
        vocabulary_size: Number of different values, the first four included.
        sequence_length: Words in every sequence.
        validation_fraction: Share of the authors' 25,000 training reviews that becomes the validation split.
        seed: Seed of the order in which they are split; classes are in proportion.

    Returns:
        A `kplug.Dataset` with sequences of shape `(reviews, sequence_length)`, int32, and classes, int64; its info has
        `input_shape`, `sequence_length`, `vocabulary_size`, `num_classes` and `class_names`.

    Raises:
        ValueError: If a parameter is out of range.
        DataError: If the file is not on this machine and cannot be fetched.

    References:
        Maas et al. (2011), Learning Word Vectors for Sentiment Analysis, https://aclanthology.org/P11-1015

    Example:

    ```python
    imdb = kplug.datasets.imdb(sequence_length=80)
    imdb.train[0].shape  # (22500, 80)
    ```
    """
    return _sequences("imdb", ("negative", "positive"), vocabulary_size, sequence_length, validation_fraction, seed)


@component(
    tasks=_TASKS,
    provides=_PROVIDES,
    references=["Lewis (1997), Reuters-21578 Text Categorization Collection, doi:10.24432/C52G6M"],
)
def reuters(
    vocabulary_size: Annotated[int, Field(ge=_LEAST_WORDS)] = 10000,
    sequence_length: Annotated[int, Field(ge=1)] = 200,
    validation_fraction: Fraction = 0.1,
    seed: Seed = 0,
) -> Dataset:
    """11,228 news wires on 46 subjects, as sequences of words; downloads 2 MB once.

    Words are numbered by their frequency from 4, the most frequent; 0 is padding, 1 the start, 2 a word beyond the
    vocabulary, and 3 is not used. Of a longer wire the end is kept, a shorter one is padded in front. Keras' own test
    split, a fifth, is kept.

    Args:
        vocabulary_size: Number of different values, the first four included.
        sequence_length: Words in every sequence.
        validation_fraction: Share of the 8,982 training wires that becomes the validation split.
        seed: Seed of the order in which they are split; classes are in proportion.

    Returns:
        A `kplug.Dataset` with sequences of shape `(wires, sequence_length)`, int32, and classes, int64; its info has
        `input_shape`, `sequence_length`, `vocabulary_size`, `num_classes` and `class_names`.

    Raises:
        ValueError: If a parameter is out of range.
        DataError: If the file is not on this machine and cannot be fetched.

    References:
        Lewis (1997), Reuters-21578 Text Categorization Collection, doi:10.24432/C52G6M

    Example:

    ```python
    reuters = kplug.datasets.reuters(vocabulary_size=5000)
    reuters.info["class_names"][3]  # "earn"
    ```
    """
    import keras

    names = tuple(keras.datasets.reuters.get_label_names())
    return _sequences("reuters", names, vocabulary_size, sequence_length, validation_fraction, seed)


def _sequences(
    name: str,
    class_names: tuple[str, ...],
    vocabulary_size: int,
    sequence_length: int,
    validation_fraction: float,
    seed: int,
) -> Dataset:
    check_counts(_LEAST_WORDS, vocabulary_size=vocabulary_size)
    check_counts(sequence_length=sequence_length)
    check_fractions(validation_fraction=validation_fraction)
    check_seed(seed)
    import keras

    source = getattr(keras.datasets, name)
    (x, y), (x_test, y_test) = load_download(
        name,
        lambda: source.load_data(num_words=vocabulary_size),
        f"{_KERAS_FILES}/{name}.npz",
        f"{name}.npz",
        otherwise="python_docs",
    )
    x, x_test = _padded(x, sequence_length), _padded(x_test, sequence_length)
    y, y_test = np.asarray(y, "int64"), np.asarray(y_test, "int64")
    indices = split_two_ways(len(x), validation_fraction, seed, labels=y, source=f"The data set {name}")
    train, validation = take(indices, x, y)
    info = {
        "input_shape": (sequence_length,),
        "sequence_length": sequence_length,
        "vocabulary_size": vocabulary_size,
        "num_classes": len(class_names),
        "class_names": class_names,
    }
    return Dataset(train, validation, (x_test, y_test), info)


def _padded(sequences: Sequence[Sequence[int]], length: int) -> np.ndarray:
    """Return the last words of each sequence, shorter ones with zeros in front."""
    padded = np.zeros((len(sequences), length), "int32")
    for row, sequence in zip(padded, sequences, strict=True):
        kept = sequence[-length:]
        if len(kept):
            row[-len(kept) :] = kept
    return padded
