"""A log with the line in which one types what to look for, and the line that says where one is."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.widgets import Input, Static

from kplug.plain_text import safe_line
from kplug_tui.formatting import size
from kplug_tui.widgets.log_view import LogView
from kplug_tui.widgets.text_line import TextLine


class LogPage(Vertical):
    """A `LogView` that can be searched.

    Args:
        follow: Whether the end is followed at first.
    """

    BINDINGS: ClassVar[list[BindingType]] = [Binding("slash", "search", "Search", id="log.search")]
    DEFAULT_CSS = """
    LogPage > Input { display: none; height: 1; border: none; padding: 0 1; background: $surface; }
    LogPage > Input:focus { border: none; }
    LogPage.searching > Input { display: block; }
    LogPage > #where { height: 1; color: $text-muted; background: $surface; padding: 0 1; text-wrap: nowrap; }
    """

    def __init__(self, follow: bool = True, id: str | None = None) -> None:  # noqa: A002 - Textual's own name for it
        super().__init__(id=id)
        self._follow = follow

    def compose(self) -> ComposeResult:
        """Make the parts."""
        yield LogView(self._follow)
        yield TextLine(placeholder="text to look for", select_on_focus=False)
        yield Static("", id="where", markup=False)

    @property
    def view(self) -> LogView:
        """The lines."""
        return self.query_one(LogView)

    def open(self, path: Path) -> None:
        """Show a file."""
        self.view.open(path)

    def close_search(self) -> bool:
        """Look for nothing any more, and say whether something was looked for."""
        searching = self.has_class("searching") or bool(self.view.wanted)
        if searching:
            self.remove_class("searching")
            self.view.search("")
            self.view.focus()
            self._say_where()
        return searching

    def action_search(self) -> None:
        """Ask what to look for."""
        self.add_class("searching")
        line = self.query_one(Input)
        line.value = self.view.wanted
        line.focus()

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Look for it."""
        event.stop()
        self.remove_class("searching")
        self.view.focus()
        self.view.search(event.value)
        self.refresh_bindings()

    def on_input_changed(self, event: Input.Changed) -> None:
        """Keep what is typed to this page."""
        event.stop()

    def on_log_view_changed(self, message: LogView.Changed) -> None:
        """Say where one is."""
        message.stop()
        self._say_where()

    def _say_where(self) -> None:
        view = self.view
        parts = []
        if view.total:
            last = min(view.total, view.top + max(1, view.size.height))
            parts.append(f"{view.top + 1}-{last} of {view.total} lines, {size(view.bytes_read)}")
            parts.append("following" if view.following else "")
        if view.wanted:
            parts.append(f"/{safe_line(view.wanted)}")
        parts.append(view.message)
        self.query_one("#where", Static).update(Text("  ".join(part for part in parts if part), no_wrap=True))
