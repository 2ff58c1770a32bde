"""Numbers that have labels: dictionaries, and pandas' series."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any


def labels_of(values: Any) -> list[Any] | None:
    """Return the labels of a dictionary or of a series; `None` of what has none.

    A series that was made without an index has a `RangeIndex`, which labels nothing. Arms that are called 0 and 1 come
    out of a table with an index of another type.
    """
    if isinstance(values, Mapping):
        return list(values)
    index = _index(values)
    return None if index is None or type(index).__name__ == "RangeIndex" else list(index)


def _index(values: Any) -> Any:
    index = getattr(values, "index", None)
    return index if hasattr(index, "equals") else None


def by_arm(names: Sequence[Any] | None, **given: Any) -> tuple[Sequence[Any] | None, list[Any]]:
    """Bring numbers that are labelled with the arms' names into one order.

    Args:
        names: The arms' names in the order that is wanted; by default the labels as the first has them.
        **given: For each parameter an array, a dictionary or a series.

    Returns:
        The names, `None` if there are none, and the values of each parameter.

    Raises:
        ValueError: If labels differ, or some numbers have labels and others none, or labels are not the names.
    """
    labels = {name: labels_of(values) for name, values in given.items()}
    known = {name: found for name, found in labels.items() if found is not None}
    if not known:
        return names, list(given.values())
    order = list(next(iter(known.values())) if names is None else names)
    for name, found in labels.items():
        if found is None or set(found) != set(order) or len(found) != len(order):
            raise ValueError(
                f"{' and '.join(f'`{one}`' for one in given)} must be labelled with the same arms, or not at all. "
                f"Received: {name} with {'no labels' if found is None else f'the labels {found!r}'}, beside {order!r}"
            )
    return order, [[_at(values, label) for label in order] for values in given.values()]


def _at(values: Any, label: Any) -> Any:
    return values[label] if isinstance(values, Mapping) else values.loc[label]


def check_one_index(**given: Any) -> None:
    """Refuse series whose entries do not go together by their labels.

    Raises:
        ValueError: If two series have different indices.
    """
    indices = [(name, _index(values)) for name, values in given.items() if _index(values) is not None]
    for (one, index), (other, another) in pairwise(indices):
        if not index.equals(another):
            raise ValueError(
                f"`{one}` and `{other}` must have the same index: take both from one table, or give `.to_numpy()` of "
                f"both to go by position. Received: indices that begin with {list(index[:3])!r} and "
                f"{list(another[:3])!r}"
            )
