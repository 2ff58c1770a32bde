"""One of many, found by typing; those that cannot be chosen say why."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar

from textual import events
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.widgets import Input, Static

from kplug.plain_text import safe_line
from kplug_tui.widgets.table import Column, Table
from kplug_tui.widgets.text_line import TextLine

Item = Mapping[str, Any]
"""What can be picked: `key`, `title`, `note`, and `fits`, which is false where it cannot be chosen."""


def item(key: str, title: str, note: str = "", fits: bool = True) -> Item:
    """Make something that can be picked."""
    return {"key": key, "title": title, "note": note, "fits": fits}


class Pick(ModalScreen[str | None]):
    """Asks for one of many.

    Args:
        question: What is asked.
        items: What there is.
        chosen: The key on which the cursor stands to begin with.
        typed: What is searched for to begin with.
        free: Whether a text that was typed can be the answer.
    """

    CSS_PATH = "pick.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "cancel", "Cancel"),
        Binding("up", "move(-1)", show=False),
        Binding("down", "move(1)", show=False),
        Binding("pageup", "move(-8)", show=False),
        Binding("pagedown", "move(8)", show=False),
    ]

    def __init__(
        self,
        question: str,
        items: Sequence[Item],
        chosen: str | None = None,
        typed: str = "",
        free: Callable[[str], bool] = lambda text: False,
    ) -> None:
        super().__init__(classes="dialog")
        self._question = question
        self._items = items
        self._chosen = chosen
        self._typed = typed
        self._free = free

    def compose(self) -> ComposeResult:
        """Make the dialog."""
        widest = max([16, *(len(one["title"]) for one in self._items)])
        with Vertical(classes="dialog--box"):
            yield Static(safe_line(self._question), markup=False)
            yield TextLine(self._typed, placeholder="type to search", compact=True, select_on_focus=False)
            yield Table(
                [
                    Column("title", "NAME", min(widest, 32), _title),
                    Column("note", "", 10, _note, grow=1, priority=1),
                ],
                lambda row: row["key"],
                "Nothing is called so.",
            )
            yield Static("", id="note", markup=False)

    def on_mount(self) -> None:
        """Let typing search, and put the cursor on what is chosen already."""
        self._table.can_focus = False
        found = self.query_one(Input)
        found.focus()
        found.value = self._typed
        found.cursor_position = len(self._typed)
        self._refill()
        if self._chosen is not None and not self._typed:
            self.call_after_refresh(self._table.go_to, self._chosen)

    @property
    def _table(self) -> Table:
        return self.query_one(Table)

    def offer(self, items: Sequence[Item]) -> None:
        """Offer other items from now on: more has become known of them."""
        self._items = items
        if self.query(Table):
            self._refill()

    def type(self, text: str) -> None:
        """Search for more: it was typed before this could take it."""
        self._typed += text
        for found in self.query(Input):
            found.value += text
            found.cursor_position = len(found.value)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool:
        """Keys may come before there is a list to move in."""
        return action != "move" or bool(self.query(Table))

    def on_key(self, event: events.Key) -> None:
        """Take what is typed before there is an input."""
        if event.is_printable and self.focused is None:
            event.stop()
            self.type(event.character or "")

    def on_input_changed(self) -> None:
        """Search for what is typed."""
        if not self.query(Table):
            return
        self._refill()
        self._table.action_first()

    def on_input_submitted(self) -> None:
        """Answer with the row under the cursor."""
        self._answer(self._table.row)

    def on_table_highlighted(self, message: Table.Highlighted) -> None:
        """Show the whole note of the row under the cursor."""
        message.stop()
        self._show_note(message.row)

    def on_table_opened(self, message: Table.Opened) -> None:
        """Answer with a row that was clicked twice."""
        message.stop()
        self._answer(message.row)

    def action_move(self, rows: int) -> None:
        """Go up or down."""
        self._table.action_move(rows)

    def action_cancel(self) -> None:
        """Answer nothing."""
        self.dismiss(None)

    def _answer(self, row: Item | None) -> None:
        if row is None:
            return
        if row["fits"]:
            self.dismiss(row["key"])
        else:
            self._show_note(row, "It cannot be chosen: ")

    def _show_note(self, row: Item | None, before: str = "") -> None:
        note = self.query_one("#note", Static)
        note.update(safe_line(before + row["note"]) if row is not None else "")
        note.set_class(bool(before), "problem")

    def _refill(self) -> None:
        typed = self.query_one(Input).value.strip()
        words = typed.casefold().split()
        found = [one for one in self._items if all(word in _searched(one) for word in words)]
        if words:
            found.sort(key=lambda one: _rank(one["title"].casefold(), words[0]))
        if typed and self._free(typed) and typed not in {one["key"] for one in self._items}:
            found.append(item(typed, typed, "as typed"))
        self._table.show(found)


def _searched(one: Item) -> str:
    return f"{one['title']} {one['note']}".casefold()


def _rank(title: str, word: str) -> int:
    return 0 if title.startswith(word) else 1 if word in title else 2


def _title(row: Item) -> str | tuple[str, str | None]:
    return row["title"] if row["fits"] else (row["title"], "muted")


def _note(row: Item) -> tuple[str, str | None]:
    return row["note"], "muted"
