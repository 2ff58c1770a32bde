"""What a check of a plugin found."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

OK, WARNING, ERROR = "ok", "warning", "error"


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at.

    Attributes:
        level: `"ok"`, `"warning"`, or `"error"`: the plugin is not fit to publish.
        subject: What was looked at: a component's id, or the distribution.
        check: Under which aspect: `"serialization"`, `"wheel"`, …
        message: What was found, and what to do about it.
    """

    level: str
    subject: str
    check: str
    message: str = ""

    def as_json(self) -> dict[str, Any]:
        """Return it as a dictionary that JSON can hold."""
        return asdict(self)
