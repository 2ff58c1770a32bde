"""A line with the names of a screen's pages, of which one is shown."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rich.text import Text
from textual import events
from textual.message import Message
from textual.reactive import var
from textual.widget import Widget


@dataclass(frozen=True)
class Tab:
    """A page.

    Attributes:
        key: The key that goes there.
        name: What identifies it.
        title: What it is called.
    """

    key: str
    name: str
    title: str


class TabBar(Widget):
    """Names of pages with their keys, the one that is shown marked. A click goes to one.

    Args:
        tabs: The pages, from left to right.
    """

    DEFAULT_CSS = """
    TabBar { height: 1; background: $surface; color: $text-muted; }
    """

    current: var[str] = var("")

    class Chosen(Message):
        """A page was clicked."""

        def __init__(self, name: str) -> None:
            super().__init__()
            self.name = name

    def __init__(self, tabs: Sequence[Tab]) -> None:
        super().__init__()
        self._tabs = list(tabs)
        self._ends: list[tuple[int, str]] = []
        self.set_reactive(TabBar.current, self._tabs[0].name)

    def beside(self, steps: int) -> str:
        """Return the page so many further to the right, and around."""
        names = [tab.name for tab in self._tabs]
        return names[(names.index(self.current) + steps) % len(names)]

    def watch_current(self) -> None:
        """Mark another page."""
        self.refresh()

    def render(self) -> Text:
        """Draw the line; where there is no room for all, it begins at the page that is shown."""
        line = Text(no_wrap=True, overflow="ellipsis")
        texts = [(f" {tab.key} {tab.title} ", tab) for tab in self._tabs]
        if sum(len(text) for text, _ in texts) > self.size.width:
            first = next(place for place, tab in enumerate(self._tabs) if tab.name == self.current)
            texts = [*texts[first:], *texts[:first]]
        self._ends = []
        for text, tab in texts:
            line.append(text, "reverse bold" if tab.name == self.current else "")
            self._ends.append((len(line), tab.name))
        return line

    def on_click(self, event: events.Click) -> None:
        """Go to the page that was clicked."""
        for end, name in self._ends:
            if event.x < end:
                self.post_message(self.Chosen(name))
                return
