"""What the screen is, and which keys do what on it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, ClassVar

from rich.text import Text
from textual.app import App, ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical, VerticalScroll
from textual.dom import DOMNode
from textual.screen import ModalScreen, Screen
from textual.widgets import Static

from kplug.plain_text import safe_line

_KEYS_WIDTH = 18
_COLUMN_WIDTH = 46
_TEXTUAL = ("scroll_", "page_left", "page_right", "screen.copy_text", "app.focus", "help_quit", "screen.focus")


class HelpScreen(ModalScreen[None]):
    """The keys of a screen.

    Args:
        screen: The screen that was there before.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q,question_mark,f1", "dismiss", "Back", id="help.back"),
        Binding("j", "scroll(1)", "Down", show=False, id="help.down"),
        Binding("k", "scroll(-1)", "Up", show=False, id="help.up"),
    ]
    CSS_PATH = Path(__file__).with_name("help.tcss")

    def __init__(self, screen: Screen[Any]) -> None:
        super().__init__(classes="dialog")
        self._of = screen

    def compose(self) -> ComposeResult:
        """Make the screen."""
        with Vertical(classes="dialog--box"):
            yield Static(_about(self._of), classes="title", markup=False)
            with VerticalScroll(id="scroll"):
                yield Static("", id="keys", markup=False)
            yield Static("esc goes back. The settings change keys.", id="hint", markup=False)

    def on_mount(self) -> None:
        """Let the arrows scroll."""
        self.query_one("#scroll").focus()

    def on_resize(self) -> None:
        """Use the width that there is."""
        self.call_after_refresh(self._write)

    def action_scroll(self, lines: int) -> None:
        """Go up or down."""
        self.query_one("#scroll").scroll_relative(y=lines, animate=False)

    def _write(self) -> None:
        if not self.query("#scroll"):
            return  # the screen has just been left
        width = self.query_one("#scroll").size.width - 1
        groups = [_lines(title, keys) for title, keys in key_groups(self._of)]
        columns = max(1, min(3, width // _COLUMN_WIDTH))
        self.query_one("#keys", Static).update(_side_by_side(groups, columns, max(10, width // columns)))


def key_groups(screen: Screen[Any]) -> list[tuple[str, list[tuple[str, str]]]]:
    """Return the keys of a screen with what they do, those of the focused part first, then the screen's and the app's.

    The keys are those that the person has set.
    """
    app = screen.app
    groups: dict[str, dict[str, list[str]]] = {}
    # What has the focus comes first, then what it is in; a key that both have does what the former says.
    for active in screen.active_bindings.values():
        binding = active.binding
        if not binding.description or binding.action.startswith(_TEXTUAL) or binding.system:
            continue
        description = binding.description[0].upper() + binding.description[1:]
        keys = groups.setdefault(_title(active.node, screen), {}).setdefault(description, [])
        key = app.get_key_display(binding)
        if key not in keys:
            keys.append(key)
    return [
        (title, [(" ".join(keys), description) for description, keys in by_description.items()])
        for title, by_description in groups.items()
    ]


def _about(screen: Screen[Any]) -> str:
    return (type(screen).__doc__ or type(screen).__name__).strip().splitlines()[0]


def _title(node: DOMNode, screen: Screen[Any]) -> str:
    if isinstance(node, App):
        return "Everywhere"
    if node is screen:
        return "This screen"
    words = "".join(f" {letter}" if letter.isupper() else letter for letter in type(node).__name__).strip()
    return words.capitalize()


def _lines(title: str, keys: Sequence[tuple[str, str]]) -> list[Text]:
    lines = [Text(safe_line(title), "bold")]
    for key, description in keys:
        line = Text(f"  {key:{_KEYS_WIDTH - 2}} ", "bold")
        line.append(safe_line(description), "not bold")
        lines.append(line)
    return [*lines, Text("")]


def _side_by_side(groups: Sequence[Sequence[Text]], columns: int, width: int) -> Text:
    """Return groups of lines in columns of about the same length."""
    lines = [line for group in groups for line in group]
    height = -(-len(lines) // columns)
    rows: Iterable[Text] = (
        Text("").join(_padded(lines[place], width) for place in range(row, len(lines), height)) for row in range(height)
    )
    return Text("\n", no_wrap=True).join(rows)


def _padded(line: Text, width: int) -> Text:
    padded = line.copy()
    padded.truncate(width, overflow="ellipsis", pad=True)
    return padded
