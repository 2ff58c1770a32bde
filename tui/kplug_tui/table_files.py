"""Tables in files, as far as a screen can show them. Reading is done in a thread."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from kplug.errors import KplugError
from kplug.plain_text import safe_line

ENDINGS = frozenset({".csv", ".tsv"})
"""The endings of files that are tables."""

_MOST_ROWS = 1000
_MOST_COLUMNS = 60
_MOST_BYTES = 4_000_000


@dataclass(frozen=True)
class TableFile:
    """The beginning of a table.

    Attributes:
        columns: Its head.
        rows: The first rows, each as long as the head.
        more: Whether there are more rows or columns.
    """

    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    more: bool


def read_table(path: Path) -> TableFile:
    """Read a table's beginning.

    Raises:
        KplugError: If it cannot be read.
    """
    try:
        with path.open(encoding="utf-8", errors="replace", newline="") as file:
            text = file.read(_MOST_BYTES)
        reader = csv.reader(text.splitlines(keepends=True), delimiter="\t" if path.suffix == ".tsv" else ",")
        lines = list(islice(reader, _MOST_ROWS + 2))
    except FileNotFoundError:
        raise KplugError(f"{path.name} is no longer there.") from None
    except OSError as error:
        raise KplugError(f"{path.name} cannot be read: {error.strerror or error}.") from error
    except csv.Error as error:
        raise KplugError(f"{path.name} is no table: {error}.") from error
    if not lines:
        raise KplugError(f"{path.name} is empty.")
    head = tuple(safe_line(one) for one in lines[0][:_MOST_COLUMNS])
    rows = tuple(
        tuple(safe_line(one) for one in (*line, *[""] * len(head))[: len(head)]) for line in lines[1 : _MOST_ROWS + 1]
    )
    more = len(lines) > _MOST_ROWS + 1 or len(text) == _MOST_BYTES or len(lines[0]) > _MOST_COLUMNS
    return TableFile(head, rows, more)
