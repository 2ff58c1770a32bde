"""Every component that is installed: what it is for, what it takes, where it comes from, and what is wrong with it."""

from __future__ import annotations

import contextlib
import threading
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Container, VerticalScroll
from textual.message import Message
from textual.widgets import Input, Static

from kplug.catalog.component import KINDS, Component
from kplug.catalog.discovery import Catalog, catalog
from kplug.catalog.plugins import disable, enable
from kplug.catalog.resolution import withheld_because
from kplug.errors import KplugError
from kplug_tui.catalog_page import UNREADABLE, Entry, page_of
from kplug_tui.describing import described
from kplug_tui.reader import RunsRead
from kplug_tui.screens.kplug_screen import KplugScreen
from kplug_tui.widgets.key_bar import KeyBar
from kplug_tui.widgets.kind_bar import ALL, KindBar
from kplug_tui.widgets.table import Column, Table
from kplug_tui.widgets.text_line import TextLine
from kplug_tui.widgets.top_bar import TopBar

if TYPE_CHECKING:
    from kplug.catalog.description import Description

_WIDE = 100


class CatalogRead(Message, bubble=False):
    """The catalog was read; descriptions follow."""

    def __init__(self, found: Catalog) -> None:
        super().__init__()
        self.found = found


class Described(Message, bubble=False):
    """Some components have been described."""

    def __init__(self, descriptions: Mapping[Component, Description], left: int) -> None:
        super().__init__()
        self.descriptions = descriptions
        self.left = left


class NotDescribed(Message, bubble=False):
    """Components could not be described at all."""

    def __init__(self, problem: str) -> None:
        super().__init__()
        self.problem = problem


class ComponentTable(Table):
    """The components; left and right go to other kinds."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("left,h", "screen.kind(-1)", "Kind", show=False, id="catalog.kind_left"),
        Binding("right,l", "screen.kind(1)", "Kind", id="catalog.kind_right"),
        Binding("enter", "screen.read", "Read", id="catalog.read"),
        Binding("space", "screen.read", "Read", show=False, id="catalog.read_too"),
    ]


class CatalogScreen(KplugScreen):
    """Every component that is installed, its documentation, hyper-parameters and origin."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("slash", "search", "Search", id="catalog.search"),
        Binding("n", "new", "New run with it", id="catalog.new"),
        Binding("r", "again", "Read again", id="catalog.again"),
        Binding("e", "switch", "Enable, disable", id="catalog.switch"),
        Binding("y", "copy_id", "Copy id", show=False, id="catalog.copy_id"),
        Binding("escape", "clear", "Back", show=False, id="catalog.clear"),
    ]
    CSS_PATH = Path(__file__).with_name("catalog.tcss")

    def __init__(self) -> None:
        super().__init__()
        self._entries: dict[str, Entry] = {}
        self._kind = ALL
        self._words: list[str] = []
        self._left = 0
        self._shown = ""
        self._reading: threading.Thread | None = None

    def compose(self) -> ComposeResult:
        """Make the screen."""
        yield TopBar("catalog")
        yield TextLine(placeholder="words of a name, a task, a summary", id="search", select_on_focus=False)
        yield KindBar()
        with Container(id="halves"):
            yield ComponentTable(_COLUMNS, lambda row: row["key"], "Reading what is installed …", id="components")
            with VerticalScroll(id="page"):
                yield Static("", id="about", markup=False)
        yield KeyBar()

    def on_mount(self) -> None:
        """Begin to read the catalog."""
        self._table.focus()
        if self.kplug.snapshot is not None:
            self.query_one(TopBar).count(self.kplug.snapshot.runs)
        self._read()

    def on_screen_resume(self) -> None:
        """No run's details are needed here."""
        self.kplug.reader.watch()

    def on_resize(self) -> None:
        """Put the page under the table where there is no room beside it."""
        self.set_class(self.size.width >= _WIDE, "wide")

    @property
    def _table(self) -> ComponentTable:
        return self.query_one(ComponentTable)

    @property
    def entry(self) -> Entry | None:
        """What is under the cursor."""
        row = self._table.row
        return None if row is None else row["entry"]

    def on_runs_read(self, message: RunsRead) -> None:
        """Count the runs."""
        self.query_one(TopBar).count(message.snapshot.runs)

    def on_catalog_read(self, message: CatalogRead) -> None:
        """Show what is installed."""
        entries = [
            Entry(f"{UNREADABLE} {place}", UNREADABLE, one.name, error=one.error)
            for place, one in enumerate(message.found.unreadable)
        ]
        entries += [Entry(_key_of(one), one.kind, one.id, one, error=one.fault) for one in message.found.components]
        entries += [
            Entry(_key_of(one), one.kind, one.id, one, withheld=withheld_because(one)) for one in message.found.withheld
        ]
        self._entries = {entry.key: entry for entry in entries}
        self._refill()

    def on_described(self, message: Described) -> None:
        """Fill in what has been learned."""
        self._left = message.left
        for component, description in message.descriptions.items():
            key = _key_of(component)
            if key in self._entries:
                self._entries[key] = Entry(
                    key, component.kind, component.id, component, description, description.error or component.fault
                )
        self._refill()

    def on_not_described(self, message: NotDescribed) -> None:
        """Say why components are not described; what is installed is shown nevertheless."""
        self._left = 0
        self.kplug.problem(message.problem)
        self._refill()

    def on_table_highlighted(self, message: Table.Highlighted) -> None:
        """Show another component."""
        self._show_page()

    def on_kind_bar_chosen(self, message: KindBar.Chosen) -> None:
        """Show another kind."""
        self._kind = message.kind
        self._refill()

    def on_input_changed(self, event: Input.Changed) -> None:
        """Search as it is typed."""
        self._words = event.value.casefold().split()
        self._refill()

    def on_input_submitted(self) -> None:
        """Keep what is searched and go to the table."""
        self._table.focus()

    def action_search(self) -> None:
        """Ask what to search for."""
        self.remove_class("reading")
        search = self.query_one("#search", Input)
        search.add_class("open")
        search.focus()

    def action_clear(self) -> None:
        """Go back to the table, and from there to all components."""
        if self.has_class("reading") or self.query_one("#page").has_focus:
            self.remove_class("reading")
        else:
            search = self.query_one("#search", Input)
            search.value = ""
            search.remove_class("open")
            if not self._words:
                self._kind = ALL
            self._words = []
            self._refill()
        self._table.focus()

    def action_read(self) -> None:
        """Read the page, on all of the screen where there is no room for both."""
        self.add_class("reading")
        self.query_one("#page").focus()

    def action_kind(self, direction: int) -> None:
        """Show the next kind, or the one before."""
        kinds = list(self.query_one(KindBar).kinds)
        at = kinds.index(self._kind) if self._kind in kinds else 0
        self._kind = kinds[(at + direction) % len(kinds)]
        self._refill()

    def action_new(self) -> None:
        """Begin a new run with the model or data set under the cursor."""
        entry = self.entry
        if entry is None or entry.kind not in {"model", "dataset"}:
            self.kplug.warn("A new run begins with a model or a data set. Choose one of these.")
        elif entry.error is not None:
            self.kplug.warn(f"{entry.kind} {entry.id} cannot be used: {entry.error}")
        elif entry.withheld is not None:
            self.kplug.warn(entry.withheld)
        else:
            self.kplug.open_new_run({entry.kind: entry.id})

    def action_again(self) -> None:
        """Look again at what is installed, and try what is broken again."""
        if self._reading is not None and self._reading.is_alive():
            self.kplug.say("The catalog is being read already.")
            return
        self._read(afresh=True)

    def action_switch(self) -> None:
        """Disable the plugin that the component is of, or use it again."""
        entry = self.entry
        if entry is None or entry.component is None:
            self.kplug.warn("Only a plugin whose metadata can be read can be enabled and disabled.")
            return
        distribution, again = entry.component.distribution, entry.withheld is not None

        def switch() -> str:
            plugin = enable(distribution) if again else disable(distribution)
            said = f"{plugin.distribution} is {plugin.state}."
            return f"{said} {plugin.error}" if plugin.error else said

        self.kplug.do(switch, self._read)

    def action_copy_id(self) -> None:
        """Copy the component's id to the clipboard."""
        if self.entry is not None:
            self.kplug.copy_to_clipboard(self.entry.id)
            self.kplug.say(f"Copied: {self.entry.id}")

    def _read(self, afresh: bool = False) -> None:
        # A thread of its own: leaving the app waits for those of its pool.
        self._reading = threading.Thread(target=self._read_all, args=(afresh,), name="kplug-catalog", daemon=True)
        self._reading.start()

    def _read_all(self, afresh: bool) -> None:
        from kplug.catalog.description import known

        try:
            if afresh:
                catalog.cache_clear()
            found = catalog()
            self._tell(CatalogRead(found))
            there = known(found.components)
            missing = [one for one in found.components if one not in there or (afresh and there[one].broken)]
            missing = [one for one in missing if one.fault is None]
            self._tell(Described(there, len(missing)))
            self._describe(missing, afresh)
        except Exception as error:  # noqa: BLE001 - whatever it is, the person is told and the app goes on
            said = str(error) if isinstance(error, KplugError) else f"{type(error).__name__}: {error}"
            self._tell(NotDescribed(said))

    def _describe(self, missing: Sequence[Component], again: bool) -> None:
        left = len(missing)
        for descriptions in described(missing, again):
            if not self.is_attached:
                return
            left -= len(descriptions)
            self._tell(Described(descriptions, left))

    def _tell(self, message: Message) -> None:
        with contextlib.suppress(RuntimeError):  # the app has just ended
            self.post_message(message)

    def _refill(self) -> None:
        if not self.query(ComponentTable):
            return  # the app has just been left
        found = [entry for entry in self._entries.values() if self._fits(entry)]
        counts = Counter(entry.kind for entry in found)
        kinds = {ALL: len(found), **{kind: counts[kind] for kind in (*KINDS, UNREADABLE) if counts[kind]}}
        if self._kind not in kinds:
            kinds[self._kind] = 0
        self.query_one(KindBar).show(kinds, self._kind)
        rows = [
            {"key": entry.key, "kind": entry.kind, "id": entry.id, "state": entry.state, "entry": entry}
            for entry in sorted(found, key=_order)
            if self._kind in {ALL, entry.kind}
        ]
        table = self._table
        columns = [column for column in _COLUMNS if column.key != "kind" or self._kind == ALL]
        if columns != table.columns:
            table.set_columns(columns)
        table.empty = "No component has all of these words." if self._entries else "Reading what is installed …"
        table.show(rows)
        self._say()
        self._show_page()

    def _fits(self, entry: Entry) -> bool:
        searched = entry.searched() if self._words else ""
        return all(word in searched for word in self._words)

    def _say(self) -> None:
        wrong = sum(entry.error is not None for entry in self._entries.values())
        parts = [f"{wrong} broken"] if wrong else []
        parts += [f"describing {self._left} …"] if self._left else []
        self.query_one(TopBar).say(", ".join(parts))

    def _show_page(self) -> None:
        if not self.query("#about"):
            return  # the app has just been left
        entry = self.entry
        about = self.query_one("#about", Static)
        page = Text("") if entry is None else page_of(entry)
        if about.content != page:
            about.update(page)
        if entry is not None and entry.key != self._shown:
            self._shown = entry.key
            self.query_one("#page").scroll_home(animate=False)


def _key_of(component: Component) -> str:
    return f"{component.kind} {component.id} {component.distribution} {component.target}"


def _order(entry: Entry) -> tuple[bool, int, str]:
    """Put what cannot be read first, then the kinds as they are listed everywhere."""
    kinds = list(KINDS)
    return entry.kind != UNREADABLE, kinds.index(entry.kind) if entry.kind in kinds else 0, entry.id


def _state_cell(row: Mapping[str, Any]) -> tuple[str, str | None]:
    entry: Entry = row["entry"]
    if entry.error is not None:
        return "✗", "bad"
    if entry.withheld is not None:
        return "○", "muted"
    return ("✓", "good") if entry.state == "ok" else (entry.state, "muted")


def _summary_cell(row: Mapping[str, Any]) -> tuple[str, str | None]:
    entry: Entry = row["entry"]
    if entry.error is not None:
        return entry.error, "bad"
    if entry.withheld is not None:
        return entry.withheld, "muted"
    return (entry.description.summary if entry.description is not None else "").replace("\n", " "), None


_COLUMNS = [
    Column("state", " ", 1, _state_cell, priority=0),
    Column("id", "COMPONENT", 20, lambda row: row["id"].removeprefix("kplug/"), grow=1, priority=0),
    Column("kind", "KIND", 9, lambda row: (row["kind"], "muted"), priority=1),
    Column("summary", "SUMMARY", 12, _summary_cell, grow=3, priority=2),
]
