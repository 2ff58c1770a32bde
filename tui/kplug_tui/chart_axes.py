"""What stands around a chart's curves: marks on the left, a line below."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from rich.segment import Segment
from rich.style import Style

if TYPE_CHECKING:
    from kplug_tui.drawing import View

LEFT_LABEL = 8
"""Cells that the marks on the left take."""

Ticks = Callable[[float, float, int], list[float]]


def y_marks(view: View, rows: int) -> dict[int, str]:
    """Return what stands left of which rows."""
    # Here, and not above: a chart without curves has no need of NumPy, whose import takes long.
    from kplug_tui.drawing import labels, log_ticks, ticks

    values = (log_ticks if view.log else ticks)(view.y_min, view.y_max, max(1, rows // 3))
    marks = {}
    for value, label in zip(values, labels(values, view.log), strict=True):
        row = round((view.y_max - value) / (view.y_max - view.y_min) * (4 * rows - 1)) // 4
        if 0 <= row < rows:
            marks[row] = label[:LEFT_LABEL]
    return marks


def x_line(view: View, columns: int, label_of: Callable[[float], str], ticks_of: Ticks | None) -> str:
    """Return the line below the curves.

    Args:
        view: What is drawn.
        columns: How many cells the curves are wide.
        label_of: Puts a position into words.
        ticks_of: Finds the positions; round numbers by default.
    """
    from kplug_tui.drawing import ticks

    line = [" "] * columns
    free = 0
    for value in (ticks_of or ticks)(view.x_min, view.x_max, max(1, columns // 10)):
        label = label_of(value)
        at = int((value - view.x_min) / (view.x_max - view.x_min) * (columns - 1)) - len(label) // 2
        at = max(0, min(at, columns - len(label)))
        if at >= free and at + len(label) <= columns:
            line[at : at + len(label)] = label
            free = at + len(label) + 2
    return " " * LEFT_LABEL + "└" + "".join(line)


def joined(cells: Sequence[tuple[str, Style]]) -> list[Segment]:
    """Return cells with neighbours of one style as one."""
    segments: list[Segment] = []
    text, style = "", cells[0][1]
    for drawn, its in cells:
        if its is not style:
            segments.append(Segment(text, style))
            text, style = "", its
        text += drawn
    segments.append(Segment(text, style))
    return segments
