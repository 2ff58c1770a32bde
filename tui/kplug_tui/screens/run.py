"""One run: its curves, the machine, its log, what it left, what it was asked, what happened."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar

from rich.console import Group
from rich.table import Table
from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.widgets import ContentSwitcher, Static

from kplug_tui.detail import RunDetail
from kplug_tui.reader import DetailRead, RunsRead
from kplug_tui.screens.run_actions import RunActions
from kplug_tui.stack import on_top
from kplug_tui.widgets.artifacts import Artifacts
from kplug_tui.widgets.chart_grid import ChartGrid, Plot
from kplug_tui.widgets.events import Events
from kplug_tui.widgets.key_bar import KeyBar
from kplug_tui.widgets.log_page import LogPage
from kplug_tui.widgets.run_head import RunHead
from kplug_tui.widgets.tab_bar import Tab, TabBar
from kplug_tui.widgets.top_bar import TopBar

if TYPE_CHECKING:
    from kplug_tui.configuration import Section
    from kplug_tui.drawing import Curve

Summary = Mapping[str, Any]
TABS = (
    Tab("4", "charts", "Charts"),
    Tab("5", "system", "System"),
    Tab("6", "log", "Log"),
    Tab("7", "artifacts", "Artifacts"),
    Tab("8", "configuration", "Configuration"),
    Tab("9", "events", "Events"),
)
_SMOOTHINGS = (0.0, 0.3, 0.6, 0.8, 0.9, 0.95, 0.99)
_LOW, _LOWEST = 14, 8
_SECOND = 1.0


class Machine(ChartGrid):
    """The charts of the machine."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("w", "screen.log_axis", "Log y", id="run.log_axis")]


class Metrics(Machine):
    """The charts of the metrics."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("a", "screen.axis", "Axis", id="run.axis"),
        Binding("right_parenthesis", "screen.smooth(1)", "Smooth", id="run.smooth"),
        Binding("left_parenthesis", "screen.smooth(-1)", "Less smooth", show=False, id="run.less_smooth"),
    ]


class RunScreen(RunActions):
    """All there is to know of a run, live.

    Args:
        run_id: The run.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "back", "Back", id="run.back"),
        Binding("right_square_bracket", "turn(1)", "Next page", show=False, id="run.next_page"),
        Binding("left_square_bracket", "turn(-1)", "Page before", show=False, id="run.page_before"),
        *(Binding(tab.key, f"page('{tab.name}')", tab.title, show=False, id=f"run.{tab.name}") for tab in TABS),
    ]
    CSS_PATH = "run.tcss"
    AUTO_FOCUS = ""  # the first that could have it may be on another page

    def __init__(self, run_id: str) -> None:
        super().__init__()
        self.run_id = run_id
        self._detail: RunDetail | None = None
        self._drawn: dict[str, tuple[Any, ...]] = {}
        self._axis = "step"
        self._log = False
        self._told: list[Section] = []
        self._gone = False

    def compose(self) -> ComposeResult:
        """Make the screen."""
        yield TopBar("")
        yield RunHead()
        yield TabBar(TABS)
        with ContentSwitcher(initial="charts"):
            yield Metrics("No metrics yet.", id="charts")
            yield Machine("No samples of the machine yet.", id="system")
            yield LogPage(id="log")
            yield Artifacts(lambda: self.kplug.settings.low_bandwidth, id="artifacts")
            with VerticalScroll(id="configuration"):
                yield Static("", markup=False)
            yield Events(id="events")
        yield KeyBar()

    def on_mount(self) -> None:
        """Show what is known already."""
        self.set_interval(_SECOND, self._tick)
        self._say_how()
        self._show_summary()

    def on_resize(self) -> None:
        """Leave out what there is no room for."""
        self.set_class(self.size.height < _LOW, "low")
        self.set_class(self.size.height < _LOWEST, "lowest")

    def on_screen_resume(self) -> None:
        """Go on watching the run, if it is still there."""
        if self._gone or not self.kplug.reader.root.joinpath(self.run_id).is_dir():
            self._leave()
            return
        self.kplug.reader.watch(self.run_id)
        self._show_summary()

    def chosen(self) -> Sequence[Summary]:
        """Return the run."""
        summary = self._summary()
        return [summary] if summary is not None else []

    def on_runs_read(self, message: RunsRead) -> None:
        """Show how the run is doing; leave if it is gone."""
        if self.run_id in message.snapshot.gone:
            self._leave()
        else:
            self._show_summary()

    def on_detail_read(self, message: DetailRead) -> None:
        """Show the run as it is now."""
        if message.detail.id == self.run_id and not self._gone:
            self._detail = message.detail
            self.query_one(RunHead).show(self._with_phase(message.detail.summary))
            self._show_page()
            # A run that has just begun has no charts yet that could have the focus.
            self.call_after_refresh(self._focus_page)

    def on_tab_bar_chosen(self, message: TabBar.Chosen) -> None:
        """Go to the page that was clicked."""
        self.action_page(message.name)

    def action_back(self) -> None:
        """Take back what was enlarged or looked for, else leave the run."""
        page = self.query_one(f"#{self._page}")
        if isinstance(page, ChartGrid | Artifacts) and page.enlarged:
            page.show_all()
        elif not (isinstance(page, LogPage) and page.close_search()):
            self.app.pop_screen()

    def action_page(self, name: str) -> None:
        """Go to a page."""
        self.query_one(TabBar).current = name
        self.query_one(ContentSwitcher).current = name
        page = self.query_one(f"#{name}")
        self.set_class(isinstance(page, ChartGrid | Artifacts) and page.enlarged, "whole")
        self._say_how()
        self._show_page()
        self.call_after_refresh(self._focus_page)

    def action_turn(self, pages: int) -> None:
        """Go to the page beside this one."""
        self.action_page(self.query_one(TabBar).beside(pages))

    def action_axis(self) -> None:
        """Let x be the step, the epoch, or the time."""
        from kplug_tui.curves import AXES

        self._axis = AXES[(AXES.index(self._axis) + 1) % len(AXES)]
        self._draw_charts(whole=True)
        self._say_how()

    def action_smooth(self, direction: int) -> None:
        """Smooth the curves more, or less."""
        now = self.kplug.settings.smoothing
        others = [one for one in _SMOOTHINGS if (one > now if direction > 0 else one < now)]
        if others:
            self.kplug.change_settings(smoothing=min(others) if direction > 0 else max(others))
            self._draw_charts()
            self._say_how()

    def action_log_axis(self) -> None:
        """Let y be logarithmic, or linear again."""
        self._log = not self._log
        self._drawn.clear()
        self._show_page()
        self._say_how()

    @property
    def _page(self) -> str:
        return self.query_one(TabBar).current

    def _show_summary(self) -> None:
        if self.kplug.snapshot is not None:
            self.query_one(TopBar).count(self.kplug.snapshot.runs)
        summary = self._summary()
        if summary is not None:
            self.query_one(RunHead).show(self._with_phase(summary))

    def _with_phase(self, summary: Summary) -> Summary:
        """Return a summary with what the worker does when all epochs are over: saving, evaluating, drawing."""
        return {**summary, "phase": self._detail.status.get("phase") if self._detail is not None else None}

    def _tick(self) -> None:
        """Let the time that is left go on."""
        if on_top(self):
            self.query_one(RunHead).show()

    def _summary(self) -> Summary | None:
        snapshot = self.kplug.snapshot
        found = next((one for one in snapshot.runs if one["id"] == self.run_id), None) if snapshot else None
        return found or (self._detail.summary if self._detail is not None else None)

    def _say_how(self) -> None:
        smoothing = self.kplug.settings.smoothing
        parts = [f"x: {self._axis}", f"smoothing {smoothing:g}"] if self._page == "charts" else []
        parts += ["log y"] if self._log and self._page in {"charts", "system"} else []
        self.query_one(TopBar).say("  ".join(parts))

    def _focus_page(self) -> None:
        """Put the focus where the page's keys are."""
        page = self.query_one(f"#{self._page}")
        if self.focused is not None and page in self.focused.ancestors_with_self:
            return
        if isinstance(page, ChartGrid | Artifacts | Events):
            page.focus_first()
        elif isinstance(page, LogPage):
            page.view.focus()
        else:
            page.focus()

    def _show_page(self) -> None:
        """Show on this page what has changed since it was last shown."""
        detail = self._detail
        if detail is None:
            return
        pages: dict[str, tuple[tuple[Any, ...], Callable[[], object]]] = {
            "charts": ((detail.metrics,), self._draw_charts),
            "system": ((detail.samples,), self._draw_system),
            "log": ((detail,), lambda: self.query_one("#log", LogPage).open(detail.run.directory.log)),
            "artifacts": ((detail.artifacts,), lambda: self.query_one(Artifacts).show(detail.artifacts)),
            "configuration": ((detail,), self._tell_configuration),
            "events": ((detail.events, detail.checkpoints), lambda: self.query_one(Events).show(detail)),
        }
        shows, show = pages[self._page]
        drawn = self._drawn.get(self._page)
        if drawn is None or any(now is not before for now, before in zip(shows, drawn, strict=True)):
            self._drawn[self._page] = shows
            show()

    def _draw_charts(self, whole: bool = False) -> None:
        from kplug_tui.curves import metric_curves, metric_groups, position_label, position_ticks

        grid = self.query_one("#charts", ChartGrid)
        metrics = self._detail.metrics if self._detail is not None else None
        if metrics is None:
            grid.show([])
            return
        smoothing = self.kplug.settings.smoothing

        def curves(group: str) -> Sequence[Curve]:
            return [_named(curve) for curve in metric_curves(metrics, group, self._axis, smoothing)]

        grid.x_label, grid.x_ticks = position_label(self._axis), position_ticks(self._axis)
        groups = metric_groups(metrics.metrics)
        records = len(metrics.steps)
        grid.show([Plot(group, partial(curves, group), records) for group in groups], self._log, whole)
        if whole or self.focused is None:
            self.call_after_refresh(self._focus_page)

    def _draw_system(self) -> None:
        from kplug_tui.curves import position_label, position_ticks
        from kplug_tui.system_curves import system_curves, system_plots

        samples = self._detail.samples if self._detail is not None else ()
        grid = self.query_one("#system", ChartGrid)
        grid.x_label, grid.x_ticks = position_label("time"), position_ticks("time")
        grid.show([Plot(name, partial(system_curves, samples, name)) for name in system_plots(samples)], self._log)

    def _tell_configuration(self) -> None:
        from kplug_tui.configuration import configuration

        assert self._detail is not None
        sections = configuration(self._detail)
        if sections != self._told:
            self._told = sections
            self.query_one("#configuration Static", Static).update(_laid_out(sections))

    def _leave(self) -> None:
        """Say that the run is gone, and go back as soon as nothing is in front."""
        if not self._gone:
            self._gone = True
            self.kplug.warn(f"{self.run_id} is no longer there: it was moved or deleted.")
        if on_top(self):
            self.app.call_later(self._pop)

    def _pop(self) -> None:
        if on_top(self):
            self.app.pop_screen()


def _named(curve: Curve) -> Curve:
    """Return a curve under a name that does not say the metric again."""
    return replace(curve, name="validation" if curve.name.startswith("val_") else "training")


def _laid_out(sections: Sequence[Section]) -> Group:
    parts: list[Text | Table] = []
    for section in sections:
        grid = Table.grid(padding=(0, 2))
        grid.add_column(style="dim")
        grid.add_column(overflow="fold")
        for name, value in section.rows:
            grid.add_row(Text(f"  {name}"), Text(value))
        parts += [Text(section.title, "bold"), grid, Text("")]
    return Group(*parts)
