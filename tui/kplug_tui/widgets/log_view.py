"""The lines of a text file of any size: only those on the screen are read and drawn, and the end can be followed."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from rich.cells import cell_len
from rich.segment import Segment
from rich.style import Style
from textual.binding import Binding, BindingType
from textual.geometry import Size
from textual.message import Message
from textual.scroll_view import ScrollView
from textual.strip import Strip

from kplug_tui.log_index import LogIndex

_AT_ONCE_BYTES = 1 << 24
_SIDEWAYS = 8
_READING = "reading…"


@dataclass(frozen=True)
class _Search:
    """What is looked for next."""

    text: str
    start: int
    backwards: bool


@dataclass(frozen=True)
class _Reading:
    """What was read in the thread."""

    path: Path
    total: int
    size: int
    there: bool
    first: int
    lines: tuple[str, ...]
    more: bool
    searched: _Search | None = None
    found: int | None = None
    problem: str = ""


class LogView(ScrollView, can_focus=True):
    """A text file, as plain text.

    Reading happens in a thread: `reread` says that there may be more to read.

    Args:
        follow: Whether the end is shown, and what comes is followed, until one scrolls up.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up,k", "move(-1)", "Up", show=False, id="log.up"),
        Binding("down,j", "move(1)", "Down", show=False, id="log.down"),
        Binding("pageup,ctrl+b", "page(-1)", "Page up", show=False, id="log.page_up"),
        Binding("pagedown,ctrl+f,space", "page(1)", "Page down", show=False, id="log.page_down"),
        Binding("home,g", "first", "First", id="log.first"),
        Binding("end,G", "last", "Follow", id="log.follow"),
        Binding("left,h", "sideways(-1)", "Left", show=False, id="log.left"),
        Binding("right,l", "sideways(1)", "Right", show=False, id="log.right"),
        Binding("n", "next(1)", "Next", id="log.next"),
        Binding("N", "next(-1)", "Previous", id="log.previous"),
    ]
    COMPONENT_CLASSES: ClassVar[set[str]] = {"log--match", "log--found", "log--muted"}
    DEFAULT_CSS = """
    LogView {
        height: 1fr;
        scrollbar-size-vertical: 1;
        scrollbar-size-horizontal: 0;
        & > .log--match { background: $warning 40%; }
        & > .log--found { background: $warning; color: $background; text-style: bold; }
        & > .log--muted { color: $text-muted; }
    }
    """

    class Changed(Message):
        """More was read, the view has moved, or a search has ended."""

        def __init__(self, view: LogView) -> None:
            super().__init__()
            self.view = view

    def __init__(self, follow: bool = True, id: str | None = None) -> None:  # noqa: A002 - Textual's own name for it
        super().__init__(id=id)
        self._index: LogIndex | None = None
        self._reading: _Reading | None = None
        self._busy = False
        self._again = False
        self._search: _Search | None = None
        self._width = 0
        self.follow_at_first = follow
        self.following = follow
        self.wanted = ""
        self.found: int | None = None
        self.message = ""

    @property
    def total(self) -> int:
        """How many lines the file has."""
        return self._reading.total if self._reading is not None else 0

    @property
    def bytes_read(self) -> int:
        """How much of the file is known."""
        return self._reading.size if self._reading is not None else 0

    @property
    def there(self) -> bool:
        """Whether the file is there."""
        return self._reading is not None and self._reading.there

    @property
    def top(self) -> int:
        """The number of the first line that is shown."""
        return self.scroll_offset.y

    def open(self, path: Path) -> None:
        """Show a file; nothing changes if it is shown already."""
        if self._index is None or self._index.path != path:
            self._index = LogIndex(path)
            self._reading = self._search = self.found = None
            self._width = 0
            self.message = ""
            self.following = self.follow_at_first
            self.virtual_size = Size(0, 0)
            self.scroll_to(0, 0, animate=False, immediate=True, force=True)
        self.reread()

    def reread(self) -> None:
        """Read what is new, and what is in sight."""
        self._again = True
        self._begin()

    def search(self, text: str) -> None:
        """Look for a text from the first line in sight on."""
        self.wanted = text
        self.found = None
        self.message = ""
        if text:
            self._look(self.top, backwards=False)
        self.refresh()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Leave the keys for the next match to others where nothing is looked for."""
        return bool(self.wanted) if action == "next" else True

    def action_next(self, direction: int) -> None:
        """Go to the next match, or the one before."""
        here = self.top if self.found is None else self.found + direction
        if self.total:
            self._look(here % self.total, backwards=direction < 0)

    def action_move(self, rows: int) -> None:
        """Go some lines down, or up."""
        self._go_to(self.top + rows)

    def action_page(self, pages: int) -> None:
        """Go a page down, or up."""
        self._go_to(self.top + pages * max(1, self._height - 1))

    def action_first(self) -> None:
        """Go to the first line."""
        self._go_to(0)

    def action_last(self) -> None:
        """Go to the end, and follow it."""
        self._go_to(self.total)

    def action_sideways(self, direction: int) -> None:
        """See what is further to the right, or left."""
        self.scroll_to(x=self.scroll_offset.x + direction * _SIDEWAYS, animate=False, immediate=True, force=True)

    def watch_scroll_y(self, old_value: float, new_value: float) -> None:
        """Read what has come into sight; who has left the end does not follow it any more."""
        super().watch_scroll_y(old_value, new_value)
        if round(old_value) != round(new_value):
            if self._reading is not None and self.virtual_size.height == self.total:
                self.following = self.scroll_offset.y >= self.max_scroll_y
            if not self._known(self.top, self._height):
                self.reread()
            self.post_message(self.Changed(self))

    def on_resize(self) -> None:
        """Read what has come into sight."""
        if self.following:
            self._to_end()
        self.reread()

    def on_show(self) -> None:
        """Read what was written while it was hidden."""
        self.reread()

    def render_line(self, y: int) -> Strip:
        """Draw a line of the window."""
        base = self.rich_style
        width = self.size.width
        reading, number = self._reading, self.top + y
        if reading is None:
            return Strip.blank(width, base)
        if not reading.total:
            text = reading.problem or ("nothing was printed yet" if reading.there else "there is no such file")
            muted = base + self.get_component_rich_style("log--muted", partial=True)
            return Strip([Segment(f"  {text}" if y == 1 else "", muted)]).adjust_cell_length(width, base)
        place = number - reading.first
        if not 0 <= place < len(reading.lines):
            return Strip.blank(width, base)
        left = self.scroll_offset.x
        return Strip(self._segments(reading.lines[place], number, base)).crop_extend(left, left + width, base)

    def _segments(self, line: str, number: int, base: Style) -> list[Segment]:
        wanted = self.wanted.lower()
        lower = line.lower()
        if not wanted or wanted not in lower or len(lower) != len(line):
            return [Segment(line, base)]
        style = base + self.get_component_rich_style(
            "log--found" if number == self.found else "log--match", partial=True
        )
        segments, done = [], 0
        while (at := lower.find(wanted, done)) >= 0:
            segments += [Segment(line[done:at], base), Segment(line[at : at + len(wanted)], style)]
            done = at + len(wanted)
        return [*segments, Segment(line[done:], base)]

    @property
    def _height(self) -> int:
        return max(1, self.scrollable_content_region.height)

    def _go_to(self, line: int) -> None:
        if self._reading is None:
            return
        last = max(0, self.total - self._height)
        self.following = line >= last
        self.scroll_to(y=max(0, min(line, last)), animate=False, immediate=True, force=True)
        self.post_message(self.Changed(self))

    def _to_end(self) -> None:
        self.scroll_to(y=max(0, self.total - self._height), animate=False, immediate=True, force=True)

    def _known(self, first: int, count: int) -> bool:
        reading = self._reading
        if reading is None:
            return False
        last = min(first + count, reading.total)
        return reading.first <= first and last <= reading.first + len(reading.lines)

    def _look(self, start: int, backwards: bool) -> None:
        self._search = _Search(self.wanted, start, backwards)
        self.message = "searching…"
        self.post_message(self.Changed(self))
        self._begin()

    def _begin(self) -> None:
        """Let the thread go on, unless it does."""
        index = self._index
        if self._busy or index is None or not self.is_mounted or not (self._again or self._search):
            return
        self._busy, self._again = True, False
        search, self._search = self._search, None
        top, height, following = self.top, max(self._height, self.size.height), self.following

        def read() -> None:
            try:
                reading = _read(index, top, height, following, search)
            except Exception as error:  # noqa: BLE001 - whatever it is, the person is told and the log can be read again
                self.app.call_from_thread(self._failed, f"{index.path.name}: {type(error).__name__}: {error}")
                return
            self.app.call_from_thread(self._take, reading)

        self.run_worker(read, thread=True, exit_on_error=False)

    def _failed(self, problem: str) -> None:
        self._busy = False
        if self.is_attached and self.message != problem:
            self.message = problem
            self.post_message(self.Changed(self))

    def _take(self, reading: _Reading) -> None:
        """Show what was read."""
        self._busy = False
        if not self.is_attached:
            return
        if self._index is None or reading.path != self._index.path:
            self._begin()
            return
        changed = reading != self._reading
        shorter = reading.total < self.total
        self._reading = reading
        if changed:
            self._width = 0 if shorter else self._width
            self._width = max(self._width, max((cell_len(line) for line in reading.lines), default=0))
            size = Size(self._width, reading.total)
            if size != self.virtual_size:
                self.virtual_size = size
            if self.following:
                self._to_end()
            self.refresh()
        if reading.searched is not None and reading.searched.text == self.wanted:
            self._show_found(reading)
        if reading.more or self.message == _READING:
            self.message = _READING if reading.more else ""
        if changed or reading.searched is not None:
            self.post_message(self.Changed(self))
        if reading.more or not self._known(self.top, self._height):
            self._again = True
        self._begin()

    def _show_found(self, reading: _Reading) -> None:
        found, searched = reading.found, reading.searched
        assert searched is not None
        self.found = found
        self.message = "" if found is not None else f"not found: {searched.text}"
        if found is not None:
            if (found > searched.start) if searched.backwards else (found < searched.start):
                self.message = "around the end"
            if not self.top <= found < self.top + self._height:
                self._go_to(max(0, found - self._height // 2))
            self.following = False
        self.refresh()


def _read(index: LogIndex, top: int, height: int, following: bool, search: _Search | None) -> _Reading:
    """Read in the thread: what is new, and the lines in sight with some above and below."""
    problem, more = "", False
    try:
        more = index.update(_AT_ONCE_BYTES)
    except OSError as error:
        problem = f"{index.path.name} cannot be read: {error.strerror or error}"
    total = index.lines
    first = max(0, (total - height if following else min(top, total)) - height)
    return _Reading(
        path=index.path,
        total=total,
        size=index.size,
        there=index.there,
        first=first,
        lines=tuple(index.read(first, 3 * height)),
        more=more,
        searched=search,
        found=index.find(search.text, search.start, search.backwards) if search is not None else None,
        problem=problem,
    )
