"""Limits of the data sets' parameters: as annotations, and as checks that name parameter and value."""

from __future__ import annotations

from numbers import Integral, Real
from typing import Annotated, Any

from pydantic import Field

Fraction = Annotated[float, Field(gt=0, lt=1)]
Seed = Annotated[int, Field(ge=0, lt=2**32)]


def check_fractions(**fractions: float) -> None:
    """Refuse shares that are not between 0 and 1.

    Raises:
        ValueError: If one is 0 or less, 1 or more, or no number.
    """
    for name, value in fractions.items():
        if not _is_number(value) or not 0 < value < 1:
            raise ValueError(f"`{name}` must be greater than 0 and less than 1. Received: {value!r}")


def check_seed(seed: int) -> None:
    """Refuse what NumPy's `RandomState` does not take.

    Raises:
        ValueError: If it is no whole number from 0 to 2**32 - 1.
    """
    if not _is_whole(seed) or not 0 <= seed < 2**32:
        raise ValueError(f"`seed` must be a whole number from 0 to 4294967295. Received: {seed!r}")


def check_counts(least: int = 1, **counts: int) -> None:
    """Refuse numbers that count nothing.

    Raises:
        ValueError: If one is less than `least`, or no whole number.
    """
    for name, value in counts.items():
        if not _is_whole(value) or value < least:
            raise ValueError(f"`{name}` must be a whole number, at least {least}. Received: {value!r}")


def check_least(least: float, **values: float) -> None:
    """Refuse numbers below a limit.

    Raises:
        ValueError: If one is less than `least`, not finite, or no number.
    """
    for name, value in values.items():
        if not _is_number(value) or not least <= value < float("inf"):
            raise ValueError(f"`{name}` must be a number, at least {least:g}. Received: {value!r}")


def check_positive(**values: float) -> None:
    """Refuse numbers that are not greater than 0.

    Raises:
        ValueError: If one is 0 or less, not finite, or no number.
    """
    for name, value in values.items():
        if not _is_number(value) or not 0 < value < float("inf"):
            raise ValueError(f"`{name}` must be a number greater than 0. Received: {value!r}")


def check_choice(name: str, value: Any, choices: tuple[Any, ...]) -> None:
    """Refuse what is not among the choices.

    Raises:
        ValueError: If the value is none of them.
    """
    if value not in choices:
        raise ValueError(f"`{name}` must be {' or '.join(map(repr, choices))}. Received: {value!r}")


def _is_number(value: Any) -> bool:
    return isinstance(value, Real) and not isinstance(value, bool)


def _is_whole(value: Any) -> bool:
    return isinstance(value, Integral) and not isinstance(value, bool)


LARGEST = 1e37
"""The largest size of a number in data: ten times larger and single precision, in which models compute, has none."""
