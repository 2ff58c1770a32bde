"""Texts before the form for a new run: documentation, and the run as a command and a file to copy or save."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical, VerticalScroll
from textual.screen import ModalScreen
from textual.widgets import Static

from kplug.errors import KplugError
from kplug.plain_text import safe_line, safe_text
from kplug_tui.screens.dialogs import Ask, Confirm, checked_path
from kplug_tui.spec_text import CannotBeSaidError, json_of, toml_of
from kplug_tui.widgets.key_bar import KeyBar


class Reading(ModalScreen[None]):
    """A text to read.

    Args:
        title: What it is about.
        text: The text.
    """

    CSS_PATH = "new_run_text.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,f4,enter", "dismiss", "Back"),
        Binding("j", "scroll(1)", show=False),
        Binding("k", "scroll(-1)", show=False),
    ]

    def __init__(self, title: str, text: str) -> None:
        super().__init__(classes="dialog")
        self._title = title
        self._text = text

    def compose(self) -> ComposeResult:
        """Make the dialog."""
        with Vertical(classes="dialog--box"):
            yield Static(safe_line(self._title), classes="title", markup=False)
            with VerticalScroll():
                yield Static(safe_text(self._text), markup=False)
        yield KeyBar()

    def on_mount(self) -> None:
        """Let the cursor keys scroll."""
        self.query_one(VerticalScroll).focus()

    def action_scroll(self, lines: int) -> None:
        """Scroll down or up."""
        self.query_one(VerticalScroll).scroll_relative(y=lines, animate=False)


def written(values: Mapping[str, Any]) -> tuple[str, str]:
    """Return a run spec as a file, and its ending: TOML, or JSON where TOML has no words for it."""
    try:
        return toml_of(values), ".toml"
    except CannotBeSaidError:
        return json_of(values), ".json"


class SpecText(ModalScreen[None]):
    """The run as a command and as a file.

    Args:
        values: The fields of the run spec.
        command: The command, or `None` if there is none.
        why_not: Why there is none.
    """

    CSS_PATH = "new_run_text.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("c", "copy_command", "Copy command", id="new.copy_command"),
        Binding("t", "copy_file", "Copy file", id="new.copy_file"),
        Binding("s", "save", "Save file", id="new.save"),
        Binding("escape,f3", "dismiss", "Back"),
        Binding("j", "scroll(1)", show=False),
        Binding("k", "scroll(-1)", show=False),
    ]

    def __init__(self, values: Mapping[str, Any], command: str | None, why_not: str = "") -> None:
        super().__init__(classes="dialog")
        self._command = command
        self._why_not = why_not
        self._file, self._ending = written(values)
        self._begin = safe_line(str(values.get("name") or "run")).replace("/", "-")

    def compose(self) -> ComposeResult:
        """Make the dialog."""
        kind = self._ending[1:].upper()
        with Vertical(classes="dialog--box"), VerticalScroll():
            yield Static("The command", classes="title")
            yield Static(safe_text(self._command or self._without_command()), classes="text", markup=False)
            yield Static(f"The same as {kind}{'' if kind == 'TOML' else ', since TOML has no null'}", classes="title")
            yield Static(safe_text(self._file), classes="text", markup=False)
        yield KeyBar()

    def on_mount(self) -> None:
        """Let the cursor keys scroll."""
        self.query_one(VerticalScroll).focus()

    def action_scroll(self, lines: int) -> None:
        """Scroll down or up."""
        self.query_one(VerticalScroll).scroll_relative(y=lines, animate=False)

    def action_copy_command(self) -> None:
        """Copy the command."""
        if self._command is None:
            self._tell(self._without_command(), "warning")
        else:
            self.app.copy_to_clipboard(self._command)
            self._tell("Copied: the command")

    def action_copy_file(self) -> None:
        """Copy the file's text."""
        self.app.copy_to_clipboard(self._file)
        self._tell(f"Copied: {self._ending[1:].upper()}")

    def action_save(self) -> None:
        """Write the file, after asking where to."""
        self.app.push_screen(Ask("Save to:", f"{self._begin}{self._ending}", self._check), self._save)

    def _without_command(self) -> str:
        return f"No options say this: {self._why_not}. Save the file, then: kplug train --config FILE"

    def _check(self, text: str) -> None:
        path = checked_path(text)
        if path.suffix != self._ending:
            raise KplugError(f"The file's name must end in {self._ending}.")
        if path.is_dir():
            raise KplugError(f"{path} is a directory.")

    def _save(self, text: str | None) -> None:
        if text is None:
            return
        path = checked_path(text)
        if path.exists():
            self.app.push_screen(
                Confirm(f"{path} is there already. Replace it?", "Replace"),
                lambda yes: self._write(path) if yes else None,
            )
        else:
            self._write(path)

    def _write(self, path: Path) -> None:
        try:
            path.write_text(self._file, encoding="utf-8")
        except (OSError, ValueError) as error:
            self._tell(f"{path} cannot be written: {getattr(error, 'strerror', None) or error}.", "error")
        else:
            self._tell(f"Written: {path}")

    def _tell(self, text: str, severity: Any = "information") -> None:
        self.notify(safe_text(text), severity=severity, markup=False)
