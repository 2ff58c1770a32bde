"""A chart of curves, with axes, a legend, a cursor, zoom and pan."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, ClassVar

from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.binding import Binding, BindingType
from textual.geometry import Region
from textual.message import Message
from textual.strip import Strip
from textual.widget import Widget

from kplug.plain_text import safe_line
from kplug_tui.chart_axes import LEFT_LABEL, joined, x_line, y_marks
from kplug_tui.curve_work import CurveWork, Made, Make
from kplug_tui.formatting import number

if TYPE_CHECKING:
    from kplug_tui.drawing import Curve, View

COLOURS = 8
_AT_ONCE = 50_000
_ZOOM = 0.7
_PAN = 0.2


class Chart(Widget, can_focus=True):
    """Curves over x.

    Args:
        title: What stands above it.
        x_label: Puts a position into words, for the axis and the cursor.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("plus,equals_sign", "zoom(1)", "Zoom", id="chart.zoom_in"),
        Binding("minus", "zoom(-1)", "Zoom out", show=False, id="chart.zoom_out"),
        Binding("left,h", "cursor(-1)", "Cursor", show=False, id="chart.cursor_left"),
        Binding("right,l", "cursor(1)", "Cursor", id="chart.cursor_right"),
        Binding("shift+left,H", "pan(-1)", "Pan", show=False, id="chart.pan_left"),
        Binding("shift+right,L", "pan(1)", "Pan", show=False, id="chart.pan_right"),
        Binding("shift+up", "pan_y(1)", "Up", show=False, id="chart.pan_up"),
        Binding("shift+down", "pan_y(-1)", "Down", show=False, id="chart.pan_down"),
        Binding("0", "reset", "Whole", id="chart.reset"),
    ]
    COMPONENT_CLASSES: ClassVar[set[str]] = {
        "chart--axis",
        "chart--title",
        "chart--cursor",
        *(f"chart--curve{number}" for number in range(COLOURS)),
    }
    DEFAULT_CSS = """
    Chart {
        height: 1fr;
        min-height: 3;
        & > .chart--axis { color: $secondary; }
        & > .chart--title { color: $foreground; text-style: bold; }
        & > .chart--cursor { color: $foreground; }
        & > .chart--curve0 { color: $curve-0; }
        & > .chart--curve1 { color: $curve-1; }
        & > .chart--curve2 { color: $curve-2; }
        & > .chart--curve3 { color: $curve-3; }
        & > .chart--curve4 { color: $curve-4; }
        & > .chart--curve5 { color: $curve-5; }
        & > .chart--curve6 { color: $curve-6; }
        & > .chart--curve7 { color: $curve-7; }
        &:focus > .chart--title { color: $text-accent; text-style: bold; }
    }
    """

    class Pointed(Message):
        """The person has put the cursor elsewhere, or taken it away."""

        def __init__(self, chart: Chart, position: float | None) -> None:
            super().__init__()
            self.chart = chart
            self.position = position

    class Zoomed(Message):
        """The person looks at another part of x, or at the whole of it."""

        def __init__(self, chart: Chart, x: tuple[float, float] | None) -> None:
            super().__init__()
            self.chart = chart
            self.x = x

    class Ready(Message, bubble=False):
        """Curves were made in a thread."""

        def __init__(self, made: Made) -> None:
            super().__init__()
            self.made = made

    def __init__(
        self,
        title: str = "",
        x_label: Callable[[float], str] = number,
        empty: str = "",
        id: str | None = None,  # noqa: A002 - Textual's own name for it
        classes: str | None = None,
    ) -> None:
        super().__init__(id=id, classes=classes)
        self.title = title
        self.empty = empty
        self.x_label = x_label
        self.x_ticks: Callable[[float, float, int], list[float]] | None = None
        self._curves: Sequence[Curve] = ()
        self._log = False
        self._view: View | None = None
        self._whole: View | None = None
        self._cursor: float | None = None
        self._drawn: list[Strip] | None = None
        self._stale = False
        self._x: tuple[float, float] | None = None
        self._work = CurveWork(lambda made: self.post_message(self.Ready(made)))

    @property
    def curves(self) -> Sequence[Curve]:
        """What is drawn."""
        return self._curves

    @property
    def view(self) -> View:
        """The part of the plane that is drawn: all of it, unless it was zoomed."""
        from kplug_tui.drawing import whole_view

        if self._view is not None:
            return self._view
        if self._whole is None:
            self._whole = whole_view(self._curves, self._log)
        return self._whole

    @property
    def x(self) -> tuple[float, float] | None:
        """The part of x that is looked at, or `None` for all of it."""
        return self._x

    @property
    def cursor(self) -> float | None:
        """The position whose values the legend shows, or `None`."""
        return self._cursor

    def show(self, curves: Sequence[Curve], log: bool = False, title: str | None = None) -> None:
        """Draw these curves; what was zoomed stays so."""
        self._work.forget()
        if title is not None:
            self.title = title
        self._take(curves, log)

    def show_made(self, make: Make, records: int, log: bool = False, title: str | None = None) -> None:
        """Draw the curves that something makes; those of many records appear when a thread has made them.

        Args:
            make: Makes the curves.
            records: Of how many records.
            log: Whether y is logarithmic.
            title: What stands above; as before by default.
        """
        if records <= _AT_ONCE:
            self.show(make(), log, title)
            return
        if title is not None:
            self.title = title
        self._work.ask(make, log, self._plot_width)

    def show_whole(self) -> None:
        """Show all of the curves, without a cursor: the axis has become another."""
        self._work.forget()
        self._x = self._view = self._cursor = None
        self._redraw()

    def on_chart_ready(self, message: Ready) -> None:
        """Draw what a thread has made, and make what was asked for meanwhile."""
        made = message.made
        if self._work.is_of_now(made):
            if made.problem:
                self.app.notify(safe_line(made.problem), severity="error", markup=False)
            else:
                self._take(made.curves, made.log)
        pause = self._work.pause_after(made)
        if pause is None:
            self._work.go_on()
        else:
            self.set_timer(pause, self._work.go_on)

    def point_at(self, position: float | None) -> None:
        """Put the cursor at a position, or take it away."""
        if position != self._cursor:
            self._cursor = position
            self._redraw()

    def look_at(self, x: tuple[float, float] | None) -> None:
        """Show what is between two positions, as high as it is, or the whole."""
        self._x = x
        self._view = None if x is None or not self._curves else self._fitted(self._curves, *x)
        self._redraw()

    def render_line(self, y: int) -> Strip:
        """Draw a line of the chart."""
        lines = self._lines()
        return lines[y] if y < len(lines) else Strip.blank(self.size.width)

    def _lines(self) -> list[Strip]:
        if self._drawn is None or self._stale or len(self._drawn) != self.size.height:
            self._drawn, self._stale = self._draw(self.size.width, self.size.height), False
        return self._drawn

    def _take(self, curves: Sequence[Curve], log: bool) -> None:
        first = not self._curves
        if log != self._log:
            held = self._view
            self._log, self._view = log, None
            if held is not None:
                self._view = self._fitted(curves, held.x_min, held.x_max)
        self._curves, self._whole = curves, None
        if first and curves and self._x is not None:
            self._view = self._fitted(curves, *self._x)
        self._redraw()

    def _redraw(self) -> None:
        """Draw anew, soon, and send the terminal only those lines that have become others."""
        if self._drawn is None or not self.is_running:
            self._drawn = None
            self.refresh()
        elif not self._stale:
            self._stale = True
            self.call_next(self._refresh_changed)

    def _refresh_changed(self) -> None:
        before = self._drawn
        if before is None or not self.size:
            self.refresh()
            return
        lines = self._lines()
        if len(before) != len(lines):
            self.refresh()
            return
        changed = [place for place, pair in enumerate(zip(before, lines, strict=True)) if pair[0] != pair[1]]
        if changed:
            self.refresh(*(Region(0, place, self.size.width, 1) for place in changed))

    def notify_style_update(self) -> None:
        """Draw anew in other colours."""
        super().notify_style_update()
        self._drawn = None

    def on_resize(self) -> None:
        """Draw anew in another size."""
        self._drawn = None
        self.refresh()

    def _style(self, part: str) -> Style:
        return self.rich_style + self.get_component_rich_style(f"chart--{part}", partial=True)

    def _draw(self, width: int, height: int) -> list[Strip]:
        base = self.rich_style
        legend = self._legend(width)
        if not any(len(curve.x) for curve in self._curves):
            text = Strip([Segment(safe_line(self.empty), self._style("axis"))]).adjust_cell_length(width, base)
            return [legend, text, *(Strip.blank(width, base) for _ in range(height))][:height]
        view = self.view
        rows, columns = height - 2, width - LEFT_LABEL - 1
        if rows < 1 or columns < 4:
            return [legend, *(Strip.blank(width, base) for _ in range(height))][:height]
        marks = y_marks(view, rows)
        axis = self._style("axis")
        lines = [legend]
        for row, segments in enumerate(self._plot(view, columns, rows)):
            mark = marks.get(row)
            edge = f"{mark:>{LEFT_LABEL}}┤" if mark is not None else " " * LEFT_LABEL + "│"
            lines.append(Strip([Segment(edge, axis), *segments]).adjust_cell_length(width, base))
        lines.append(
            Strip([Segment(x_line(view, columns, self.x_label, self.x_ticks), axis)]).adjust_cell_length(width, base)
        )
        return lines

    def _legend(self, width: int) -> Strip:
        segments = [Segment(safe_line(self.title), self._style("title"))] if self.title else []
        if self._cursor is not None:
            segments.append(Segment(f"  at {self.x_label(self._cursor)}", self._style("cursor")))
        # What was measured, not what smoothing made of it.
        measured = {curve.name.strip("_ "): curve for curve in self._curves if curve.faint}
        for curve in self._curves:
            if curve.faint:
                continue
            # Here, and not above: without curves there is no need of NumPy, whose import takes long.
            from kplug_tui.drawing import value_at

            at = math.inf if self._cursor is None else self._cursor
            value = value_at(measured.get(curve.name, curve), at)
            text = f"  ● {safe_line(curve.name)} {number(value) if math.isfinite(value) else '-'}"
            segments.append(Segment(text, self._style(f"curve{curve.colour % COLOURS}")))
        legend = Strip(segments or [Segment("", self.rich_style)])
        if legend.cell_length > width:  # a number that is cut would be another one
            legend = Strip([*legend.crop(0, max(0, width - 1)), Segment("…", self._style("axis"))])
        return legend.adjust_cell_length(width, self.rich_style)

    def _plot(self, view: View, width: int, height: int) -> list[list[Segment]]:
        """Return the rows of cells; where curves cross, a cell has the colour of the one that was drawn later."""
        from kplug_tui.drawing import overlaid

        blank = self.rich_style, self._style("axis")
        # What smoothing left behind it jumps with every record, which is more than a thin connection carries.
        thin = self.app.has_class("low-bandwidth")
        curves = [curve for curve in self._curves if not (curve.faint and thin)]
        styles = [self._style(f"curve{curve.colour % COLOURS}") for curve in curves]
        styles = [
            style + Style(dim=True) if curve.faint else style for style, curve in zip(styles, curves, strict=True)
        ]
        texts, owners = overlaid(curves, view, width, height)
        at = self._cursor_column(view, width)
        rows = []
        for text, numbers in zip(texts, owners, strict=True):
            cells = [
                (drawn, styles[number] if number >= 0 else blank[0])
                for drawn, number in zip(text, numbers, strict=True)
            ]
            if at is not None and numbers[at] < 0:
                cells[at] = ("┊", blank[1])
            rows.append(joined(cells))
        return rows

    def _cursor_column(self, view: View, width: int) -> int | None:
        if self._cursor is None or not view.x_min <= self._cursor <= view.x_max:
            return None
        return min(width - 1, int((self._cursor - view.x_min) / (view.x_max - view.x_min) * width))

    def action_zoom(self, direction: int) -> None:
        """See more closely, or more, around the cursor."""
        self._zoom(_ZOOM if direction > 0 else 1 / _ZOOM, self._cursor)

    def action_pan(self, direction: int) -> None:
        """See what is further to the right, or left."""
        view = self.view.moved(_PAN * direction)
        self._look_at((view.x_min, view.x_max))

    def action_pan_y(self, direction: int) -> None:
        """See what is further up, or down."""
        self._view = self.view.moved(0.0, _PAN * direction)
        self._redraw()

    def action_reset(self) -> None:
        """Show all of the curves again, without a cursor."""
        self._look_at(None)
        self._point_at(None)

    def action_cursor(self, direction: int) -> None:
        """Move the cursor by a cell; the first time it appears at the end."""
        view = self.view
        step = (view.x_max - view.x_min) / self._plot_width
        here = view.x_max if self._cursor is None else self._cursor + direction * step
        self._point_at(max(view.x_min, min(view.x_max, here)))

    def on_click(self, event: events.Click) -> None:
        """Put the cursor where the mouse was clicked."""
        self._point_at(self._position_of(event.x))

    def on_mouse_scroll_up(self, event: events.MouseScrollUp) -> None:
        """See more closely where the mouse is."""
        self._zoom_at(event, _ZOOM)

    def on_mouse_scroll_down(self, event: events.MouseScrollDown) -> None:
        """See more around where the mouse is."""
        self._zoom_at(event, 1 / _ZOOM)

    @property
    def _plot_width(self) -> int:
        return max(1, self.size.width - LEFT_LABEL - 1)

    def _zoom_at(self, event: events.MouseEvent, factor: float) -> None:
        if not self.has_focus:
            return  # the screen is being scrolled
        event.stop()
        self._zoom(factor, self._position_of(event.x))

    def _zoom(self, factor: float, around: float | None) -> None:
        view = self.view.zoomed(factor, x=around)
        self._look_at((view.x_min, view.x_max))

    def _point_at(self, position: float | None) -> None:
        if position != self._cursor:
            self.point_at(position)
            self.post_message(self.Pointed(self, position))

    def _look_at(self, x: tuple[float, float] | None) -> None:
        self.look_at(x)
        self.post_message(self.Zoomed(self, x))

    def _position_of(self, x: int) -> float:
        view = self.view
        share = min(1.0, max(0.0, (x - LEFT_LABEL - 1) / self._plot_width))
        return view.x_min + share * (view.x_max - view.x_min)

    def _fitted(self, curves: Sequence[Curve], x_min: float, x_max: float) -> View:
        """Return the view between two positions that is as high as what is in sight there."""
        from kplug_tui.drawing import whole_view

        return whole_view(curves, self._log, (x_min, x_max))
