"""Warnings of a run: kept among its events, which `kplug train` and the terminal show, and printed into its log."""

from __future__ import annotations

import contextlib
import time
import warnings
from collections.abc import Iterator
from typing import Any

from kplug.runs.records import RecordWriter

_MOST_CHARACTERS = 500


def warn(events: RecordWriter, message: str) -> None:
    """Warn of something.

    Args:
        events: The run's events.
        message: What there is to say.
    """
    print(f"warning: {message}", flush=True)
    events.write({"time": time.time(), "event": "warning", "message": message})


@contextlib.contextmanager
def warnings_told(events: RecordWriter) -> Iterator[None]:
    """Keep what Python code warns its user of (`UserWarning`), each message once; other warnings are printed alone."""
    before, told = warnings.showwarning, set()

    def show(message: Warning | str, category: type[Warning], *where: Any, **more: Any) -> None:
        text = " ".join(str(message).split())[:_MOST_CHARACTERS]
        if not issubclass(category, UserWarning):
            before(message, category, *where, **more)
        elif text not in told:
            told.add(text)
            with contextlib.suppress(OSError):
                warn(events, text)

    warnings.showwarning = show
    try:
        yield
    finally:
        warnings.showwarning = before
