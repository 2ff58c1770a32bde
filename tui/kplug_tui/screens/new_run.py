"""To come."""

from typing import Any

from textual.screen import Screen


class NewRunScreen(Screen[None]):
    """To come."""

    BINDINGS = [("escape", "app.pop_screen", "Back")]  # noqa: RUF012

    def __init__(self, *given: Any) -> None:
        super().__init__()
