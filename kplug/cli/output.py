"""Plain text for the terminal: safe to show, aligned, as wide as the screen."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Sequence
from typing import Any

from kplug.plain_text import safe_line, safe_text

_GAP = "  "


def print_json(value: Any) -> None:
    """Print a value as JSON."""
    print(json.dumps(value, indent=2, default=str))


def print_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print rows in aligned columns; on a terminal the last column is cut at the screen's edge."""
    lines = [[safe_line(cell) for cell in row] for row in (header, *rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(header))]
    limit = shutil.get_terminal_size().columns if sys.stdout.isatty() else None
    for line in lines:
        text = _GAP.join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        print(text if limit is None or len(text) <= limit else f"{text[: limit - 1]}…")


def print_fields(fields: Sequence[tuple[str, str]], indent: str = "") -> None:
    """Print `name  value` lines with the values aligned."""
    width = max((len(name) for name, _ in fields), default=0)
    for name, value in fields:
        print(f"{indent}{safe_line(name).ljust(width)}  {safe_line(value)}".rstrip())


def notice(text: str) -> None:
    """Say something beside the result, on standard error."""
    print(safe_text(text), file=sys.stderr, flush=True)
