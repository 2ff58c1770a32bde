"""Documents drawn from the process that latent Dirichlet allocation assumes, with known topics."""

from __future__ import annotations

from typing import Annotated

import numpy as np
from pydantic import Field

from kplug.catalog.facts import component
from kplug.datasets.dataset import Dataset
from kplug.datasets.limits import Fraction, Seed, check_counts, check_fractions, check_least, check_seed

_LDA = "Blei et al. (2003), Latent Dirichlet Allocation, https://jmlr.org/papers/v3/blei03a.html"
_LEAST_CONCENTRATION = 0.02  # Below, the gamma draws behind a Dirichlet's may all come out as 0.

Concentration = Annotated[float, Field(ge=_LEAST_CONCENTRATION)]


@component(
    tasks=["topic-modeling", "density-estimation"],
    provides=["input_shape", "vocabulary", "vocabulary_size", "num_classes", "class_names"],
    references=[_LDA],
)
def synthetic_topics(
    num_topics: Annotated[int, Field(ge=2)] = 10,
    vocabulary_size: Annotated[int, Field(ge=10)] = 1000,
    train_documents: Annotated[int, Field(ge=1)] = 4000,
    test_documents: Annotated[int, Field(ge=1)] = 1000,
    words_per_document: Annotated[int, Field(ge=1)] = 60,
    topic_concentration: Concentration = 0.02,
    mixture_concentration: Concentration = 0.1,
    validation_fraction: Fraction = 0.1,
    seed: Seed = 0,
) -> Dataset:
    """Word counts of documents drawn from known topics; needs no download.

    The process is that of latent Dirichlet allocation (Blei et al. 2003, section 3):

    ```
    topic_k    ~ Dirichlet(topic_concentration),   over the words
    mixture_d  ~ Dirichlet(mixture_concentration), over the topics
    counts_d   ~ Multinomial(words_per_document, sum_k mixture_d[k] topic_k)
    ```

    `kplug.datasets.synthetic_topics_truth` returns the topics, for a model to be measured against.

    Args:
        num_topics: Number of topics.
        vocabulary_size: Number of words.
        train_documents: Number of documents in the training split.
        test_documents: Number of documents in the test split.
        words_per_document: Length of every document.
        topic_concentration: Dirichlet parameter of the topics; the smaller, the fewer words a topic has.
        mixture_concentration: Dirichlet parameter of the mixtures; the smaller, the purer the documents.
        validation_fraction: Size of the validation split as a share of `train_documents`. Its documents are drawn
            after the others, so that they cost the training split none.
        seed: Seed of the topics and of the documents.

    Returns:
        A `kplug.Dataset` with word counts of shape `(documents, vocabulary_size)`, float32, and the topic that is most
        probable in each document's mixture, int64; its info has `input_shape`, `vocabulary` (made up: `word0`, …),
        `vocabulary_size`, `num_classes` and `class_names`.

    Raises:
        ValueError: If a parameter is out of range.

    References:
        Blei et al. (2003), Latent Dirichlet Allocation, https://jmlr.org/papers/v3/blei03a.html

    Example:

    >>> documents = kplug.datasets.synthetic_topics(vocabulary_size=50, train_documents=200, test_documents=20)
    >>> documents.train[0].shape, documents.test[0].sum(axis=1)[:3]
    ((200, 50), array([60., 60., 60.], dtype=float32))
    """
    check_counts(train_documents=train_documents, test_documents=test_documents, words_per_document=words_per_document)
    check_least(_LEAST_CONCENTRATION, mixture_concentration=mixture_concentration)
    check_fractions(validation_fraction=validation_fraction)
    topics, random = _topics(num_topics, vocabulary_size, topic_concentration, seed)

    def documents(number: int) -> tuple[np.ndarray, np.ndarray]:
        mixtures = random.dirichlet(np.full(num_topics, mixture_concentration), number)
        words = mixtures @ topics
        words /= words.sum(axis=1, keepdims=True)
        counts = np.stack([random.multinomial(words_per_document, document) for document in words])
        return counts.astype("float32"), mixtures.argmax(axis=1).astype("int64")

    x, y = documents(train_documents + test_documents)
    return Dataset(
        train=(x[:train_documents], y[:train_documents]),
        validation=documents(max(1, round(validation_fraction * train_documents))),
        test=(x[train_documents:], y[train_documents:]),
        info={
            "input_shape": (vocabulary_size,),
            "vocabulary": tuple(f"word{number}" for number in range(vocabulary_size)),
            "vocabulary_size": vocabulary_size,
            "num_classes": num_topics,
            "class_names": tuple(f"topic {number}" for number in range(num_topics)),
        },
    )


def synthetic_topics_truth(
    num_topics: int = 10, vocabulary_size: int = 1000, topic_concentration: float = 0.02, seed: int = 0
) -> np.ndarray:
    """Return the topics from which `synthetic_topics` draws its documents.

    Args:
        num_topics: As given to `synthetic_topics`; so are the others.
        vocabulary_size: Number of words.
        topic_concentration: Dirichlet parameter of the topics.
        seed: Seed of the topics.

    Returns:
        Probabilities of the words in each topic, float64 of shape `(num_topics, vocabulary_size)`.

    Raises:
        ValueError: If a parameter is out of range.

    Example:

    >>> topics = kplug.datasets.synthetic_topics_truth()
    >>> topics.shape, topics.sum(axis=1).round(6)[:2]
    ((10, 1000), array([1., 1.]))
    """
    return _topics(num_topics, vocabulary_size, topic_concentration, seed)[0]


def _topics(
    num_topics: int, vocabulary_size: int, topic_concentration: float, seed: int
) -> tuple[np.ndarray, np.random.RandomState]:
    check_counts(2, num_topics=num_topics)
    check_counts(10, vocabulary_size=vocabulary_size)
    check_least(_LEAST_CONCENTRATION, topic_concentration=topic_concentration)
    check_seed(seed)
    random = np.random.RandomState(seed)
    return random.dirichlet(np.full(vocabulary_size, topic_concentration), num_topics), random
