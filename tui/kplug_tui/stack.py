"""Which screen is in front."""

from __future__ import annotations

from textual.app import ScreenStackError
from textual.screen import Screen


def on_top(screen: Screen) -> bool:
    """Say whether a screen is the one in front; `Screen.is_current` also holds for the one right behind it."""
    try:
        return screen.is_attached and screen.app.screen is screen
    except ScreenStackError:  # the app is ending
        return False
