"""The line that says how a run is doing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.text import Text
from textual.widgets import Static

from kplug.plain_text import safe_line
from kplug_tui.formatting import LIVE, bare, done_bar, duration, progress, seconds_left, state_sign, state_tone

_BAR = 16
_NARROW = 60
_COLOURS = {"good": "$text-success", "bad": "$text-error", "busy": "$text-primary", "muted": "$text-muted"}


class RunHead(Static):
    """State, name, progress and time left; below it the error, if there is one."""

    DEFAULT_CSS = """
    RunHead { height: auto; max-height: 3; padding: 0 1; background: $surface; }
    RunHead { text-wrap: nowrap; text-overflow: ellipsis; }
    """

    def __init__(self) -> None:
        super().__init__("", markup=False)
        self._summary: Mapping[str, Any] | None = None
        self._said = ""

    def show(self, summary: Mapping[str, Any] | None = None) -> None:
        """Show a run; without one, let the time go on."""
        if summary is not None:
            self._summary = summary
        if self._summary is None:
            return
        text = self._text(self._summary)
        if text.markup != self._said:
            taller = text.markup.count("\n") != self._said.count("\n")
            self._said = text.markup
            self.update(text, layout=taller)

    def on_resize(self) -> None:
        """Say as much as there is room for."""
        self.show()

    def _text(self, summary: Mapping[str, Any]) -> Text:
        state = str(summary["state"])
        colour = self.app.theme_variables.get(_COLOURS.get(state_tone(state) or "", "")[1:], "")
        text = Text(no_wrap=True, overflow="ellipsis")
        text.append(f"{state_sign(state)} {state}", f"bold {colour}" if colour.startswith("#") else "bold")
        share = progress(summary)
        if share is not None and state in LIVE:
            if self.size.width >= _NARROW:
                text.append("  ").append_text(done_bar(share, _BAR))
            text.append(f" {share:.0%}")
            left = duration(seconds_left(summary))
            doing = safe_line(str(summary.get("phase") or "")) or (f"{left} left" if left else "")
            text.append(f"  {doing}" if doing else "")
        if isinstance(summary.get("epoch"), int) and summary.get("epochs"):
            text.append(f"  epoch {summary['epoch']}/{summary['epochs']}")
        text.append(f"  {safe_line(str(summary['name'] or summary['id']))}", "bold")
        text.append(f"  {bare(summary['model'])} on {bare(summary['dataset'])}")
        text.append(f"  {' '.join(f'[{safe_line(str(tag))}]' for tag in summary['tags'])}" if summary["tags"] else "")
        if summary.get("error"):
            text.append(f"\n{safe_line(str(summary['error']))}", "bold")
        return text
