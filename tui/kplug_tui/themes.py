"""kplug's own colours: dark, light, and of high contrast."""

from __future__ import annotations

from textual.theme import Theme

THEMES = (
    Theme(
        name="kplug-dark",
        primary="#5b9bd5",
        secondary="#8fa6c4",
        accent="#f0a35e",
        success="#6fbf73",
        warning="#e3c567",
        error="#e06c75",
        foreground="#d7dce2",
        background="#14181d",
        surface="#1a2027",
        panel="#232b34",
        dark=True,
    ),
    Theme(
        name="kplug-light",
        primary="#1f5f99",
        secondary="#4a6076",
        accent="#a8560f",
        success="#2d7a33",
        warning="#8a6a00",
        error="#b3261e",
        foreground="#1c2126",
        background="#fafbfc",
        surface="#f0f2f5",
        panel="#e3e7ec",
        dark=False,
    ),
    Theme(
        name="kplug-contrast",
        primary="#66ccff",
        secondary="#ffffff",
        accent="#ffff00",
        success="#00ff66",
        warning="#ffcc00",
        error="#ff6666",
        foreground="#ffffff",
        background="#000000",
        surface="#000000",
        panel="#1a1a1a",
        dark=True,
    ),
)
