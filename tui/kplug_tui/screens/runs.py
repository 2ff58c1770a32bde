"""The first screen: all runs, and beside them the one under the cursor."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Container
from textual.widgets import Input, Static

from kplug.errors import QueryError
from kplug.plain_text import safe_line
from kplug.runs.direction import CHIEF_METRICS
from kplug.runs.query import insist_known, predicate_of, sorted_by
from kplug.runs.question import fields_in, parse
from kplug_tui.formatting import (
    LIVE,
    age,
    bare,
    duration,
    number,
    progress,
    seconds_left,
    state_cell,
)
from kplug_tui.reader import DetailRead, RunsRead
from kplug_tui.screens.dialogs import Choose
from kplug_tui.screens.run_actions import RunActions
from kplug_tui.stack import on_top
from kplug_tui.widgets.key_bar import KeyBar
from kplug_tui.widgets.run_panel import RunPanel
from kplug_tui.widgets.table import Column, Table
from kplug_tui.widgets.text_line import TextLine
from kplug_tui.widgets.top_bar import TopBar

Summary = Mapping[str, Any]
_WIDE = 112
_TALL = 20
_SECOND = 1.0
_OPERATORS = re.compile(r"[<>=!~()]|\b(and|or|not)\b", re.IGNORECASE)


class RunsScreen(RunActions):
    """All runs in a table, live."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("slash", "filter", "Filter", id="runs.filter"),
        Binding("o", "sort", "Sort", show=False, id="runs.sort"),
        Binding("O", "reverse", "Reverse", show=False, id="runs.reverse"),
        Binding("m", "metric", "Metric", show=False, id="runs.metric"),
        Binding("v", "compare", "Compare", id="runs.compare"),
        Binding("escape", "clear", "Clear", show=False, id="runs.clear"),
    ]
    CSS_PATH = "runs.tcss"

    def __init__(self) -> None:
        super().__init__()
        self._fits: Callable[[Summary], bool] | None = None

    def compose(self) -> ComposeResult:
        """Make the screen."""
        yield TopBar("runs")
        yield TextLine(
            placeholder="words, or a question: val_loss<0.3 and model=vae", id="question", select_on_focus=False
        )
        yield Static("", id="problem", classes="problem", markup=False)
        with Container(id="halves"):
            yield Table(self._columns(), lambda run: run["id"], "No runs yet. Press n to train one.", id="runs")
            yield RunPanel(self._metric_shown(), self.kplug.settings.smoothing)
        yield KeyBar()

    def on_mount(self) -> None:
        """Show what is known already."""
        self._table.focus()
        self.set_interval(_SECOND, self._tick)
        if self.kplug.snapshot is not None:
            self._refill()

    def on_resize(self) -> None:
        """Put the run under the table where there is no room beside it, and nowhere where there is none."""
        self.set_class(self.size.width >= _WIDE, "wide")
        self.set_class(self.size.height < _TALL and self.size.width < _WIDE, "low")

    def on_screen_resume(self) -> None:
        """Show what has happened meanwhile, and go on watching the run under the cursor."""
        self._panel.smoothing = self.kplug.settings.smoothing
        self._refill()
        self._watch(self._table.row)

    @property
    def _table(self) -> Table:
        return self.query_one("#runs", Table)

    @property
    def _panel(self) -> RunPanel:
        return self.query_one(RunPanel)

    def chosen(self) -> Sequence[Summary]:
        """Return the marked runs that are in sight of the question, or the one under the cursor."""
        marked = [row for row in self._table.rows if row["id"] in self._table.marked]
        if marked:
            return marked
        return [self._table.row] if self._table.row is not None else []

    def on_runs_read(self, message: RunsRead) -> None:
        """Show the runs as they are now."""
        self._refill()

    def on_detail_read(self, message: DetailRead) -> None:
        """Show the run under the cursor."""
        row = self._table.row
        if row is not None and message.detail.id == row["id"]:
            self._panel.show(message.detail)

    def on_table_highlighted(self, message: Table.Highlighted) -> None:
        """Look at another run."""
        self._panel.announce(message.row)
        self._watch(message.row)

    def on_table_opened(self, message: Table.Opened) -> None:
        """Show a run on a screen of its own."""
        if message.row is not None:
            self.kplug.open_run(message.row["id"])

    def on_table_header_clicked(self, message: Table.HeaderClicked) -> None:
        """Sort by a column, and the other way round at the second click."""
        by = self._table.sorted_by
        self._sort_by(message.column, bool(by and by[0] == message.column and not by[1]))

    def on_input_changed(self, event: Input.Changed) -> None:
        """Answer the question as it is typed."""
        self._ask(event.value)

    def on_input_submitted(self) -> None:
        """Keep the question and go to the table."""
        self._table.focus()

    def action_filter(self) -> None:
        """Ask which runs to show."""
        question = self.query_one("#question", Input)
        question.add_class("open")
        question.focus()

    def action_clear(self) -> None:
        """Show all runs again, without marks."""
        if self._table.marked and not self.query_one("#question").has_focus:
            self._table.marked.clear()
            self._table.show(self._table.rows)
            self._table.refresh()
            return
        question = self.query_one("#question", Input)
        question.value = ""
        question.remove_class("open")
        self._ask("")
        self._table.focus()

    def action_sort(self) -> None:
        """Choose what to sort by."""
        names = [column.key for column in self._table.columns]
        by = self._table.sorted_by
        self.app.push_screen(
            Choose("Sort by:", names, by[0] if by else None),
            lambda name: None if name is None else self._sort_by(name, name in {"created"}),
        )

    def action_reverse(self) -> None:
        """Sort the other way round."""
        by = self._table.sorted_by or ("created", True)
        self._sort_by(by[0], not by[1])

    def action_metric(self) -> None:
        """Choose the metric that the table shows."""
        snapshot = self.kplug.snapshot
        names = sorted({name for run in (snapshot.runs if snapshot else ()) for name in run["metrics"]})
        if not names:
            self.kplug.warn("No run has a metric yet.")
            return
        self.app.push_screen(Choose("Metric:", names, self.kplug.settings.metric), self._use_metric)

    def action_compare(self) -> None:
        """Show the marked runs side by side."""
        runs = [run["id"] for run in self.chosen()]
        if len(runs) < 2:
            self.kplug.warn("Mark two runs or more with the space bar, then compare them.")
            return
        self.kplug.open_comparison(runs)

    def _use_metric(self, name: str | None) -> None:
        if name is None:
            return
        self.kplug.change_settings(metric=name)
        self._refill()

    def _metric_shown(self) -> str:
        """Return the metric that was chosen; where no run has it, the chief one that some run has."""
        runs = self.kplug.snapshot.runs if self.kplug.snapshot else ()
        chosen = self.kplug.settings.metric
        names = (chosen, *(f"val_{name}" for name in CHIEF_METRICS), *CHIEF_METRICS)
        return next((name for name in names if any(name in run["metrics"] for run in runs)), chosen)

    def _show_metric(self) -> None:
        name = self._metric_shown()
        if self._panel.metric != name:
            self._panel.metric = name
            self._table.set_columns(self._columns())
            self._panel.draw(whole=True)

    def _ask(self, question: str) -> None:
        problem = self.query_one("#problem", Static)
        runs = self.kplug.snapshot.runs if self.kplug.snapshot else ()
        try:
            fits = None
            if question.strip() and not _OPERATORS.search(question):
                fits = _with_words(question)
            elif question.strip():
                parsed = parse(question)
                insist_known(fields_in(parsed), runs)
                fits = predicate_of(parsed)
        except QueryError as error:
            problem.update(safe_line(str(error)))
            problem.add_class("open")
            return
        problem.remove_class("open")
        self._fits = fits
        self._refill()

    def _sort_by(self, column: str, reverse: bool) -> None:
        self._table.sorted_by = None if column == "created" and reverse else (column, reverse)
        self._refill()
        self._table.refresh()

    def _refill(self) -> None:
        snapshot = self.kplug.snapshot
        if snapshot is None:
            return
        self._show_metric()
        rows: Sequence[Summary] = snapshot.runs
        if self._table.marked:
            self._table.marked &= {run["id"] for run in rows}
        if self._fits is not None:
            rows = [run for run in rows if self._fits(run)]
        by = self._table.sorted_by
        if by is not None:
            rows = _sorted(rows, *by)
        self._table.empty = "No runs yet. Press n to train one." if not snapshot.runs else "No run fits the question."
        self._table.show(rows)
        bar = self.query_one(TopBar)
        bar.count(snapshot.runs)
        said = [f"{len(rows)} of {len(snapshot.runs)}"] if self._fits is not None else []
        said += [f"{len(self._table.marked)} marked{self._hidden_marks()}"] if self._table.marked else []
        bar.say(", ".join(said))

    def _hidden_marks(self) -> str:
        """Say how many marks are on runs that the question leaves out: nothing is done to these."""
        hidden = len(self._table.marked - {run["id"] for run in self._table.rows})
        return f", {hidden} not shown" if hidden else ""

    def _tick(self) -> None:
        """Let the ages and the time that is left go on."""
        if on_top(self):
            self._table.show(self._table.rows)

    def _watch(self, row: Summary | None) -> None:
        if on_top(self):
            self.kplug.reader.watch(*([row["id"]] if row is not None else []))

    def _columns(self) -> list[Column]:
        metric = self._metric_shown()
        return [
            Column("state", "STATE", 11, state_cell, priority=0),
            Column("name", "NAME", 12, _name, grow=3, priority=0),
            Column("model", "MODEL", 9, lambda run: bare(run["model"]), grow=1, priority=2),
            Column("dataset", "DATA", 9, lambda run: bare(run["dataset"]), grow=1, priority=3),
            Column(metric, metric.upper()[:12], max(9, min(12, len(metric))), _metric(metric), "right", priority=1),
            Column("progress", "DONE", 4, _progress, "right", priority=4),
            Column("left", "LEFT", 7, lambda run: duration(seconds_left(run)), "right", priority=5),
            Column("device", "DEVICE", 6, _device, priority=7),
            Column("created", "AGE", 4, lambda run: age(run["created"]), "right", priority=6),
        ]


def _sorted(rows: Sequence[Summary], column: str, reverse: bool) -> Sequence[Summary]:
    """Return the runs by what a column shows of them; those for which it shows nothing come last."""
    shown: dict[str, Callable[[Summary], Any]] = {
        "progress": progress,
        "left": seconds_left,
        "device": lambda run: _device(run)[0] or None,
    }
    if column not in shown:
        return sorted_by(rows, f"-{column}" if reverse else column)
    values = [(shown[column](row), row) for row in rows]
    known = [one for one in values if one[0] is not None]
    known.sort(key=lambda one: one[0], reverse=reverse)
    return [row for _, row in known] + [row for value, row in values if value is None]


def _with_words(text: str) -> Callable[[Summary], bool]:
    """Return what finds the runs that have all of these words in their name, id, parts or tags."""
    words = text.casefold().split()

    def fits(run: Summary) -> bool:
        parts = (run["name"], run["id"], run["model"], run["dataset"], run["state"], *run["tags"])
        there = " ".join(str(part) for part in parts if part).casefold()
        return all(word in there for word in words)

    return fits


def _name(run: Summary) -> str:
    """Return a run's name; of one without, the part of its id that no other has, and what it is."""
    tags = f" [{' '.join(run['tags'])}]" if run["tags"] else ""
    rest = run["id"].partition("-")[2].partition("-")[2]
    what, _, mark = rest.rpartition("-")
    return f"{run['name'] or (f'{mark} {what}' if what else run['id'])}{tags}"


def _metric(name: str) -> Callable[[Summary], str]:
    def cell(run: Summary) -> str:
        return number(run["metrics"][name]) if name in run["metrics"] else ""

    return cell


def _progress(run: Summary) -> str:
    share = progress(run)
    return "" if share is None else f"{share:.0%}"


def _device(run: Summary) -> tuple[str, str | None]:
    gpus = ",".join(str(one) for one in run["gpus"])
    return f"gpu:{gpus}" if gpus else ("cpu" if run["state"] in LIVE else str(run["device"] or "")), "muted"
