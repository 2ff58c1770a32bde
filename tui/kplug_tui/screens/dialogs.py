"""Small questions in front of a screen: yes or no, a line of text, one of several."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.screen import ModalScreen
from textual.widgets import Button, Input, OptionList, Static
from textual.widgets.option_list import Option

from kplug.errors import KplugError
from kplug.plain_text import safe_line, safe_text
from kplug_tui.formatting import plain
from kplug_tui.widgets.text_line import TextLine


class Confirm(ModalScreen[bool]):
    """Asks whether to do something that cannot be undone at once.

    Args:
        question: What is asked.
        answer: What the button says that does it.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("y", "answer(True)", "Yes"),
        Binding("n,escape", "answer(False)", "No"),
    ]

    def __init__(self, question: str, answer: str) -> None:
        super().__init__(classes="dialog")
        self._question = question
        self._answer = answer

    def compose(self) -> ComposeResult:
        """Make the dialog."""
        with Vertical(classes="dialog--box"):
            with VerticalScroll(classes="dialog--text"):
                yield Static(safe_text(self._question), markup=False)
            with Horizontal(classes="dialog--buttons"):
                yield Button("Cancel (n)", id="no")
                yield Button(f"{self._answer} (y)", id="yes", variant="error")

    def on_mount(self) -> None:
        """Let Enter do what is harmless."""
        self.query_one("#no").focus()

    def on_button_pressed(self, event: Button.Pressed) -> None:
        """Answer by a button."""
        self.dismiss(event.button.id == "yes")

    def action_answer(self, answer: bool) -> None:
        """Answer by a key."""
        self.dismiss(answer)


class Ask(ModalScreen[str | None]):
    """Asks for a line of text.

    Args:
        question: What is asked.
        value: What stands there to begin with.
        check: Raises a `KplugError` for a text that cannot be used; its message is shown.
        hint: What an empty line says.
        replaced: Whether what is typed takes the place of what stands there.
    """

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "cancel", "Cancel")]

    def __init__(
        self,
        question: str,
        value: str = "",
        check: Callable[[str], object] | None = None,
        hint: str = "",
        replaced: bool = False,
    ) -> None:
        super().__init__(classes="dialog")
        self._question = question
        self._value = value
        self._check = check
        self._hint = hint
        self._replaced = replaced

    def compose(self) -> ComposeResult:
        """Make the dialog."""
        with Vertical(classes="dialog--box"):
            yield Static(safe_text(self._question), markup=False)
            yield TextLine(safe_line(self._value), placeholder=self._hint, select_on_focus=self._replaced)
            yield Static("", id="problem", classes="problem", markup=False)

    def on_input_changed(self, event: Input.Changed) -> None:
        """Say at once what is wrong with the text."""
        self.query_one("#problem", Static).update(self._problem_with(event.value))

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Answer, if the text can be used."""
        problem = self._problem_with(event.value)
        if problem:
            self.query_one("#problem", Static).update(problem)
        else:
            self.dismiss(event.value)

    def action_cancel(self) -> None:
        """Answer nothing."""
        self.dismiss(None)

    def _problem_with(self, text: str) -> str:
        if self._check is None:
            return ""
        try:
            self._check(text)
        except KplugError as error:
            return safe_text(str(error))
        return ""


def checked_path(text: str) -> Path:
    """Return the path that a person typed.

    Raises:
        KplugError: If it is none.
    """
    try:
        path = Path(text.strip()).expanduser()
        path.exists()
    except (OSError, RuntimeError, ValueError) as error:
        raise KplugError(f"This is no path that can be used: {error}") from error
    return path


class Choose(ModalScreen[str | None]):
    """Asks for one of several.

    Args:
        question: What is asked.
        choices: What there is to choose from.
        chosen: Where the cursor stands to begin with.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "cancel", "Cancel"),
        Binding("j", "move(1)", show=False),
        Binding("k", "move(-1)", show=False),
    ]

    def __init__(self, question: str, choices: Sequence[str], chosen: str | None = None) -> None:
        super().__init__(classes="dialog")
        self._question = question
        self._choices = list(choices)
        self._chosen = chosen

    def compose(self) -> ComposeResult:
        """Make the dialog."""
        with Vertical(classes="dialog--box"):
            yield Static(safe_text(self._question), markup=False)
            yield OptionList(*(Option(plain(choice)) for choice in self._choices))

    def on_mount(self) -> None:
        """Put the cursor on what is chosen already."""
        options = self.query_one(OptionList)
        if self._chosen in self._choices:
            options.highlighted = self._choices.index(self._chosen)
        options.focus()

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        """Answer with a choice."""
        self.dismiss(self._choices[event.option_index])

    def action_move(self, rows: int) -> None:
        """Go up or down."""
        options = self.query_one(OptionList)
        if rows > 0:
            options.action_cursor_down()
        else:
            options.action_cursor_up()

    def action_cancel(self) -> None:
        """Answer nothing."""
        self.dismiss(None)
