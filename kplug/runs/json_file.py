"""Reading the small JSON files of a run directory, whatever has become of them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any


def read_json_object(path: Path) -> dict[str, Any]:
    """Return the object that a JSON file holds; halves of surrogate pairs in its texts, which nobody can print, go.

    Raises:
        OSError: If the file cannot be read.
        ValueError: If it holds something else.
    """
    text = path.read_text(encoding="utf-8")
    try:
        content = json.loads(text)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    if not isinstance(content, dict):
        raise ValueError("it does not hold an object")
    return _printable(content) if "\\ud" in text.lower() else content


def _printable(value: Any) -> Any:
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode()
    if isinstance(value, list):
        return [_printable(one) for one in value]
    if isinstance(value, dict):
        return {_printable(name): _printable(one) for name, one in value.items()}
    return value
