"""What happened to a run: each event a line, and below it all that is known of the one under the cursor."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from textual.app import ComposeResult
from textual.containers import Container, VerticalScroll
from textual.widgets import Static

from kplug.plain_text import moment, safe_line, safe_text
from kplug_tui.detail import LeftFile, RunDetail
from kplug_tui.formatting import duration, size
from kplug_tui.widgets.table import Column, Table

_TONES = {
    "failed": "bad",
    "checkpoint failed": "bad",
    "warning": "busy",
    "completed": "good",
    "checkpoint": "muted",
}
_SAID_ELSEWHERE = frozenset({"time", "event", "traceback"})

Row = Mapping[str, Any]


class Events(Container):
    """The history of a run, the newest last."""

    DEFAULT_CSS = """
    Events { layout: vertical; height: 1fr; }
    Events > Table { height: 1fr; }
    Events > VerticalScroll { height: auto; max-height: 50%; border-top: solid $panel; padding: 0 1; display: none; }
    Events > VerticalScroll.open { display: block; }
    """

    def compose(self) -> ComposeResult:
        """Make the parts."""
        columns = [
            Column("time", "TIME", 19, _time, priority=1),
            Column("after", "AFTER", 8, lambda row: str(row["after"]), "right", priority=2),
            Column("event", "EVENT", 17, _event),
            Column("what", "", 12, lambda row: str(row["what"]), grow=1),
        ]
        yield Table(columns, lambda row: str(row["place"]), "Nothing has happened yet.")
        with VerticalScroll(can_focus=False):
            yield Static("", id="told", markup=False)

    def show(self, detail: RunDetail) -> None:
        """Show a run's history."""
        files = {one.name.partition(".")[0]: one for one in detail.checkpoints if one.name.endswith(".npz")}
        first = next((one["time"] for one in detail.events if isinstance(one.get("time"), int | float)), None)
        rows = [_row(place, event, first, files) for place, event in enumerate(detail.events)]
        table = self.query_one(Table)
        at_end = table.cursor >= len(table.rows) - 1
        table.show(rows)
        if at_end and rows:
            table.go_to(str(len(rows) - 1))

    def focus_first(self) -> None:
        """Put the focus on the list."""
        self.query_one(Table).focus()

    def on_table_highlighted(self, message: Table.Highlighted) -> None:
        """Say all that is known of an event."""
        message.stop()
        told = _told(message.row) if message.row is not None else ""
        self.query_one(VerticalScroll).set_class(bool(told), "open")
        self.query_one("#told", Static).update(told)

    def on_table_opened(self, message: Table.Opened) -> None:
        """Keep keys to this page."""
        message.stop()

    def on_table_header_clicked(self, message: Table.HeaderClicked) -> None:
        """Keep clicks to this page."""
        message.stop()


def _row(place: int, event: Row, first: float | None, files: Mapping[str, LeftFile]) -> dict[str, Any]:
    at = event.get("time")
    known = isinstance(at, int | float) and first is not None
    kept = None
    if event.get("event") == "checkpoint" and isinstance(event.get("step"), int):
        kept = files.get(f"step-{event['step']:012d}")
    return {
        "place": place,
        "after": duration(at - first) if known else "",  # type: ignore[operator]
        "what": _what(event, kept),
        "event": event,
    }


def _what(event: Row, kept: LeftFile | None) -> str:
    parts = [
        f"{name} {event[name]}"
        for name in ("step", "epoch", "batch")
        if isinstance(event.get(name), int) and (name != "batch" or event[name])
    ]
    if kept is not None:
        parts.append(f"{size(kept.size)}, kept")
    parts += [safe_line(str(event[name])) for name in ("message", "error") if event.get(name)]
    if str(event.get("event")) in {"started", "resumed"} and isinstance(event.get("versions"), Mapping):
        parts.append(", ".join(f"{name} {version}" for name, version in event["versions"].items()))
    return "  ".join(parts)


def _time(row: Row) -> str:
    return moment(row["event"].get("time"))


def _event(row: Row) -> tuple[str, str | None]:
    event = str(row["event"].get("event", "?"))
    return event, _TONES.get(event)


def _told(row: Row) -> str:
    """Return what does not fit into the line: the traceback, or the whole message."""
    event = row["event"]
    texts = [str(event[name]) for name in ("message", "error", "traceback") if event.get(name)]
    return safe_text("\n\n".join(texts).rstrip())
