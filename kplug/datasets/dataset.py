"""What a data set component returns."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from kplug.catalog.facts import INFO_FIELDS
from kplug.errors import DataError


@dataclass(frozen=True, repr=False)
class Dataset:
    """Splits that `fit` accepts, and a record of what they hold.

    Attributes:
        train: `(x, y)` with arrays of equal length, or anything else that `keras.Model.fit` accepts as data (a
            `tf.data.Dataset`, a `keras.utils.PyDataset`, a PyTorch `DataLoader`) that yields `(x, y)`.
        validation: The same, to watch the training by; `None` if there is none.
        test: The same, for the last word and the pictures; `None` if there is none.
        info: What the data are: `input_shape`, `num_classes`, `class_names`, … (`kplug.catalog.facts.INFO_FIELDS`).
            A model's constructor parameters of these names are filled from it.

    Raises:
        DataError: If arrays of one split differ in length, a split is empty, or `info` has an unknown field.
    """

    train: Any
    validation: Any = None
    test: Any = None
    info: Mapping[str, Any] = field(default_factory=dict)

    def __repr__(self) -> str:
        splits = ", ".join(f"{name}={_in_words(getattr(self, name))}" for name in ("train", "validation", "test"))
        return f"Dataset({splits}, info={dict(self.info)})"

    def __post_init__(self) -> None:
        unknown = sorted(set(self.info) - set(INFO_FIELDS))
        if unknown:
            raise DataError(
                f"Unknown fields in a data set's info: {', '.join(unknown)}. Known: {', '.join(INFO_FIELDS)}."
            )
        for split in ("train", "validation", "test"):
            _check_split(split, getattr(self, split))


def _in_words(split: Any) -> str:
    if not isinstance(split, tuple):
        return "None" if split is None else f"<{type(split).__name__}>"
    return f"({', '.join(f'{part.dtype}{part.shape}' if hasattr(part, 'shape') else repr(part) for part in split)})"


def _lengths(part: Any) -> Iterator[int]:
    """Yield the length of every array in a structure of dictionaries, lists and tuples."""
    if isinstance(part, Mapping):
        part = tuple(part.values())
    if isinstance(part, tuple | list) and any(hasattr(one, "shape") for one in part):
        for one in part:
            yield from _lengths(one)
    elif part is not None:
        yield len(part)


def _check_split(name: str, split: Any) -> None:
    if not isinstance(split, tuple):
        return
    lengths = [length for part in split for length in _lengths(part)]
    if len(set(lengths)) > 1:
        raise DataError(f"The {name} split's arrays differ in length: {', '.join(map(str, lengths))}.")
    if lengths and lengths[0] == 0:
        raise DataError(f"The {name} split is empty.")
