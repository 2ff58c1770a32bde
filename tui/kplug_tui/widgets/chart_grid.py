"""Charts beside and below each other that are looked at together: one cursor, one part of x."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, ClassVar

from textual import events
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.widgets import Static

from kplug_tui.formatting import number
from kplug_tui.widgets.chart import Chart

if TYPE_CHECKING:
    from kplug_tui.drawing import Curve

_LEAST_HEIGHT = 8
_COLUMNS = ((180, 3), (110, 2))


@dataclass(frozen=True)
class Plot:
    """What one chart shows.

    Attributes:
        name: What identifies it, and its title.
        curves: Makes the curves; called only when the chart is in sight.
        records: Of how many records.
    """

    name: str
    curves: Callable[[], Sequence[Curve]]
    records: int = 0


class ChartGrid(VerticalScroll, can_focus=False):
    """As many charts as there are metrics, in one, two or three columns. Only those in sight are drawn.

    Args:
        empty: What to say while there is nothing to draw.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter,f", "enlarge", "Enlarge", id="charts.enlarge"),
        Binding("up,k", "beside(-1)", "Chart above", show=False, id="charts.up"),
        Binding("down,j", "beside(1)", "Chart below", show=False, id="charts.down"),
    ]
    DEFAULT_CSS = """
    ChartGrid { layout: grid; grid-gutter: 0 1; scrollbar-size-vertical: 1; }
    ChartGrid > #empty { padding: 1 2; color: $text-muted; display: none; }
    ChartGrid.empty > #empty { display: block; }
    ChartGrid.one > Chart { display: none; }
    ChartGrid.one > Chart.large { display: block; }
    """

    def __init__(self, empty: str, id: str | None = None) -> None:  # noqa: A002 - Textual's own name for it
        super().__init__(id=id)
        self._empty = empty
        self._charts: dict[str, Chart] = {}
        self._plots: dict[str, Plot] = {}
        self._undrawn: set[str] = set()
        self._log = False
        self._cursor: float | None = None
        self._x: tuple[float, float] | None = None
        self.x_label: Callable[[float], str] = number
        self.x_ticks: Callable[[float, float, int], list[float]] | None = None
        self.add_class("empty")

    def compose(self) -> Sequence[Static]:
        """Make what is there before the first chart."""
        return [Static(self._empty, id="empty", markup=False)]

    @property
    def charts(self) -> Sequence[Chart]:
        """The charts, in their order."""
        return list(self._charts.values())

    @property
    def enlarged(self) -> bool:
        """Whether one chart has all of the room."""
        return self.has_class("one")

    def show(self, plots: Sequence[Plot], log: bool = False, whole: bool = False) -> None:
        """Draw these plots.

        Args:
            plots: The plots, in their order.
            log: Whether y is logarithmic.
            whole: Whether to forget what was zoomed, and the cursor: x means something else now.
        """
        self._log = log
        if whole:
            self._cursor = self._x = None
        names = [plot.name for plot in plots]
        if names != list(self._plots):
            self._arrange(names)
        self._plots = {plot.name: plot for plot in plots}
        self._undrawn = set(names)
        if whole:
            for chart in self._charts.values():
                chart.show_whole()
        self.call_after_refresh(self._draw_visible)

    def focus_first(self) -> None:
        """Put the focus on a chart, if there is one."""
        shown = [chart for chart in self._charts.values() if chart.display]
        if shown:
            shown[0].focus(scroll_visible=False)

    def on_resize(self) -> None:
        """Use the room there is."""
        self._lay_out()

    def watch_scroll_y(self, old_value: float, new_value: float) -> None:
        """Draw what has come into sight."""
        super().watch_scroll_y(old_value, new_value)
        self.call_after_refresh(self._draw_visible)

    def on_chart_pointed(self, message: Chart.Pointed) -> None:
        """Put the cursors of all charts at the same place."""
        message.stop()
        self._cursor = message.position
        for chart in self._charts.values():
            chart.point_at(message.position)

    def on_chart_zoomed(self, message: Chart.Zoomed) -> None:
        """Show the same part of x in all charts."""
        message.stop()
        self._x = message.x
        for chart in self._charts.values():
            if chart is not message.chart:
                chart.look_at(message.x)

    def on_click(self, event: events.Click) -> None:
        """Enlarge the chart that was clicked twice."""
        if event.chain == 2 and isinstance(event.widget, Chart):
            self.action_enlarge()

    def action_enlarge(self) -> None:
        """Give the focused chart all of the room, or take it away again."""
        if self.enlarged:
            self.show_all()
            return
        focused = self.screen.focused
        for chart in self._charts.values():
            chart.set_class(chart is focused, "large")
        if isinstance(focused, Chart):
            self.add_class("one")
            self.screen.add_class("whole")
            self._lay_out()

    def show_all(self) -> None:
        """Show all charts again."""
        self.remove_class("one")
        self.screen.remove_class("whole")
        self._lay_out()
        focused = self.screen.focused
        if focused in self._charts.values():
            self.call_after_refresh(self.scroll_to_widget, focused, animate=False)

    def action_beside(self, rows: int) -> None:
        """Go to the chart below or above; enlarged, that one takes the place."""
        charts = list(self._charts.values())
        focused = self.screen.focused
        if focused not in charts:
            return
        step = rows * (1 if self.enlarged else self._column_count())
        place = charts.index(focused) + step
        if not 0 <= place < len(charts):
            return
        if self.enlarged:
            for chart in charts:
                chart.set_class(chart is charts[place], "large")
            self.call_after_refresh(self._draw_visible)
        charts[place].focus()

    def _arrange(self, names: Sequence[str]) -> None:
        for name in [one for one in self._charts if one not in names]:
            self._charts.pop(name).remove()
        for name in names:
            if name not in self._charts:
                chart = Chart(name, self.x_label, empty="no values yet")
                chart.point_at(self._cursor)
                self._charts[name] = chart
                self.mount(chart)
        self._charts = {name: self._charts[name] for name in names}
        for before, after in pairwise(names):
            self.move_child(self._charts[after], after=self._charts[before])
        self.set_class(not names, "empty")
        if self.enlarged and not any(chart.has_class("large") for chart in self._charts.values()):
            self.remove_class("one")
        self._lay_out()

    def _column_count(self) -> int:
        if self.enlarged:
            return 1
        most = next((columns for width, columns in _COLUMNS if self.size.width >= width), 1)
        return max(1, min(most, len(self._charts)))

    def _lay_out(self) -> None:
        columns = self._column_count()
        count = 1 if self.enlarged else len(self._charts)
        rows = max(1, -(-count // columns))
        room = max(1, self.container_size.height if self.size.height == 0 else self.size.height)
        height = room if self.enlarged else max(min(room, _LEAST_HEIGHT), room // rows)
        self.styles.grid_size_columns = columns
        self.styles.grid_rows = f"{max(3, height)}"
        self.call_after_refresh(self._draw_visible)

    def _draw_visible(self) -> None:
        window = self.scrollable_content_region.size.region.translate(self.scroll_offset)
        for name in [one for one in self._charts if one in self._undrawn]:
            chart = self._charts[name]
            if chart.display and chart.virtual_region.overlaps(window):
                self._undrawn.discard(name)
                chart.x_label, chart.x_ticks = self.x_label, self.x_ticks
                plot = self._plots[name]
                chart.show_made(plot.curves, plot.records, self._log)
                if self._x is not None and chart.x != self._x:
                    chart.look_at(self._x)
