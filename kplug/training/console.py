"""What a worker prints goes into its run's log as long as there is room for it, and does no harm when there is none."""

from __future__ import annotations

import io
import sys
from typing import Any


class _Log(io.FileIO):
    """A file that takes what it can."""

    def write(self, data: Any) -> int:
        try:
            return super().write(data) or 0
        except OSError:
            return len(data)


def keep_printing() -> None:
    """Let no print fail from now on: not for a full disk, not for a character that cannot be encoded."""
    sys.stdout, sys.stderr = (
        io.TextIOWrapper(
            _Log(descriptor, "w", closefd=False), encoding="utf-8", errors="backslashreplace", write_through=True
        )
        for descriptor in (1, 2)
    )
