"""The kinds of components, to choose one from."""

from __future__ import annotations

from typing import Any

from rich.text import Text
from textual import events
from textual.message import Message
from textual.widget import Widget

from kplug.catalog.component import KINDS

ALL = "all"
"""What stands for all kinds."""


class KindBar(Widget):
    """The kinds with how many there are of each, the one that is shown marked."""

    DEFAULT_CSS = """
    KindBar { height: auto; max-height: 3; padding: 0 1; color: $secondary; }
    """

    class Chosen(Message):
        """A kind was clicked."""

        def __init__(self, kind: str) -> None:
            super().__init__()
            self.kind = kind

    def __init__(self) -> None:
        super().__init__()
        self.kinds: dict[str, int] = {ALL: 0}
        self.chosen = ALL
        self._places: list[tuple[int, int, int, str]] = []

    def show(self, kinds: dict[str, int], chosen: str) -> None:
        """Show these kinds."""
        if (kinds, chosen) != (self.kinds, self.chosen):
            self.kinds, self.chosen = kinds, chosen
            self.refresh(layout=True)

    def render(self) -> Text:
        """Draw the line, or several where there is no room."""
        text, x, y = Text(), 0, 0
        self._places = []
        for kind, count in self.kinds.items():
            part = f" {KINDS.get(kind, kind)} {count} "
            if x and x + len(part) > self.size.width:
                text.append("\n")
                x, y = 0, y + 1
            self._places.append((x, x + len(part), y, kind))
            text.append(part, "reverse bold" if kind == self.chosen else "")
            x += len(part)
        return text

    def get_content_height(self, container: Any, viewport: Any, width: int) -> int:
        """Return how many lines it takes."""
        x, lines = 0, 1
        for kind, count in self.kinds.items():
            length = len(f" {KINDS.get(kind, kind)} {count} ")
            if x and x + length > width:
                x, lines = 0, lines + 1
            x += length
        return lines

    def on_click(self, event: events.Click) -> None:
        """Choose the kind that was clicked."""
        at = event.get_content_offset(self)
        for left, right, line, kind in self._places:
            if at is not None and line == at.y and left <= at.x < right:
                self.post_message(self.Chosen(kind))
