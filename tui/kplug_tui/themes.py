"""kplug's own colours: dark, light, and of high contrast."""

from __future__ import annotations

from textual.theme import Theme


def _curves(*colours: str) -> dict[str, str]:
    return {f"curve-{number}": colour for number, colour in enumerate(colours)}


# Colours of curves are texts' colours too: those of the legend. Each can be read on its theme's background.
_ON_DARK = _curves("#7cc4ff", "#f0a35e", "#6fbf73", "#f58d94", "#e3c567", "#c39bf0", "#5fd0c5", "#e58fc8")
_ON_LIGHT = _curves("#1f5f99", "#a04f0c", "#2a7030", "#b3261e", "#755800", "#6b3fa0", "#0f6560", "#a0327a")
_ON_BLACK = _curves("#66ccff", "#ffaa00", "#00ff66", "#ff7777", "#ffff00", "#cc99ff", "#00ffff", "#ff99dd")


def curve_colours(dark: bool) -> dict[str, str]:
    """Return the colours of curves for a theme that is not kplug's, as variables of its style sheet."""
    return _ON_DARK if dark else _ON_LIGHT


THEMES = (
    Theme(
        name="kplug-dark",
        primary="#5b9bd5",
        secondary="#9db3cf",
        accent="#f0a35e",
        success="#6fbf73",
        warning="#e3c567",
        error="#e06c75",
        foreground="#d7dce2",
        background="#14181d",
        surface="#1a2027",
        panel="#232b34",
        dark=True,
        variables=_ON_DARK,
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
        variables=_ON_LIGHT,
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
        variables=_ON_BLACK,
    ),
)
