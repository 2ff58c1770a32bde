"""The line at the bottom of every screen: the keys that do something here."""

from __future__ import annotations

from rich.text import Text
from textual import events
from textual.binding import Binding
from textual.widget import Widget


class KeyBar(Widget):
    """Keys and what they do, as many as there is room for; the others are on the page of help.

    One line of text: a widget for each key would take as long to make as the rest of a screen.
    """

    DEFAULT_CSS = """
    KeyBar { dock: bottom; height: 1; background: $panel; color: $foreground; }
    """

    def __init__(self) -> None:
        super().__init__()
        self._ends: list[tuple[int, str]] = []

    def on_mount(self) -> None:
        """Look at the keys again whenever the focus or the screen has changed."""
        self.screen.bindings_updated_signal.subscribe(self, lambda _: self.refresh())

    def render(self) -> Text:
        """Draw the line."""
        line = Text(no_wrap=True, overflow="ellipsis")
        self._ends = []
        for key, binding in self._shown():
            length = len(line) + len(key) + len(binding.description) + 4
            if length > self.size.width:
                break
            line.append(f" {key} ", "bold reverse")
            line.append(f" {binding.description} ")
            self._ends.append((len(line), binding.action))
        return line

    def on_click(self, event: events.Click) -> None:
        """Do what was clicked."""
        for end, action in self._ends:
            if event.x < end:
                self.app.call_later(self.screen.run_action, action)
                return

    def _shown(self) -> list[tuple[str, Binding]]:
        """Return the keys to show, those of help and leaving first: they must never be missing."""
        shown: dict[str, tuple[str, Binding]] = {}
        for active in self.screen.active_bindings.values():
            binding = active.binding
            if binding.show and active.enabled and binding.action not in shown:
                shown[binding.action] = (self.app.get_key_display(binding), binding)
        first = [one for one in shown.values() if one[1].action in {"help", "app.help"}]
        return first + [one for one in shown.values() if one not in first]
