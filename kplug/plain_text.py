"""Text from runs and plugins made safe for a terminal: no colours, no escape sequences, no tricks of direction."""

from __future__ import annotations

import re
import time
from typing import Any

_CONTROLS = dict.fromkeys((*range(32), *range(127, 160)), "�")
_UNSEEN = dict.fromkeys(
    (
        *(0x061C, 0x200E, 0x200F, *range(0x202A, 0x202F), *range(0x2066, 0x206A)),  # directions of writing
        *(0x2028, 0x2029),  # ends of lines and paragraphs
        *range(0xD800, 0xE000),  # halves of surrogate pairs, which cannot be encoded
    ),
    "\N{REPLACEMENT CHARACTER}",
)
_COLOURS = re.compile(r"\x1b\[[0-9;]*m")
_LINE_SAFE = {**_CONTROLS, **_UNSEEN}
_TEXT_SAFE = {code: mark for code, mark in _LINE_SAFE.items() if chr(code) not in "\n\t"}


def safe_line(text: str) -> str:
    """Return text from a run or plugin for one line: colours go, and other escape sequences lose their power."""
    return _COLOURS.sub("", text).translate(_LINE_SAFE)


def safe_text(text: str) -> str:
    """Return text of several lines likewise; newlines and tabs stay."""
    return _COLOURS.sub("", text).translate(_TEXT_SAFE)


def moment(value: Any) -> str:
    """Return a moment, in seconds since the Unix epoch, in this machine's time; nothing of what is none."""
    try:
        return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(value)) if isinstance(value, int | float) else ""
    except (OverflowError, ValueError, OSError):
        return ""
