"""What a run has left for people: its files, and beside them the one under the cursor."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Container
from textual.widget import Widget
from textual.widgets import Static

from kplug.errors import KplugError
from kplug.plain_text import safe_line, safe_text
from kplug_tui import pictures, table_files
from kplug_tui.detail import LeftFile
from kplug_tui.formatting import age, size
from kplug_tui.widgets.log_page import LogPage
from kplug_tui.widgets.picture import Picture
from kplug_tui.widgets.table import Column, Table

_WIDE = 100
_SNIFFED_BYTES = 4096
_WIDEST = 40


class Artifacts(Container):
    """Files, and the one under the cursor: a picture, a table, or text."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("f", "enlarge", "Enlarge", id="artifacts.enlarge")]
    DEFAULT_CSS = """
    Artifacts { layout: vertical; height: 1fr; }
    Artifacts > #files { height: 30%; min-height: 3; }
    Artifacts > #shown { height: 1fr; border-top: solid $panel; padding: 0 1; }
    Artifacts > #shown > .words { height: 1fr; }
    Artifacts.wide { layout: horizontal; }
    Artifacts.wide > #files { width: 44; height: 1fr; }
    Artifacts.wide > #shown { width: 1fr; border-top: none; border-left: solid $panel; }
    Artifacts.one > #files { display: none; }
    Artifacts.one > #shown { border: none; }
    """

    def __init__(self, thin: Callable[[], bool], id: str | None = None) -> None:  # noqa: A002 - Textual's own name
        super().__init__(id=id)
        self._thin = thin
        self._shown: LeftFile | None = None

    def compose(self) -> ComposeResult:
        """Make the parts."""
        columns = [
            Column("name", "FILE", 14, lambda row: str(row["name"]), grow=1),
            Column("size", "SIZE", 9, lambda row: size(row["size"]), "right", priority=1),
            Column("age", "AGE", 4, lambda row: age(row["modified"]), "right", priority=2),
        ]
        yield Table(columns, lambda row: str(row["name"]), "No files yet.", id="files")
        yield Container(id="shown")

    @property
    def enlarged(self) -> bool:
        """Whether the file has all of the room."""
        return self.has_class("one")

    def show(self, files: Sequence[LeftFile]) -> None:
        """Show these files."""
        rows = [{"name": one.name, "size": one.size, "modified": one.modified, "file": one} for one in files]
        self.query_one("#files", Table).show(rows)

    def focus_first(self) -> None:
        """Put the focus on the list."""
        self.query_one("#files", Table).focus()

    def on_resize(self) -> None:
        """Put the file beside the list where there is room, and below it where there is not."""
        self.set_class(self.size.width >= _WIDE, "wide")

    def on_table_highlighted(self, message: Table.Highlighted) -> None:
        """Show another file."""
        message.stop()
        if message.table.id == "files":
            self._open(message.row)

    def on_table_opened(self, message: Table.Opened) -> None:
        """Enlarge the file."""
        message.stop()
        if message.table.id == "files":
            self.action_enlarge()

    def on_table_header_clicked(self, message: Table.HeaderClicked) -> None:
        """Keep clicks to this page."""
        message.stop()

    def action_enlarge(self) -> None:
        """Give the file all of the room, or take it away again."""
        if self.enlarged:
            self.show_all()
        elif self._shown is not None:
            self.add_class("one")
            self.screen.add_class("whole")
            content = next(iter(self.query_one("#shown").query("LogView, Table")), None)
            if content is not None:
                content.focus()
            else:
                self.can_focus = True
                self.focus()

    def show_all(self) -> None:
        """Show the list again."""
        self.remove_class("one")
        self.screen.remove_class("whole")
        self.can_focus = False
        self.focus_first()

    def _open(self, row: Mapping[str, Any] | None) -> None:
        file: LeftFile | None = row["file"] if row is not None else None
        if file == self._shown:
            return
        self._shown = file
        if file is None:
            self._put(None)
            return
        self.run_worker(lambda: self._read(file), thread=True, exit_on_error=False)

    def _read(self, file: LeftFile) -> None:
        """Read a file in a thread, and show it if it is still the one under the cursor."""
        content: Any
        try:
            content = _content(file.path)
        except KplugError as error:
            content = str(error)

        def put() -> None:
            if self._shown == file and self.is_attached:
                self._put(self._widget_of(file, content))

        self.app.call_from_thread(put)

    def _put(self, widget: Widget | None) -> None:
        shown = self.query_one("#shown")
        shown.remove_children()
        if widget is not None:
            shown.mount(widget)

    def _widget_of(self, file: LeftFile, content: Any) -> Widget:
        if isinstance(content, str):
            return Static(safe_text(content), markup=False, classes="words")
        if isinstance(content, table_files.TableFile):
            return _table(content)
        if content is None:
            page = LogPage(follow=False)
            page.call_after_refresh(page.open, file.path)
            return page
        return Picture(content, self._thin())


def _content(path: Path) -> Any:
    """Return a picture, a table, what to say of a file, or `None` for text.

    Raises:
        KplugError: If it cannot be read.
    """
    ending = path.suffix.lower()
    if ending in pictures.ENDINGS:
        return pictures.read_picture(path)
    if ending in table_files.ENDINGS:
        return table_files.read_table(path)
    return _words(path)


def _words(path: Path) -> str | None:
    """Return what to say of a file that is neither picture nor table, or `None` if it is text."""
    try:
        length = path.stat().st_size
        with path.open("rb") as file:
            beginning = file.read(_SNIFFED_BYTES)
    except FileNotFoundError:
        raise KplugError(f"{path.name} is no longer there.") from None
    except OSError as error:
        raise KplugError(f"{path.name} cannot be read: {error.strerror or error}.") from error
    if path.suffix.lower() == ".keras":
        return f"A model, {size(length)}. In Python:\n\nimport kplug\nmodel = kplug.load_model({str(path)!r})"
    if b"\0" in beginning:
        return f"{safe_line(path.name)} is not text, {size(length)}:\n\n{path}"
    return None


def _table(content: table_files.TableFile) -> Table:
    def cell(place: int) -> Callable[[Mapping[str, Any]], str]:
        return lambda row: row["cells"][place]

    columns = []
    for place, name in enumerate(content.columns):
        longest = max(len(name), *(len(row[place]) for row in content.rows[:200])) if content.rows else len(name)
        align = "right" if content.rows and _is_number(content.rows[0][place]) else "left"
        columns.append(Column(str(place), name, min(_WIDEST, max(1, longest)), cell(place), align, priority=place))  # type: ignore[arg-type]
    table = Table(columns, lambda row: str(row["place"]), "no rows")
    rows = [{"place": place, "cells": row} for place, row in enumerate(content.rows)]
    table.call_after_refresh(table.show, rows)
    return table


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
