"""The line at the top of every screen: where one is, and how many runs go on."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from rich.text import Text
from textual import events
from textual.widget import Widget

from kplug_tui.formatting import state_sign

PLACES = (("1", "runs", "Runs"), ("2", "catalog", "Catalog"), ("3", "devices", "Devices"))
"""Key, name and title of the screens that are always there."""

_COUNTED = ("running", "stopping", "starting", "queued")


class TopBar(Widget):
    """Names of the places, the one where one is marked, and counts of the runs that have not ended.

    Args:
        place: Where one is.
        detail: What more to say of it.
    """

    DEFAULT_CSS = """
    TopBar { dock: top; height: 1; background: $panel; color: $text-muted; }
    """

    def __init__(self, place: str, detail: str = "") -> None:
        super().__init__()
        self._place = place
        self._detail = detail
        self._counts: Counter[str] = Counter()
        self._ends: list[tuple[int, str]] = []

    def count(self, runs: Sequence[Mapping[str, Any]]) -> None:
        """Count the runs anew."""
        counts = Counter(str(one["state"]) for one in runs if one["state"] in _COUNTED)
        if counts != self._counts:
            self._counts = counts
            self.refresh()

    def say(self, detail: str) -> None:
        """Say more of where one is."""
        if detail != self._detail:
            self._detail = detail
            self.refresh()

    def render(self) -> Text:
        """Draw the line."""
        line = Text(" kplug ", style="bold", no_wrap=True, overflow="ellipsis")
        self._ends = []
        for key, place, title in PLACES:
            line.append(f" {key} {title} ", style="reverse bold" if place == self._place else "")
            self._ends.append((len(line), place))
        if self._detail:
            line.append(f"  {self._detail}")
        counts = "  ".join(
            f"{state_sign(state)} {self._counts[state]} {state}" for state in _COUNTED if self._counts[state]
        )
        gap = self.size.width - line.cell_len - len(counts) - 1
        if counts and gap > 1:
            line.append(" " * gap + counts)
        return line

    def on_click(self, event: events.Click) -> None:
        """Go to the place that was clicked."""
        for end, place in self._ends:
            if event.x < end:
                self.app.call_later(self.app.run_action, f"go('{place}')")
                return
