"""What a person can set of the terminal: its colours, its pace, its keys."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, ClassVar

from textual import events
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.widgets import Input, Static

from kplug.errors import SpecError
from kplug.plain_text import safe_line
from kplug_tui.keys import Action, all_actions, conflict
from kplug_tui.screens.dialogs import Ask, Choose
from kplug_tui.screens.kplug_screen import KplugScreen
from kplug_tui.settings import Settings, settings_file
from kplug_tui.widgets.key_bar import KeyBar
from kplug_tui.widgets.table import Column, Table
from kplug_tui.widgets.text_line import TextLine
from kplug_tui.widgets.top_bar import TopBar

_STEP = 0.05
_MOST_SMOOTHING = 0.99
_WORDS = {
    "theme": "Theme",
    "low_bandwidth": "Low bandwidth",
    "metric": "Metric of the table of runs",
    "smoothing": "Smoothing of curves",
    "notify": "Say when a run ends",
    "bell": "Ring the bell then",
}
_HELP = {
    "theme": "kplug-dark, kplug-light, kplug-contrast, or one of Textual's",
    "low_bandwidth": "draws seldom, sends changed cells only",
    "metric": "as it is recorded: val_loss, accuracy, …",
    "smoothing": "weight of the past, from 0 to below 1",
    "notify": "completed, stopped, failed or lost",
    "bell": "where the terminal has one",
}


@dataclass(frozen=True)
class Row:
    """A setting, or an action with its keys."""

    name: str
    words: str
    action: Action | None = None


class SettingsTable(Table):
    """The settings; left and right change the one under the cursor."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "open", "Change", id="settings.change"),
        Binding("left,h", "screen.step(-1)", "Less", show=False, id="settings.less"),
        Binding("right,l", "screen.step(1)", "More", show=False, id="settings.more"),
        Binding("space", "screen.step(1)", "Change", show=False, id="settings.toggle"),
    ]


class PressKey(ModalScreen[str | None]):
    """Waits for the key that an action is to have.

    Args:
        action: The action.
        check: Says why it cannot have a key, or returns `None`.
    """

    def __init__(self, action: Action, check: Callable[[str], str | None]) -> None:
        super().__init__(classes="dialog")
        self._action = action
        self._check = check

    def compose(self) -> ComposeResult:
        """Make the dialog."""
        with Vertical(classes="dialog--box"):
            yield Static(f"Press the new key for {self._action.id} ({self._action.description}).", markup=False)
            yield Static("esc leaves it as it is.", markup=False)
            yield Static("", id="problem", classes="problem", markup=False)

    async def on_key(self, event: events.Key) -> None:
        """Take the key, unless another action has it."""
        event.stop()
        event.prevent_default()
        if event.key == "escape":
            self.dismiss(None)
            return
        problem = self._check(event.key)
        if problem is None:
            self.dismiss(event.key)
        else:
            self.query_one("#problem", Static).update(safe_line(problem))


class SettingsScreen(KplugScreen):
    """Colours, pace, notifications and keys; a change holds at once and is kept."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("slash", "search", "Search", id="settings.search"),
        Binding("u,backspace,delete", "usual", "The usual", id="settings.usual"),
        Binding("escape", "back", "Back", id="settings.back"),
    ]
    CSS_PATH = Path(__file__).with_name("settings.tcss")

    def __init__(self) -> None:
        super().__init__()
        self._actions = all_actions()
        self._words: list[str] = []

    def compose(self) -> ComposeResult:
        """Make the screen."""
        yield TopBar("settings", "Settings")
        yield TextLine(placeholder="words of a setting or an action", id="search", select_on_focus=False)
        yield SettingsTable(self._columns(), lambda row: row["name"], "No setting has all of these words.")
        yield Static(f"Kept in {safe_line(str(settings_file()))}", id="file", markup=False)
        yield KeyBar()

    def on_mount(self) -> None:
        """Show the settings."""
        self.query_one(Table).focus()
        self._refill()

    def on_screen_resume(self) -> None:
        """No run's details are needed here."""
        self.kplug.reader.watch()

    def on_input_changed(self, event: Input.Changed) -> None:
        """Search as it is typed."""
        self._words = event.value.casefold().split()
        self._refill()

    def on_input_submitted(self) -> None:
        """Keep what is searched and go to the table."""
        self.query_one(Table).focus()

    def on_table_opened(self, message: Table.Opened) -> None:
        """Change what is under the cursor."""
        row = self._row
        if row is None:
            return
        if row.action is not None:
            self._ask_for_key(row.action)
        elif row.name == "theme":
            names = sorted(self.app.available_themes, key=lambda name: (not name.startswith("kplug"), name))
            names.remove("textual-ansi") if "textual-ansi" in names else None
            self.app.push_screen(Choose("Theme:", names, self.kplug.settings.theme), self._set("theme", str))
        elif row.name == "metric":
            self.app.push_screen(Ask("Metric:", self.kplug.settings.metric, _checked_metric), self._set("metric", str))
        elif row.name == "smoothing":
            now = f"{self.kplug.settings.smoothing:g}"
            self.app.push_screen(Ask("Smoothing:", now, _checked_smoothing), self._set("smoothing", float))
        else:
            self.action_step(1)

    def action_step(self, direction: int) -> None:
        """Change what is under the cursor by a step: the next theme, more smoothing, on or off."""
        row, settings = self._row, self.kplug.settings
        if row is None or row.action is not None:
            return
        value = getattr(settings, row.name)
        if isinstance(value, bool):
            self._change(**{row.name: not value})
        elif row.name == "smoothing":
            self._change(smoothing=round(min(_MOST_SMOOTHING, max(0.0, value + direction * _STEP)), 2))
        elif row.name == "theme":
            names = sorted(self.app.available_themes, key=lambda name: (not name.startswith("kplug"), name))
            at = names.index(value) if value in names else 0
            self._change(theme=names[(at + direction) % len(names)])

    def action_usual(self) -> None:
        """Set what is under the cursor to what is usual."""
        row, settings = self._row, self.kplug.settings
        if row is None:
            return
        if row.action is None:
            self._change(**{row.name: getattr(Settings(), row.name)})
            return
        keys = {name: key for name, key in settings.keys.items() if name != row.name}
        for key in row.action.usual.split(","):
            problem = conflict(row.action, key, self._actions, keys)
            # What both have by default is meant so.
            if problem and row.name in settings.keys and any(f"key of {name} " in problem for name in keys):
                self.kplug.warn(problem)
                return
        self._change(keys=keys)

    def action_search(self) -> None:
        """Ask what to search for."""
        search = self.query_one("#search", Input)
        search.add_class("open")
        search.focus()

    def action_back(self) -> None:
        """Show all settings again, or leave."""
        search = self.query_one("#search", Input)
        if search.has_class("open"):
            search.value = ""
            search.remove_class("open")
            self.query_one(Table).focus()
        else:
            self.dismiss()

    @property
    def _row(self) -> Row | None:
        row = self.query_one(Table).row
        return None if row is None else row["row"]

    def _ask_for_key(self, action: Action) -> None:
        settings = self.kplug.settings

        def check(key: str) -> str | None:
            return conflict(action, key, self._actions, settings.keys)

        def pressed(key: str | None) -> None:
            if key is not None:
                self._change(keys={**settings.keys, action.id: key})

        self.app.push_screen(PressKey(action, check), pressed)

    def _set(self, name: str, kind: Callable[[str], Any]) -> Callable[[str | None], None]:
        def answered(text: str | None) -> None:
            if text is not None:
                self._change(**{name: kind(text.strip())})

        return answered

    def _change(self, **changes: Any) -> None:
        self.kplug.change_settings(**changes)
        self._refill()
        self.refresh_bindings()

    def _refill(self) -> None:
        names = [one.name for one in fields(Settings) if one.name in _WORDS]
        rows = [Row(name, _WORDS[name]) for name in names]
        rows += [Row(one.id, one.description or one.id, one) for one in self._actions]
        shown = []
        for row in rows:
            entry = {"name": row.name, "row": row, "value": self._value(row), "help": self._help(row)}
            searched = f"{row.name} {row.words} {entry['value']}".casefold()
            if all(word in searched for word in self._words):
                shown.append(entry)
        self.query_one(Table).show(shown)

    def _value(self, row: Row) -> str:
        if row.action is not None:
            keys = row.action.keys(self.kplug.settings.keys).split(",")
            return " ".join(self._displayed(key) for key in keys)
        value = getattr(self.kplug.settings, row.name)
        return ("on" if value else "off") if isinstance(value, bool) else f"{value}"

    def _displayed(self, key: str) -> str:
        return self.app.get_key_display(Binding(key, ""))

    def _help(self, row: Row) -> str:
        if row.action is None:
            return _HELP[row.name]
        if row.name in self.kplug.settings.keys:
            return f"usually {' '.join(self._displayed(key) for key in row.action.usual.split(','))}"
        return ""

    def _columns(self) -> list[Column]:
        return [
            Column("words", "SETTING OR KEY", 28, lambda one: one["row"].words, priority=0),
            Column("value", "VALUE", 16, _value_cell, grow=1, priority=0),
            Column("name", "NAME", 20, lambda one: (one["name"], "muted"), priority=1),
            Column("help", "", 20, lambda one: (one["help"], "muted"), grow=3, priority=2),
        ]


def _value_cell(row: Mapping[str, Any]) -> tuple[str, str | None]:
    return row["value"], "accent" if row["help"].startswith("usually") else None


def _checked_metric(text: str) -> None:
    if not text.strip() or not text.strip().isprintable():
        raise SpecError("A metric's name is some text, such as val_loss.")


def _checked_smoothing(text: str) -> None:
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0.0 <= value < 1.0:
        raise SpecError(f"Smoothing is a number from 0 to below 1, not {text!r}.")
