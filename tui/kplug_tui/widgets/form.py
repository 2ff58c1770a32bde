"""A form of one line for each field, so that many fit on a small screen."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import ClassVar

from rich.cells import cell_len, set_cell_size
from rich.style import Style
from rich.text import Text
from textual import events
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.message import Message
from textual.widget import Widget
from textual.widgets import Input

from kplug.plain_text import safe_line
from kplug.runs.completion import LISTS
from kplug_tui.new_run_form import Place
from kplug_tui.new_run_rows import Row
from kplug_tui.widgets.text_line import TextLine

_CYCLED = 6


class FormMessage(Message):
    """Something has happened in a row."""

    def __init__(self, row: Row, text: str = "") -> None:
        super().__init__()
        self.row = row
        self.text = text


class FormRow(Widget):
    """One row; what it shows can change.

    Args:
        row: What it shows.
    """

    COMPONENT_CLASSES: ClassVar[set[str]] = {"row--muted", "row--problem", "row--value", "row--title"}
    DEFAULT_CSS = """
    FormRow { height: 1; width: 1fr; }
    FormRow > .row--muted { color: $secondary; }
    FormRow > .row--problem { color: $text-error; }
    FormRow > .row--value { color: $text-accent; text-style: bold; }
    FormRow > .row--title { color: $text; text-style: bold; }
    FormRow:focus, FormRow:focus-within { background: $primary 35%; }
    FormRow.title { margin-top: 1; }
    """

    class Typed(FormMessage):
        """Another text stands in a field."""

    class Asked(FormMessage):
        """What can be chosen shall be shown; `text` was typed already."""

    class Unfolded(FormMessage):
        """All parameters of a component shall be shown, or, with the text `no`, only the first."""

    class Reached(FormMessage):
        """The keys go to another row."""

    def __init__(self, row: Row) -> None:
        super().__init__(classes=row.sort)
        self.row = row

    def show(self, row: Row) -> None:
        """Show another row of the same place."""
        if row != self.row:
            self.row = row
            self.refresh()

    def widths(self) -> tuple[int, int]:
        """Return the widths of the label and of the value."""
        width = self.size.width
        label = max(14, min(28, width * 32 // 100))
        return label, max(10, min(46, width * 38 // 100))

    def render(self) -> Text:
        """Draw the label, the value where no input does, and the hint or what is wrong."""
        row, (label, value) = self.row, self.widths()
        line = Text(no_wrap=True, overflow="ellipsis", end="")
        titled = row.sort in {"title", "component"}
        name = f"{'  ' * row.level}{safe_line(row.label)}"
        line.append(_cut(name, label - 1) + " ", self._style("title") if titled else "")
        self._add_value(line, value)
        said, tone = (f"✗ {row.problem}", "problem") if row.problem else (row.hint, "muted")
        room = self.size.width - line.cell_len - 1
        if said and room > 2:
            line.append(f" {_cut(safe_line(said), room)}", self._style(tone))
        return line

    def on_click(self) -> None:
        """Go to the row that was clicked."""
        self._reach()

    def on_focus(self) -> None:
        """Say that the keys go here."""
        self.post_message(self.Reached(self.row))

    def _reach(self) -> None:
        self.focus()

    def _add_value(self, line: Text, width: int) -> None:
        """Draw the value."""

    def _style(self, name: str) -> Style:
        return self.get_component_rich_style(f"row--{name}", partial=True)


class ChoiceRow(FormRow, can_focus=True):
    """A component, a choice among values, or more rows to unfold."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter,space", "ask", "Choose", show=False, id="form.choose"),
        Binding("left", "turn(-1)", show=False, id="form.previous"),
        Binding("right", "turn(1)", show=False, id="form.next"),
        Binding("backspace,delete", "clear", show=False, id="form.clear"),
    ]

    def on_click(self) -> None:
        """Go to the row that was clicked, and show what can be chosen."""
        self.focus()
        self.action_ask()

    def check_consume_key(self, key: str, character: str | None) -> bool:
        """Say that text is searched for, and is no key of the screen."""
        return character is not None and character.isprintable() and character != " "

    def on_key(self, event: events.Key) -> None:
        """Search for what is typed."""
        if event.is_printable and event.character != " ":
            event.stop()
            event.prevent_default()
            if self.row.sort != "more":
                self.post_message(self.Asked(self.row, event.character or ""))

    def action_ask(self) -> None:
        """Show what can be chosen; turn yes into no at once."""
        row = self.row
        if set(row.choices) == {"true", "false"} and not row.free:
            self.post_message(self.Typed(row, "false" if (row.text or row.default) == "true" else "true"))
        else:
            self.post_message(self.Unfolded(row) if row.sort == "more" else self.Asked(row))

    def action_turn(self, by: int) -> None:
        """Take the next value, or unfold the parameters."""
        row = self.row
        if row.sort != "choice":
            self.post_message(self.Unfolded(row, "no" if by < 0 else ""))
        elif len(row.choices) <= _CYCLED:
            texts = ["", *row.choices]
            at = texts.index(row.text) if row.text in texts else 0
            self.post_message(self.Typed(row, texts[(at + by) % len(texts)]))
        else:
            self.action_ask()

    def action_clear(self) -> None:
        """Take the default."""
        if self.row.text:
            self.post_message(self.Typed(self.row, ""))

    def _add_value(self, line: Text, width: int) -> None:
        row = self.row
        if row.sort == "more":
            line.append("▸ enter shows them", self._style("muted"))
            return
        shown, sign = row.text or row.default, " ▾"
        if row.sort == "component" and len(row.place) == 1 and row.place[0] in LISTS:
            shown, sign = f"+ add{'  ' + row.default if row.default else ''}", ""
        text = f"{safe_line(shown)}{sign}"
        if row.sort == "component" and not row.problem:
            width = max(width, cell_len(text) + 1)
        line.append(_cut(text, width - 1) + " ", self._style("value" if row.text else "muted"))


class TextRow(FormRow):
    """A field in which text is typed."""

    DEFAULT_CSS = """
    TextRow Input { background: $surface; }
    """

    def __init__(self, row: Row) -> None:
        super().__init__(row)
        self._sent = [row.text]

    def compose(self) -> ComposeResult:
        """Make the input."""
        yield TextLine(self.row.text, placeholder=safe_line(self.row.default), compact=True, select_on_focus=True)

    def on_mount(self) -> None:
        """Set what is wrong with the text to begin with."""
        self._input.set_class(self.row.problem is not None, "-invalid")

    def on_resize(self) -> None:
        """Give the input its place."""
        label, value = self.widths()
        self._input.styles.margin = (0, 0, 0, label)
        self._input.styles.width = value

    def show(self, row: Row) -> None:
        """Show another row of the same place."""
        super().show(row)
        if self.is_mounted:
            self._input.placeholder = safe_line(row.default)
            self._input.set_class(row.problem is not None, "-invalid")
            if row.text == self._input.value:
                self._sent = [row.text]
            elif row.text not in self._sent:  # an answer to what was typed before is behind what stands here now
                self._sent = [row.text]
                with self.prevent(Input.Changed):
                    self._input.value = row.text

    def on_input_changed(self, event: Input.Changed) -> None:
        """Tell what stands here."""
        event.stop()
        if event.value != self._sent[-1]:
            self._sent.append(event.value)
            self.post_message(self.Typed(self.row, event.value))

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Go on to the next field."""
        event.stop()
        self.screen.focus_next()

    def on_descendant_focus(self) -> None:
        """Say that the keys go here."""
        self.post_message(self.Reached(self.row))

    @property
    def _input(self) -> Input:
        return self.query_one(Input)

    def _reach(self) -> None:
        self._input.focus()

    def _add_value(self, line: Text, width: int) -> None:
        line.append(" " * width)


class Form(VerticalScroll, can_focus=False):
    """Rows from top to bottom; the cursor keys go from one to the next."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up", "move(-1)", show=False, id="form.up"),
        Binding("down", "move(1)", show=False, id="form.down"),
        Binding("pageup", "section(-1)", show=False, id="form.section_up"),
        Binding("pagedown", "section(1)", show=False, id="form.section_down"),
    ]
    DEFAULT_CSS = """
    Form { scrollbar-size-vertical: 1; padding: 0 1; }
    """

    def show(self, rows: Sequence[Row]) -> None:
        """Show these rows; widgets of rows that stay are kept, with what is typed in them."""
        before = {_key(one.row): one for one in self.query(FormRow) if not one.has_class("-gone")}
        wanted = {_key(row) for row in rows}
        with self.app.batch_update():
            for key, widget in before.items():
                if key not in wanted:
                    widget.add_class("-gone")
                    widget.remove()
            last: FormRow | None = None
            new: list[FormRow] = []
            for row in rows:
                there = before.get(_key(row))
                if there is None:
                    new.append((TextRow if row.sort == "text" else ChoiceRow if row.sort != "title" else FormRow)(row))
                    continue
                there.show(row)
                self._put(new, last)
                new, last = [], there
            self._put(new, last)
        focused = self.screen.focused
        if focused is not None and self in focused.ancestors:
            # Rows that came above it have pushed it down.
            self.call_after_refresh(self.scroll_to_widget, focused, animate=False)

    def go_to(self, place: Place) -> None:
        """Let the keys go to a row."""
        for widget in self.query(FormRow):
            if widget.row.place == place and not widget.has_class("-gone"):
                widget._reach()
                return

    @property
    def current(self) -> Row | None:
        """The row that the keys go to."""
        focused = self.screen.focused
        rows = [one for one in (focused, focused.parent if focused else None) if isinstance(one, FormRow)]
        return rows[0].row if rows else None

    def action_move(self, by: int) -> None:
        """Go to the next row, or to the one before."""
        self._go(by, lambda row: row.sort != "title")

    def action_section(self, by: int) -> None:
        """Go to the next component, or to the one before."""
        self._go(by, lambda row: row.sort == "component" or row.place in {("epochs",), ("checkpoint_seconds",)})

    def _go(self, by: int, wanted: Callable[[Row], bool]) -> None:
        widgets = [one for one in self.query(FormRow) if not one.has_class("-gone")]
        places = [one.row.place for one in widgets]
        row = self.current
        at = places.index(row.place) if row is not None and row.place in places else -1
        while 0 <= at + by < len(widgets):
            at += by
            if wanted(widgets[at].row):
                widgets[at]._reach()
                return

    def _put(self, new: list[FormRow], last: FormRow | None) -> None:
        if not new:
            return
        if last is None:
            first = next(iter(self.children), None)
            self.mount(*new, before=first) if first is not None else self.mount(*new)
        else:
            self.mount(*new, after=last)


def _key(row: Row) -> tuple[Place, bool]:
    return row.place, row.sort == "text"


def _cut(text: str, width: int) -> str:
    return text + " " * (width - cell_len(text)) if cell_len(text) <= width else set_cell_size(text, width - 1) + "…"
