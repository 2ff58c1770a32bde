"""Numbers, times and states as a screen shows them: short, and of one width where they stand in a column."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from typing import Any

from rich.text import Text

from kplug.plain_text import safe_line

LIVE = frozenset({"queued", "starting", "running", "stopping"})
_TONES = {
    "completed": "good",
    "failed": "bad",
    "lost": "bad",
    "running": "busy",
    "starting": "busy",
    "stopping": "busy",
    "queued": "muted",
    "stopped": "muted",
}
_SIGNS = {
    "completed": "✓",
    "failed": "✗",
    "lost": "?",
    "running": "▶",
    "starting": "…",
    "stopping": "◼",
    "queued": "⋯",
    "stopped": "◻",
}
_UNITS = ((86400, "d"), (3600, "h"), (60, "m"), (1, "s"))


def plain(value: Any) -> Text:
    """Return text from a run or plugin as text: never markup, never an escape sequence."""
    return Text(safe_line(str(value)), no_wrap=True, overflow="ellipsis")


def number(value: Any) -> str:
    """Return a metric in at most eight characters."""
    if value is None:
        return "nan"
    if isinstance(value, bool) or not isinstance(value, int | float):
        return safe_line(str(value))
    if isinstance(value, int):
        return str(value)
    if not math.isfinite(value):
        return str(value)
    size = abs(value)
    if value == 0 or 1e-3 <= size < 1e5:
        return f"{value:.4g}"
    return f"{value:.2e}"


def duration(seconds: float | None) -> str:
    """Return a duration in its two largest units: `3h 12m`."""
    if seconds is None or not math.isfinite(seconds) or seconds < 0:
        return ""
    whole = int(seconds)
    for place, (size, unit) in enumerate(_UNITS):
        if whole >= size or unit == "s":
            rest, smaller = whole % size, _UNITS[place + 1] if place + 1 < len(_UNITS) else None
            more = f" {rest // smaller[0]}{smaller[1]}" if smaller and rest // smaller[0] else ""
            return f"{whole // size}{unit}{more}"
    return ""


def age(moment: Any, now: float | None = None) -> str:
    """Return how long ago a moment was, in its largest unit: `3h`."""
    if not isinstance(moment, int | float):
        return ""
    seconds = (time.time() if now is None else now) - moment
    return duration(max(0.0, seconds)).partition(" ")[0]


def size(count: float | None) -> str:
    """Return a number of bytes: `1.5 GiB`."""
    if count is None:
        return ""
    for unit in ("B", "KiB", "MiB", "GiB"):
        if abs(count) < 1024:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1024
    return f"{count:.1f} TiB"


def bare(component: Any) -> str:
    """Return a component's name without kplug's own namespace."""
    return safe_line(str(component or "?")).removeprefix("kplug/")


def state_sign(state: str) -> str:
    """Return a sign for a state, beside its word."""
    return _SIGNS.get(state, "·")


def state_tone(state: str) -> str | None:
    """Return in which tone a state is shown: `good`, `bad`, `busy`, `muted`, or `None`."""
    return _TONES.get(state)


def state_cell(summary: Mapping[str, Any]) -> tuple[str, str | None]:
    """Return a run's state with its sign, and its tone."""
    state = str(summary["state"])
    return f"{state_sign(state)} {state}", state_tone(state)


def done_bar(share: float, width: int) -> Text:
    """Return a bar of which so much is drawn strongly."""
    done = round(share * width)
    return Text.assemble(("━" * done, "bold"), ("─" * (width - done), "dim"))


def progress(summary: Mapping[str, Any]) -> float | None:
    """Return how much of a run is done, from 0 to 1, or `None` if that is not known."""
    if summary.get("state") == "completed":
        return 1.0
    done, whole, steps = summary.get("step"), summary.get("epochs"), summary.get("steps_per_epoch")
    if isinstance(done, int) and isinstance(whole, int) and isinstance(steps, int) and steps * whole > 0:
        return min(1.0, done / (steps * whole))
    epoch = summary.get("epoch")
    if isinstance(epoch, int) and isinstance(whole, int) and whole > 0:
        return min(1.0, epoch / whole)
    return None


def seconds_left(summary: Mapping[str, Any], now: float | None = None) -> float | None:
    """Return the time until a running run ends, at its mean rate so far."""
    share, begun, first = progress(summary), summary.get("first_batch"), summary.get("first_step") or 0
    if summary.get("state") != "running" or not share or not isinstance(begun, int | float):
        return None
    whole = (summary.get("steps_per_epoch") or 0) * (summary.get("epochs") or 0)
    done = share - (first / whole if whole else 0.0)
    elapsed = (time.time() if now is None else now) - begun
    return elapsed * (1.0 - share) / done if done > 0 and elapsed > 0 else None
