"""What is refused of numbers that are given: the message names the parameter, the value and what to give."""

from __future__ import annotations

import math
from collections.abc import Sequence
from numbers import Integral, Real
from typing import Any

import numpy as np


def check_number(name: str, value: Any, low: float, high: float = math.inf, *, ends: str = "[]") -> None:
    """Refuse what is no number of an interval.

    Args:
        name: What the parameter is called.
        value: What was given.
        low: The interval's lower end.
        high: Its upper end.
        ends: `"["` or `"("`, and `"]"` or `")"`: whether the ends belong to it. Infinity never does.

    Raises:
        ValueError: Naming parameter, value and interval.
    """
    number = isinstance(value, Real) and not isinstance(value, bool) and math.isfinite(value)
    above = number and (value >= low if ends[0] == "[" else value > low)
    below = number and (value <= high if ends[1] == "]" else value < high)
    if not (above and below):
        lower = f"{'at least' if ends[0] == '[' else 'above'} {low:g}"
        upper = "" if high == math.inf else f" and {'at most' if ends[1] == ']' else 'below'} {high:g}"
        raise ValueError(f"`{name}` must be a number {lower}{upper}. Received: {name}={value!r}")


def checked_count(name: str, value: Any, least: int = 1) -> int:
    """Return a whole number, and refuse what is none, or too small a one.

    Raises:
        ValueError: Naming parameter, value and limit.
    """
    if not isinstance(value, Integral) or isinstance(value, bool) or int(value) < least:
        raise ValueError(f"`{name}` must be a whole number of at least {least}. Received: {name}={value!r}")
    return int(value)


def check_seed(seed: Any) -> None:
    """Refuse what no random generator of NumPy can begin at.

    Raises:
        ValueError: If it is no whole number from 0 to 2**32 - 1.
    """
    if not isinstance(seed, Integral) or isinstance(seed, bool) or not 0 <= int(seed) < 2**32:
        raise ValueError(f"`seed` must be a whole number from 0 to 4294967295. Received: seed={seed!r}")


def check_choice(name: str, value: Any, choices: Sequence[str]) -> None:
    """Refuse what is not among the choices.

    Raises:
        ValueError: Naming them.
    """
    if not isinstance(value, str) or value not in choices:
        raise ValueError(f"`{name}` must be one of {', '.join(map(repr, choices))}. Received: {name}={value!r}")


def finite_array(name: str, values: Any, *, dimensions: int | None = None) -> np.ndarray:
    """Return numbers as a float64 array.

    Args:
        name: What the parameter is called.
        values: What was given.
        dimensions: How many axes the array must have; `None` for any.

    Raises:
        ValueError: If they are no numbers, one is NaN or infinite, or the number of axes is another.
    """
    array = np.asarray(values)
    if array.dtype.kind not in "iufb":
        raise ValueError(f"`{name}` must be numbers. Received: values of the type {array.dtype}")
    array = array.astype("float64")
    if dimensions is not None and array.ndim != dimensions:
        raise ValueError(f"`{name}` must have {dimensions} axes. Received: an array of shape {array.shape}")
    bad = ~np.isfinite(array)
    if bad.any():
        place = tuple(map(int, np.argwhere(bad)[0]))
        where = f" at {place[0] if len(place) == 1 else place}" if place else ""
        raise ValueError(
            f"`{name}` must be finite numbers: leave out or fill in others. Received: {array[place]}{where}, "
            f"{int(bad.sum())} of {array.size} such values"
        )
    return array


def probabilities(name: str, values: Any) -> np.ndarray:
    """Return probabilities as a float64 array.

    Raises:
        ValueError: If one is no number from 0 to 1.
    """
    array = finite_array(name, values)
    bad = (array < 0) | (array > 1)
    if bad.any():
        first = array[bad].flat[0]
        raise ValueError(
            f"`{name}` must be probabilities, from 0 to 1 (percentages: divide by 100). Received: {first:g}"
        )
    return array
