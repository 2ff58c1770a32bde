"""A person's own texts, as word counts."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Annotated

import numpy as np
from pydantic import Field

from kplug.catalog.facts import component
from kplug.datasets.bag_of_words import StopWords, check_vocabulary
from kplug.datasets.dataset import Dataset
from kplug.datasets.limits import Fraction, Seed, check_fractions, check_seed
from kplug.datasets.paths import existing, existing_file, visible_files, visible_folders
from kplug.datasets.word_counts import word_counts
from kplug.errors import DataError

_SUFFIXES = frozenset({".txt"})


@component(
    tasks=["topic-modeling", "density-estimation"],
    provides=["input_shape", "vocabulary", "vocabulary_size"],
    references=["Blei et al. (2003), Latent Dirichlet Allocation, https://jmlr.org/papers/v3/blei03a.html"],
)
def text(
    path: str | Path,
    max_words: Annotated[int, Field(ge=1)] = 2000,
    min_documents: Annotated[int, Field(ge=1)] = 5,
    max_document_share: Annotated[float, Field(gt=0, le=1)] = 0.5,
    stop_words: StopWords = "english",
    validation_fraction: Fraction = 0.1,
    test_fraction: Fraction = 0.2,
    seed: Seed = 0,
) -> Dataset:
    """Word counts of your own texts: a folder of `.txt` files, or one file with a document on each line.

    In a folder each file is a document. If the files are in two or more folders inside it, one for each section, the
    section is the label; otherwise there are none. Empty lines, and documents without any word of the vocabulary, are
    left out. Documents that recur are all kept, and in one split: those with the same words of the vocabulary, each as
    often. So no test document is one that was trained on.

    Args:
        path: The folder or file, in UTF-8.
        max_words: The most words in the vocabulary, those of the highest total count.
        min_documents: Words in fewer documents are dropped.
        max_document_share: Words in a larger share of the documents are dropped.
        stop_words: `"english"` drops English stop words; `None` drops none.
        validation_fraction: Share of the documents outside the test split that becomes the validation split.
        test_fraction: Share of the documents that becomes the test split.
        seed: Seed of the order in which the documents are split.

    Returns:
        A `kplug.Dataset` whose splits are `(x,)`, word counts of shape `(documents, vocabulary_size)`, float32; with
        sections `(x, y)`, the section of each document from 0 in the order of their names, int64. Its info has
        `input_shape`, `vocabulary` and `vocabulary_size`; with sections `num_classes` and `class_names`.

    Raises:
        ValueError: If a parameter is out of range.
        DataError: If a file is missing, empty or not in UTF-8, or no word or too few documents are left.

    References:
        Blei et al. (2003), Latent Dirichlet Allocation, https://jmlr.org/papers/v3/blei03a.html

    Example:

    ```python
    letters = kplug.datasets.text("letters", min_documents=3)
    ```
    """
    check_vocabulary(max_words, min_documents, max_document_share, stop_words)
    check_fractions(validation_fraction=validation_fraction, test_fraction=test_fraction)
    check_seed(seed)
    source = existing(path)
    if source.is_dir():
        files, sections, names = _files(source)
        texts: Iterable[str] = map(_read, files)
    else:
        sections, names = None, ()
        texts = (line for line in _read(existing_file(source)).splitlines() if line.strip())
    return word_counts(
        texts,
        sections,
        names,
        max_words=max_words,
        min_documents=min_documents,
        max_document_share=max_document_share,
        stop_words=stop_words,
        validation_fraction=validation_fraction,
        test_fraction=test_fraction,
        seed=seed,
        source=str(source),
    )


def _files(folder: Path) -> tuple[list[Path], np.ndarray | None, tuple[str, ...]]:
    """Return the files, and their sections and the sections' names if there are two or more."""
    here = visible_files(folder, _SUFFIXES)
    inside = [(one, files) for one in visible_folders(folder) if (files := visible_files(one, _SUFFIXES))]
    if here and inside:
        raise DataError(
            f"{folder} has .txt files, and more in the folder {inside[0][0].name!r}. "
            "Put all of them in one folder, or each in a folder of its section."
        )
    if not here and not inside:
        raise DataError(
            f"{folder} has no .txt files, nor have the folders in it. Put one file there for each document."
        )
    if len(inside) < 2:
        return here or inside[0][1], None, ()
    sections = np.repeat(np.arange(len(inside)), [len(files) for _, files in inside])
    return [file for _, files in inside for file in files], sections, tuple(one.name for one, _ in inside)


def _read(file: Path) -> str:
    try:
        content = file.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError(
            f"{file} is not text in UTF-8: {error.reason} at byte {error.start}. Save it as UTF-8."
        ) from error
    except OSError as error:
        raise DataError(f"{file} cannot be read: {error.strerror}.") from error
    if not content.strip():
        raise DataError(f"{file} is empty. Fill it or take it away.")
    return content
