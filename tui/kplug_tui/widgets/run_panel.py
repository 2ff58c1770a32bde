"""The highlighted run beside the table: its chart, metrics, parameters, devices, and the end of its log."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

from rich.text import Text
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.widgets import Static

from kplug.plain_text import safe_line
from kplug.runs.direction import chief_first
from kplug_tui.detail import RunDetail
from kplug_tui.formatting import LIVE, bare, done_bar, duration, number, progress, seconds_left, size, state_sign
from kplug_tui.widgets.chart import Chart

_LOG_LINES = 40
_BAR = 16


class RunPanel(Vertical):
    """What there is to know of a run at a glance.

    Args:
        metric: The metric that is drawn, with or without `val_`.
        smoothing: How much its curve is smoothed.
    """

    DEFAULT_CSS = """
    RunPanel { padding: 0 1; }
    RunPanel Static { text-wrap: nowrap; text-overflow: ellipsis; }
    RunPanel #head { height: auto; max-height: 3; }
    RunPanel #facts { height: auto; max-height: 50%; }
    RunPanel #log { height: auto; max-height: 6; color: $secondary; }
    RunPanel Chart { min-height: 4; }
    """

    def __init__(self, metric: str, smoothing: float) -> None:
        super().__init__()
        self.metric = metric
        self.smoothing = smoothing
        self._detail: RunDetail | None = None

    def compose(self) -> ComposeResult:
        """Make the parts."""
        yield Static("", id="head", markup=False)
        yield Chart(id="curve", empty="no metrics yet")
        yield Static("", id="facts", markup=False)
        yield Static("", id="log", markup=False)

    @property
    def run_id(self) -> str | None:
        """The run that is shown."""
        return None if self._detail is None else self._detail.id

    def announce(self, summary: Mapping[str, Any] | None) -> None:
        """Show what a table knows of a run, until its details arrive."""
        if summary is not None and self.run_id == summary["id"]:
            return
        self._detail = None
        self.query_one("#head", Static).update(_head(summary) if summary else Text(""))
        self.query_one("#facts", Static).update("")
        self.query_one("#log", Static).update("")
        self.query_one(Chart).show((), title="")

    def show(self, detail: RunDetail) -> None:
        """Show a run."""
        another = self.run_id != detail.id
        self._detail = detail
        self.query_one("#head", Static).update(_head(detail.summary))
        self.draw(whole=another)
        self.query_one("#facts", Static).update(_facts(detail))
        lines = [line for line in detail.log.splitlines()[-_LOG_LINES:] if line.strip()]
        room = max(1, min(6, self.size.height // 6))
        self.query_one("#log", Static).update(Text("\n".join(safe_line(line) for line in lines[-room:]), no_wrap=True))

    def draw(self, whole: bool = False) -> None:
        """Draw the chart anew: another metric, or another smoothing."""
        from kplug_tui.curves import metric_curves, metric_groups

        detail, chart = self._detail, self.query_one(Chart)
        if detail is None or detail.metrics is None:
            chart.show(())
            return
        groups = metric_groups(detail.metrics.metrics)
        wanted = self.metric.removeprefix("val_")
        group = wanted if wanted in groups else (groups[0] if groups else "")
        if whole:
            chart.show_whole()
        if group:
            make = partial(metric_curves, detail.metrics, group, "step", self.smoothing)
            chart.show_made(make, len(detail.metrics.steps))
        else:
            chart.show(())


def _head(summary: Mapping[str, Any]) -> Text:
    state = str(summary["state"])
    text = Text(f"{state_sign(state)} {state}", style="bold", no_wrap=True, overflow="ellipsis")
    share = progress(summary)
    if share is not None and state in LIVE:
        text.append("  ").append_text(done_bar(share, _BAR)).append(f" {share:.0%}")
        left = duration(seconds_left(summary))
        text.append(f"  {left} left" if left else "")
    text.append(f"  {safe_line(str(summary['name'] or ''))}")
    text.append(f"\n{safe_line(summary['id'])}", "dim")
    if summary.get("error"):
        text.append(f"\n{safe_line(str(summary['error']))}", "bold")
    return text


def _facts(detail: RunDetail) -> Text:
    summary = detail.summary
    text = Text(no_wrap=True, overflow="ellipsis")
    metrics = summary["metrics"]
    names = list(dict.fromkeys(name.removeprefix("val_") for name in metrics))
    for name in chief_first(names)[:6]:
        text.append(f"{safe_line(name)[:24]:24} ", "dim")
        text.append(f"{number(metrics[name]) if name in metrics else '':>9}")
        validation = f"val_{name}"
        text.append(f"  val {number(metrics[validation])}" if validation in metrics else "")
        text.append("\n")
    shown = ", ".join(f"{name}={value}" for name, value in summary["parameters"].items())
    text.append(f"{bare(summary['model'])} on {bare(summary['dataset'])}")
    asked = f", batch {summary['batch_size']}, seed {summary['seed']}, {summary['backend']}"
    text.append(f"{safe_line(asked)}\n", "dim")
    if shown:
        text.append(f"{safe_line(shown)}\n", "dim")
    if detail.samples and detail.state in LIVE:
        text.append(f"{_devices(detail.samples[-1])}\n", "dim")
    if summary["note"]:
        text.append(f"“{safe_line(str(summary['note']))}”\n", "italic")
    text.rstrip()
    return text


def _devices(sample: Mapping[str, Any]) -> str:
    parts = [f"CPU {number(sample.get('cpu_percent'))} %", size(sample.get("memory_bytes"))]
    for place, gpu in enumerate(sample.get("gpus") or ()):
        if isinstance(gpu, Mapping):
            parts.append(f"GPU {place} {number(gpu.get('utilization_percent'))} % {size(gpu.get('memory_bytes'))}")
    return "  ".join(part for part in parts if part)
