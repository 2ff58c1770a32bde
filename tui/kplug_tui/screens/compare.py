"""Runs side by side: one metric's curves over each other, what was asked differently, and how they ended."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from rich.segment import Segment
from rich.style import Style
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.strip import Strip

from kplug.errors import KplugError
from kplug.runs.comparison import differences, last_metrics
from kplug.runs.direction import higher_is_better
from kplug.runs.directory import RunDirectory, write_atomically
from kplug.runs.process import draw
from kplug.runs.run import Run
from kplug_tui.comparison_table import (
    comparison_csv,
    is_finite,
    metric_column,
    name_column,
    names_of,
    shortened,
    took,
    value_column,
)
from kplug_tui.curve_work import Make
from kplug_tui.detail import RunDetail
from kplug_tui.formatting import state_cell
from kplug_tui.reader import DetailRead, RunsRead
from kplug_tui.screens.dialogs import Choose
from kplug_tui.screens.run_actions import RunActions
from kplug_tui.widgets.chart import COLOURS, Chart
from kplug_tui.widgets.key_bar import KeyBar
from kplug_tui.widgets.table import Column, Row, Table
from kplug_tui.widgets.top_bar import TopBar

if TYPE_CHECKING:
    from kplug_tui.drawing import Curve

Summary = Mapping[str, Any]
_PARTS = ("validation", "training", "both")
_VALIDATION = "val_"
_REDRAW_SECONDS = 0.1
_SMOOTHING_STEP = 0.1
_MOST_SMOOTHING = 0.99


class ComparedRuns(Table):
    """Runs in a table, each in the colour of its curve."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("left,h", "screen.columns(-1)", "Columns", show=False, id="compare.columns_left"),
        Binding("right,l", "screen.columns(1)", "Columns", show=False, id="compare.columns_right"),
        Binding("space", "screen.hide", "Hide", id="compare.hide"),
    ]

    def __init__(self, columns: Sequence[Column], colours: Mapping[str, int], chart: Chart) -> None:
        super().__init__(columns, lambda run: run["id"], "None of these runs is there any more.", id="compared")
        self._colours = colours
        self._chart = chart
        self.hidden: set[str] = set()

    @property
    def has_more_columns(self) -> bool:
        """Whether there are columns that there is no room for."""
        return len(self._laid_out()) < len(self.columns)

    def _row_strip(self, row: Row, at_cursor: bool, width: int, base: Style) -> Strip:
        _, *segments = super()._row_strip(row, at_cursor, width, base)
        colour = self._chart.get_component_rich_style(f"chart--curve{self._colours[row['id']] % COLOURS}", partial=True)
        sign = "○ " if row["id"] in self.hidden else "● "
        return Strip([Segment(sign, (segments[0].style or base) + colour), *segments], width)


class CompareScreen(RunActions):
    """Runs side by side, the best one first.

    Args:
        run_ids: The runs.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("m", "metric", "Metric", id="compare.metric"),
        Binding("v", "part", "Train/val", id="compare.part"),
        Binding("a", "axis", "Axis", id="compare.axis"),
        Binding("w", "log", "Log", id="compare.log"),
        Binding("left_parenthesis", "smooth(-1)", "Less smooth", show=False, id="compare.less_smooth"),
        Binding("right_parenthesis", "smooth(1)", "Smoother", show=False, id="compare.smoother"),
        Binding("p", "picture", "Picture", id="compare.picture"),
        Binding("x", "export", "Table", show=False, id="compare.export"),
        Binding("escape", "app.pop_screen", "Back", id="compare.back"),
        # What can be done to runs can be done here too, but it is not what one comes for.
        Binding("n", "new", "New", show=False, id="runs.new"),
        Binding("s", "stop", "Stop", show=False, id="runs.stop"),
        Binding("r", "resume", "Resume", show=False, id="runs.resume"),
    ]
    CSS_PATH = Path(__file__).with_name("compare.tcss")

    def __init__(self, run_ids: Sequence[str]) -> None:
        super().__init__()
        self._ids = list(dict.fromkeys(run_ids))
        self._colours = {run_id: place for place, run_id in enumerate(self._ids)}
        self._summaries: dict[str, Summary] = {}
        self._details: dict[str, RunDetail] = {}
        self._group = self._part = ""
        self._axis = "step"
        self._log = False
        self._smoothing = 0.0
        self._first_column = 0
        self._to_draw = False

    def compose(self) -> ComposeResult:
        """Make the screen."""
        chart = Chart(id="curves", empty="no metrics yet")
        yield TopBar("compare")
        yield chart
        yield ComparedRuns([name_column({})], self._colours, chart)
        yield KeyBar()

    def on_mount(self) -> None:
        """Begin with the metric that the table of runs shows."""
        settings = self.kplug.settings
        self._group = settings.metric.removeprefix(_VALIDATION)
        self._part = "validation" if settings.metric.startswith(_VALIDATION) else "training"
        self._smoothing = settings.smoothing
        self._table.focus()
        self._take(self.kplug.snapshot.runs if self.kplug.snapshot else ())

    def on_screen_resume(self) -> None:
        """Show what has happened meanwhile, and go on watching the runs."""
        if self.kplug.snapshot is not None:
            there = {run["id"] for run in self.kplug.snapshot.runs}
            self._ids = [run_id for run_id in self._ids if run_id in there]
            self._take(self.kplug.snapshot.runs)
        self.kplug.reader.watch(*self._ids)

    def on_resize(self) -> None:
        """Say anew whether all columns are seen."""
        self.call_after_refresh(self._refill)

    @property
    def _table(self) -> ComparedRuns:
        return self.query_one(ComparedRuns)

    @property
    def _chart(self) -> Chart:
        return self.query_one(Chart)

    def chosen(self) -> Sequence[Summary]:
        """Return the run under the cursor."""
        return [self._table.row] if self._table.row is not None else []

    def on_runs_read(self, message: RunsRead) -> None:
        """Show the runs as they are now."""
        for run_id in message.snapshot.gone & self._summaries.keys():
            del self._summaries[run_id]
            self._details.pop(run_id, None)
        self._take(message.snapshot.runs)

    def on_detail_read(self, message: DetailRead) -> None:
        """Draw a run's curve as it is now."""
        if message.detail.id in self._colours:
            self._details[message.detail.id] = message.detail
            self._draw_soon()

    def on_table_opened(self, message: Table.Opened) -> None:
        """Show a run on a screen of its own."""
        if message.row is not None:
            self.kplug.open_run(message.row["id"])

    def action_metric(self) -> None:
        """Choose the metric that is drawn and by which runs are better."""
        names = self._groups()
        if not names:
            self.kplug.warn("None of these runs has a metric yet.")
            return
        self.app.push_screen(Choose("Metric:", names, self._group), self._use_metric)

    def action_part(self) -> None:
        """Show validation, training, or both."""
        self._part = _PARTS[(_PARTS.index(self._part) + 1) % len(_PARTS)]
        self._refill()

    def action_axis(self) -> None:
        """Draw over steps, epochs or time."""
        from kplug_tui.curves import AXES

        self._axis = AXES[(AXES.index(self._axis) + 1) % len(AXES)]
        self._draw(whole=True)

    def action_log(self) -> None:
        """Draw on a logarithmic axis, or a linear one again."""
        self._log = not self._log
        self._draw()

    def action_smooth(self, direction: int) -> None:
        """Smooth the curves more, or less."""
        wanted = round(self._smoothing + direction * _SMOOTHING_STEP, 2)
        self._smoothing = min(_MOST_SMOOTHING, max(0.0, 0.9 if self._smoothing > 0.9 > wanted - 0.1 else wanted))
        self._draw()

    def action_columns(self, direction: int) -> None:
        """Show columns further to the right, or left; the name stays."""
        last = max(0, len(self._all_columns()) - 2)
        self._first_column = min(last, max(0, self._first_column + direction))
        self._refill()

    def action_hide(self) -> None:
        """Leave a run's curve out, or draw it again."""
        for run in self.chosen():
            self._table.hidden ^= {run["id"]}
            self._table.refresh()
            self._draw()

    def action_picture(self) -> None:
        """Draw the curves into a file."""
        runs = [Run(RunDirectory(self.kplug.reader.root / run["id"])) for run in self._ranked()]
        keys = self._keys()
        if not runs or not keys:
            self.kplug.warn("There is nothing to draw yet.")
            return

        def write(path: Path) -> str:
            draw(runs, str(path), keys)
            return f"Written: {path.absolute()}"

        self.asked_for_file("Picture (.png, .svg or .pdf):", f"{keys[0]}.png", write)

    def action_export(self) -> None:
        """Write the table into a file."""
        text = comparison_csv(self._ranked())

        def write(path: Path) -> str:
            try:
                write_atomically(path, text)
            except OSError as error:
                raise KplugError(f"{path} cannot be written: {error.strerror or error}.") from error
            return f"Written: {path.absolute()}"

        self.asked_for_file("Table (.csv):", "comparison.csv", write)

    def _use_metric(self, name: str | None) -> None:
        if name is not None:
            self._group = name
            self._refill()
            self._chart.show_whole()

    def _take(self, runs: Sequence[Summary]) -> None:
        """Take what a snapshot says of the runs."""
        self.query_one(TopBar).count(runs)
        found = {run["id"]: run for run in runs if run["id"] in self._colours}
        self._summaries.update(found)
        groups = self._groups()
        if groups and self._group not in groups:
            self._group = groups[0]
        self._refill()

    def _groups(self) -> list[str]:
        from kplug_tui.curves import metric_groups

        return metric_groups(name for run in self._summaries.values() for name in run["metrics"])

    def _keys(self) -> list[str]:
        """Return the names under which the metric is recorded, of what is shown of it."""
        recorded = {name for run in self._summaries.values() for name in run["metrics"]}
        validation = _VALIDATION + self._group
        wanted = {"validation": (validation,), "training": (self._group,), "both": (validation, self._group)}
        return [name for name in wanted[self._part] if name in recorded] or [
            name for name in (self._group, validation) if name in recorded
        ]

    def _ranked(self) -> list[Summary]:
        """Return the runs, the best one first, those without the metric last."""
        there = [self._summaries[run_id] for run_id in self._ids if run_id in self._summaries]
        keys = self._keys()
        sign = -1.0 if keys and higher_is_better(keys[0]) else 1.0

        def rank(run: Summary) -> tuple[bool, float]:
            value = run["metrics"].get(keys[0]) if keys else None
            return (False, sign * value) if value is not None and is_finite(value) else (True, 0.0)

        return sorted(there, key=rank)

    def _refill(self) -> None:
        if not self.query(ComparedRuns):
            return  # the screen has just been left
        ranked = self._ranked()
        columns = self._all_columns(ranked)
        table = self._table
        table.set_columns([columns[0], *columns[1 + self._first_column :]])
        table.show(ranked)
        self._say()
        self._draw_soon()

    def _all_columns(self, ranked: list[Summary] | None = None) -> list[Column]:
        ranked = self._ranked() if ranked is None else ranked
        keys, finals = self._keys(), last_metrics(ranked)
        best = ranked[0]["id"] if len(ranked) > 1 and keys and is_finite(ranked[0]["metrics"].get(keys[0])) else None
        columns = [name_column(names_of(ranked), best)]
        columns += [metric_column(name, finals[name], ranked) for name in keys]
        columns += [value_column(name, values, ranked) for name, values in differences(ranked).items()]
        columns.append(Column("state", "STATE", 11, state_cell))
        columns += [metric_column(name, values, ranked) for name, values in finals.items() if name not in keys]
        columns.append(Column("took", "TOOK", 7, took, "right"))
        return columns

    def _say(self) -> None:
        count = f"{len(self._summaries)} runs" if len(self._summaries) != 1 else "one run"
        self.query_one(TopBar).say(f"Compare {count}{'  ← → more columns' if self._table.has_more_columns else ''}")

    def _draw_soon(self) -> None:
        """Draw once for all the runs that are read at about the same time."""
        if not self._to_draw:
            self._to_draw = True
            self.set_timer(_REDRAW_SECONDS, self._draw)

    def _draw(self, whole: bool = False) -> None:
        from kplug_tui.curves import position_label, position_ticks

        self._to_draw = False
        if not self.query(ComparedRuns):
            return  # the screen has just been left
        keys = self._keys()
        names = names_of(list(self._summaries.values()))
        shown = [run_id for run_id in self._ids if run_id in self._details and run_id not in self._table.hidden]
        room = max(6, self.size.width // max(1, len(shown)) - 16)
        details = [self._details[run_id] for run_id in shown]
        of = [self._maker(one, keys, shortened(names.get(one.id, one.id), room)) for one in details]
        records = sum(len(one.metrics.steps) for one in details if one.metrics is not None)
        smooth = f", smoothed {self._smoothing:g}" if self._smoothing else ""
        title = f"{', '.join(keys)} by {self._axis}{smooth}{', log' if self._log else ''}" if keys else ""
        chart = self._chart
        chart.x_label, chart.x_ticks = position_label(self._axis), position_ticks(self._axis)
        if whole:
            chart.show_whole()
        chart.show_made(lambda: [curve for make in of for curve in make()], records, self._log, title)

    def _maker(self, detail: RunDetail, keys: Sequence[str], name: str) -> Make:
        """Return what makes a run's curves, in its one colour: faint what another one of them explains."""
        group, axis, smoothing, colour = self._group, self._axis, self._smoothing, self._colours[detail.id]

        def make() -> list[Curve]:
            from kplug_tui.curves import metric_curves

            if detail.metrics is None:
                return []
            curves = [one for one in metric_curves(detail.metrics, group, axis, smoothing) if one.name in keys]
            if len({curve.name for curve in curves}) > 1:
                # Of both, training stands behind validation, and what was not smoothed is too much.
                curves = [replace(one, faint=one.name == group) for one in curves if not one.faint]
            return [replace(one, name=name, colour=colour) for one in curves]

        return make
