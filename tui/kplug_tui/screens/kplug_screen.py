"""What the screens of the app have in common: the app itself, and how a person is asked."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from textual.screen import Screen

if TYPE_CHECKING:
    from kplug_tui.app import KplugApp


class KplugScreen(Screen[None]):
    """A screen of the app."""

    @property
    def kplug(self) -> KplugApp:
        """The app."""
        from kplug_tui.app import KplugApp

        assert isinstance(self.app, KplugApp)
        return self.app

    def confirmed(self, question: str, answer: str, then: Callable[[], object]) -> None:
        """Ask whether to do something, and do it if the answer is yes."""
        # Dialogs are imported when there is one, and not before the first screen appears.
        from kplug_tui.screens.dialogs import Confirm

        def answered(yes: bool | None) -> None:
            if yes:
                then()

        self.app.push_screen(Confirm(question, answer), answered)

    def asked(
        self,
        question: str,
        value: str,
        then: Callable[[str], object],
        check: Callable[[str], object] | None = None,
        replaced: bool = False,
    ) -> None:
        """Ask for a line of text, and do something with it if there is an answer.

        Args:
            question: What is asked.
            value: What stands there to begin with.
            then: Takes the answer.
            check: Raises a `KplugError` for a text that cannot be used.
            replaced: Whether what is typed takes the place of what stands there.
        """
        from kplug_tui.screens.dialogs import Ask

        def answered(text: str | None) -> None:
            if text is not None:
                then(text)

        self.app.push_screen(Ask(question, value, check, replaced=replaced), answered)

    def asked_for_file(self, question: str, usual: str, write: Callable[[Path], str]) -> None:
        """Ask where to, and write there in a thread; what is there already is replaced only after a question.

        Args:
            question: What is asked.
            usual: What stands there to begin with.
            write: Writes, and returns what to tell.
        """
        from kplug_tui.screens.dialogs import checked_path

        def chosen(text: str) -> None:
            if not text.strip():
                return
            path = checked_path(text)
            if path.exists():
                there = f"{path} is there already. Replace it?"
                self.confirmed(there, "Replace", lambda: self.kplug.do(lambda: write(path)))
            else:
                self.kplug.do(lambda: write(path))

        self.asked(question, usual, chosen, checked_path, replaced=True)
