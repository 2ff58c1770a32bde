"""A table that draws only the rows on the screen, so that ten thousand scroll as smoothly as ten."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from rich.cells import cell_len, set_cell_size
from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.binding import Binding, BindingType
from textual.geometry import Region, Size
from textual.message import Message
from textual.reactive import var
from textual.scroll_view import ScrollView
from textual.strip import Strip

from kplug.plain_text import safe_line

Row = Mapping[str, Any]
_GAP = 2
_MARK = "●"


@dataclass(frozen=True)
class Column:
    """A column of a table.

    Attributes:
        key: What identifies it; the field that is sorted by.
        label: What stands at its head.
        width: Its width in cells.
        cell: Gives a row's text here, or the text and a tone: `good`, `bad`, `busy`, `muted`, `accent`.
        align: To which side the text goes.
        grow: How much of the width that is left over it takes.
        priority: Columns of a higher number are left out first where the table is narrow.
    """

    key: str
    label: str
    width: int
    cell: Callable[[Row], str | tuple[str, str | None]]
    align: Literal["left", "right"] = "left"
    grow: int = 0
    priority: int = 0


class Table(ScrollView, can_focus=True):
    """Rows that can be gone through, marked, opened and sorted.

    Args:
        columns: The columns, from left to right.
        key: Gives what identifies a row over all changes of the rows.
        empty: What to say where there are no rows.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up,k", "move(-1)", "Up", show=False, id="table.up"),
        Binding("down,j", "move(1)", "Down", show=False, id="table.down"),
        Binding("pageup,ctrl+b", "page(-1)", "Page up", show=False, id="table.page_up"),
        Binding("pagedown,ctrl+f", "page(1)", "Page down", show=False, id="table.page_down"),
        Binding("home,g", "first", "First", show=False, id="table.first"),
        Binding("end,G", "last", "Last", show=False, id="table.last"),
        Binding("enter", "open", "Open", id="table.open"),
        Binding("space", "mark", "Mark", show=False, id="table.mark"),
    ]
    COMPONENT_CLASSES: ClassVar[set[str]] = {
        "table--header",
        "table--cursor",
        "table--good",
        "table--bad",
        "table--busy",
        "table--muted",
        "table--accent",
    }
    DEFAULT_CSS = """
    Table {
        height: 1fr;
        overflow-x: hidden;
        scrollbar-size-vertical: 1;
        & > .table--header { color: $secondary; text-style: bold; }
        & > .table--cursor { background: $surface-lighten-2; }
        &:focus > .table--cursor { background: $primary-muted; color: $foreground; text-style: bold; }
        & > .table--good { color: $text-success; }
        & > .table--bad { color: $text-error; }
        & > .table--busy { color: $text-primary; }
        & > .table--muted { color: $secondary; }
        & > .table--accent { color: $text-accent; text-style: bold; }
    }
    """

    cursor: var[int] = var(0)

    class Highlighted(Message):
        """Another row is under the cursor, or the same one has changed."""

        def __init__(self, table: Table, row: Row | None) -> None:
            super().__init__()
            self.table = table
            self.row = row

        @property
        def control(self) -> Table:
            """The table."""
            return self.table

    class Opened(Highlighted):
        """A row was chosen."""

    class HeaderClicked(Message):
        """A column's head was clicked."""

        def __init__(self, table: Table, column: str) -> None:
            super().__init__()
            self.table = table
            self.column = column

        @property
        def control(self) -> Table:
            """The table."""
            return self.table

    def __init__(
        self,
        columns: Sequence[Column],
        key: Callable[[Row], str],
        empty: str = "",
        id: str | None = None,  # noqa: A002 - Textual's own name for it
        classes: str | None = None,
    ) -> None:
        super().__init__(id=id, classes=classes)
        self._columns = list(columns)
        self._key = key
        self._rows: Sequence[Row] = ()
        self._places: dict[str, int] = {}
        self._drawn: dict[int, Strip] = {}
        self._highlighted: tuple[str | None, int] = (None, -1)
        self.empty = empty
        self.marked: set[str] = set()
        self.sorted_by: tuple[str, bool] | None = None

    @property
    def rows(self) -> Sequence[Row]:
        """The rows, in the order in which they are shown."""
        return self._rows

    @property
    def row(self) -> Row | None:
        """The row under the cursor."""
        return self._rows[self.cursor] if 0 <= self.cursor < len(self._rows) else None

    @property
    def columns(self) -> Sequence[Column]:
        """The columns."""
        return self._columns

    def set_columns(self, columns: Sequence[Column]) -> None:
        """Show other columns."""
        self._columns = list(columns)
        self._redraw()

    def show(self, rows: Sequence[Row]) -> None:
        """Show these rows; the cursor stays on its row, and only what has changed is drawn."""
        held = self.row
        self._rows = rows
        self._places = {}
        if held is not None:
            self.cursor = self.place_of(self._key(held), self.cursor)
        self.cursor = max(0, min(self.cursor, len(rows) - 1))
        size = Size(self.size.width, len(rows) + 1)
        if size != self.virtual_size:
            self.virtual_size = size
        self._redraw_changed()
        self._tell()

    def place_of(self, key: str, otherwise: int = 0) -> int:
        """Return the index of a row."""
        if not self._places:
            self._places = {self._key(row): place for place, row in enumerate(self._rows)}
        return self._places.get(key, otherwise)

    def go_to(self, key: str) -> None:
        """Put the cursor on a row."""
        self._move_to(self.place_of(key, self.cursor))

    def render_line(self, y: int) -> Strip:
        """Draw a line of the window: the head, or a row."""
        strip = self._line(y)
        self._drawn[y] = strip
        return strip

    def _line(self, y: int) -> Strip:
        width = self.size.width
        base = self.rich_style
        if y == 0:
            return self._header(width, base + self.get_component_rich_style("table--header", partial=True))
        if not self._rows and y == 2:
            style = base + self.get_component_rich_style("table--muted", partial=True)
            return Strip([Segment(set_cell_size(f"  {self.empty}", width), style)], width)
        place = self.scroll_offset.y + y - 1
        if place >= len(self._rows):
            return Strip.blank(width, base)
        return self._row_strip(self._rows[place], place == self.cursor, width, base)

    def _header(self, width: int, style: Style) -> Strip:
        segments = [Segment("  ", style)]
        for column, column_width in self._laid_out():
            label = safe_line(column.label)
            if self.sorted_by is not None and self.sorted_by[0] == column.key:
                label += "▼" if self.sorted_by[1] else "▲"
            segments.append(Segment(_fitted(label, column_width, column.align), style))
            segments.append(Segment(" " * _GAP, style))
        return Strip(segments).adjust_cell_length(width, style)

    def _row_strip(self, row: Row, at_cursor: bool, width: int, base: Style) -> Strip:
        if at_cursor:
            base = base + self.get_component_rich_style("table--cursor", partial=True)
        mark = f"{_MARK} " if self._key(row) in self.marked else "  "
        segments = [Segment(mark, base + self.get_component_rich_style("table--accent", partial=True))]
        for column, column_width in self._laid_out():
            given = column.cell(row)
            text, tone = given if isinstance(given, tuple) else (given, None)
            style = base
            if tone is not None:
                style = base + self.get_component_rich_style(f"table--{tone}", partial=True)
                if at_cursor and self.has_focus:
                    style = base
            segments.append(Segment(_fitted(safe_line(text), column_width, column.align), style))
            segments.append(Segment(" " * _GAP, base))
        # Neighbours of one style as one: a style takes more bytes than the text of a cell.
        return Strip(segments).adjust_cell_length(width, base).simplify()

    def _laid_out(self) -> list[tuple[Column, int]]:
        """Return the columns that fit, with their widths."""
        room = self.scrollable_content_region.width - 2
        kept = list(self._columns)
        while len(kept) > 1 and sum(column.width + _GAP for column in kept) - _GAP > room:
            kept.remove(max(reversed(kept), key=lambda column: column.priority))
        left = max(0, room - sum(column.width + _GAP for column in kept) + _GAP)
        shares = sum(column.grow for column in kept)
        widths = [column.width + (left * column.grow // shares if shares else 0) for column in kept]
        return [(column, max(1, min(one, room))) for column, one in zip(kept, widths, strict=True)]

    def watch_cursor(self, before: int, now: int) -> None:
        """Draw the row that was left and the one that was reached."""
        for place in {before, now}:
            self._redraw_line(place - self.scroll_offset.y + 1)

    def watch_scroll_y(self, old_value: float, new_value: float) -> None:
        """Draw what has come into sight."""
        super().watch_scroll_y(old_value, new_value)
        self._redraw()

    def on_resize(self, event: events.Resize) -> None:
        """Lay the columns out for the new width."""
        self.virtual_size = Size(event.size.width, len(self._rows) + 1)
        self._redraw()

    def on_focus(self) -> None:
        """Show that keys go here."""
        self._redraw()

    def on_blur(self) -> None:
        """Show that keys go elsewhere."""
        self._redraw()

    def on_click(self, event: events.Click) -> None:
        """Go to the row that was clicked, open it at the second click, or sort by the column."""
        at = event.get_content_offset(self)
        if at is None:
            return
        if at.y == 0:
            left = 2
            for column, width in self._laid_out():
                if left <= at.x < left + width + _GAP:
                    self.post_message(self.HeaderClicked(self, column.key))
                left += width + _GAP
            return
        place = self.scroll_offset.y + at.y - 1
        if place < len(self._rows):
            self._move_to(place)
            if event.chain > 1:
                self.action_open()

    def action_move(self, rows: int) -> None:
        """Go some rows down, or up."""
        self._move_to(self.cursor + rows)

    def action_page(self, pages: int) -> None:
        """Go a page down, or up."""
        self._move_to(self.cursor + pages * max(1, self.size.height - 2))

    def action_first(self) -> None:
        """Go to the first row."""
        self._move_to(0)

    def action_last(self) -> None:
        """Go to the last row."""
        self._move_to(len(self._rows) - 1)

    def action_open(self) -> None:
        """Open the row under the cursor."""
        if self.row is not None:
            self.post_message(self.Opened(self, self.row))

    def action_mark(self) -> None:
        """Mark the row under the cursor, or take its mark away, and go on to the next."""
        if self.row is not None:
            self.marked ^= {self._key(self.row)}
            self._redraw()
            self._move_to(self.cursor + 1)

    def _move_to(self, place: int) -> None:
        self.cursor = max(0, min(place, len(self._rows) - 1))
        height = max(1, self.size.height - 1)
        top = self.scroll_offset.y
        if self.cursor < top:
            self.scroll_to(y=self.cursor, animate=False)
        elif self.cursor >= top + height:
            self.scroll_to(y=self.cursor - height + 1, animate=False)
        self._tell()

    def _tell(self) -> None:
        row = self.row
        now = (None if row is None else self._key(row), id(row))
        if now != self._highlighted:
            self._highlighted = now
            self.post_message(self.Highlighted(self, row))

    def _redraw(self) -> None:
        self._drawn.clear()
        self.refresh()

    def _redraw_line(self, y: int) -> None:
        if 0 <= y < self.size.height:
            self.refresh(Region(0, y, self.size.width, 1))

    def _redraw_changed(self) -> None:
        for y in range(self.size.height):
            if y not in self._drawn or self._drawn[y] != self._line(y):
                self._redraw_line(y)


def _fitted(text: str, width: int, align: str) -> str:
    length = cell_len(text)
    if length > width:
        return set_cell_size(text, width - 1) + "…" if width > 1 else set_cell_size(text, width)
    return " " * (width - length) + text if align == "right" else text + " " * (width - length)
