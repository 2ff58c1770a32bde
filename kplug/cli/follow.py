"""Watching a run from the foreground until it ends."""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Sequence
from typing import Any

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from kplug.errors import KplugError
from kplug.plain_text import safe_line, safe_text
from kplug.runs import MetricRecord, Run
from kplug.runs.direction import chief_first
from kplug.runs.log_file import last_lines
from kplug.runs.records import RecordReader
from kplug.runs.run import ENDED
from kplug.runs.trash import discard

_POLL_SECONDS = 0.1
_SPARKLINE_WIDTH = 24
_BARS = "▁▂▃▄▅▆▇█"
_VALIDATION = "val_"
_LOG_LINES = 15
_EXIT_CODES = {"completed": 0, "stopped": 0}


def follow(run: Run) -> int:
    """Show a run until it ends, and return the exit code: 0 if it completed, was stopped or was left running; else 1.

    Ctrl-C asks whether to stop the run or to leave it running. Where nobody can be asked, it is left running.

    Raises:
        KplugError: If the worker refused the run before training it (data that do not fit the model, say). Its
            directory is removed.
    """
    console = Console()
    progress = Progress(run)
    while True:
        try:
            state = _show_live(progress, console) if console.is_terminal else _show_lines(progress, console)
            break
        except KeyboardInterrupt:
            if not _wants_stop(run, console):
                console.print(Text(f"{run.id} goes on. Watch it: kplug runs log -f {run.id}"))
                return 0
    return _report_end(run, state, console)


class Progress:
    """What is known of a run so far."""

    def __init__(self, run: Run) -> None:
        self.run = run
        self.status: dict[str, Any] = {"state": "starting"}
        self.epochs: list[MetricRecord] = []
        self.last: MetricRecord | None = None
        self._reader = RecordReader(run.directory.metrics)
        self._first: MetricRecord | None = None
        self._told = 0
        self._since = float(run.status.get("resumed") or 0.0)

    def refresh(self) -> list[MetricRecord]:
        """Read what is new, and return the epochs that have ended since the last call."""
        self.status = self.run.status
        restarts = self._reader.restarts
        records = self._reader.read_metrics()
        if self._reader.restarts != restarts:
            self.epochs, self.last, self._first = [], None, None
        for record in records:
            self.last = record
            if record.epoch_end:
                self.epochs.append(record)
            if record.time >= self._since:
                self._first = self._first or record
            else:  # before the run was resumed, which is neither told again nor says how fast it is
                self._told = len(self.epochs)
        # Those that a resumed run has done again were told.
        told, self._told = self._told, max(self._told, len(self.epochs))
        return self.epochs[told:]

    @property
    def state(self) -> str:
        return str(self.status["state"])

    @property
    def total_epochs(self) -> int:
        return self.run.spec.epochs

    @property
    def steps_per_epoch(self) -> int | None:
        return self.status.get("steps_per_epoch")

    @property
    def share(self) -> float:
        """How much of the run is done, from 0 to 1."""
        if self.last is None:
            return 0.0
        if not self.steps_per_epoch:
            return len(self.epochs) / self.total_epochs
        return min(1.0, self.last.step / (self.steps_per_epoch * self.total_epochs))

    @property
    def batches_per_second(self) -> float | None:
        """The mean rate since the first record."""
        if self._first is None or self.last is None or self.last.time <= self._first.time:
            return None
        return (self.last.step - self._first.step) / (self.last.time - self._first.time)

    @property
    def seconds_left(self) -> float | None:
        """The time until the last epoch ends, at the mean rate."""
        rate = self.batches_per_second
        if not rate or not self.steps_per_epoch or self.last is None:
            return None
        return (self.steps_per_epoch * self.total_epochs - self.last.step) / rate


def _show_live(progress: Progress, console: Console) -> str:
    with Live(_picture(progress), console=console, auto_refresh=False, transient=False) as live:
        while True:
            progress.refresh()
            live.update(_picture(progress), refresh=True)
            if progress.state in ENDED:
                return progress.state
            time.sleep(_POLL_SECONDS)


def _show_lines(progress: Progress, console: Console) -> str:
    console.print(Text(f"run {progress.run.id}"))
    resumed = "resumed" in progress.run.status
    while True:
        if resumed and progress.status.get("first_step") is not None:
            console.print(Text(f"resumed at step {progress.status['first_step']}"))
            resumed = False
        for record in progress.refresh():
            rate = progress.batches_per_second
            shown = [f"{name} {value:.6g}" for name, value in record.metrics.items()]
            shown += [f"{rate:.0f} batches/s"] if rate else []
            line = f"epoch {record.epoch + 1}/{progress.total_epochs}  {'  '.join(shown)}"
            console.print(Text(safe_line(line)), soft_wrap=True)
        if progress.state in ENDED:
            return progress.state
        time.sleep(_POLL_SECONDS)


def _picture(progress: Progress) -> RenderableType:
    spec = progress.run.spec
    title = f"{spec.model.name} on {spec.dataset.name}  {progress.run.id}"
    return Group(Text(safe_line(title), style="bold"), _progress_line(progress), _metrics_table(progress))


def _progress_line(progress: Progress) -> RenderableType:
    facts = [progress.status.get("phase") or progress.state]
    before = progress.status.get("waiting_for")
    if before:
        facts.append(f"{progress.status.get('before_it') or len(before)} before it")
    if progress.last is not None:
        facts.append(f"epoch {min(len(progress.epochs) + 1, progress.total_epochs)}/{progress.total_epochs}")
    if progress.batches_per_second:
        facts.append(f"{progress.batches_per_second:.0f} batches/s")
    if progress.seconds_left is not None and progress.state not in ENDED:
        facts.append(f"{_duration(progress.seconds_left)} left")
    line = Table.grid(padding=(0, 1))
    line.add_row(ProgressBar(total=1.0, completed=progress.share, width=40), f"{progress.share:.0%}")
    return Group(line, Text(safe_line(" · ".join(facts))))


def _metrics_table(progress: Progress) -> RenderableType:
    """Show each metric once: training and validation side by side, and how it has gone so far."""
    if not progress.epochs:
        return Text("waiting for the first epoch …", style="dim")
    latest = progress.epochs[-1].metrics
    names = list(dict.fromkeys(name.removeprefix(_VALIDATION) for name in latest))
    table = Table(box=None, padding=(0, 2, 0, 0))
    table.add_column("metric")
    for column in ("training", "validation"):
        table.add_column(column, justify="right")
    table.add_column("by epoch")
    for name in chief_first(names):
        shown = _VALIDATION + name if _VALIDATION + name in latest else name
        table.add_row(
            Text(safe_line(name)),
            *(f"{latest[key]:.5g}" if key in latest else "" for key in (name, _VALIDATION + name)),
            sparkline([record.metrics.get(shown, math.nan) for record in progress.epochs], _SPARKLINE_WIDTH),
        )
    return table


def sparkline(values: Sequence[float], width: int) -> str:
    """Draw values as a line of bars, at most `width` of them; each stands for the mean of its share of the values."""
    count = min(width, len(values))
    means = []
    for index in range(count):
        share = values[index * len(values) // count : (index + 1) * len(values) // count]
        finite = [value for value in share if math.isfinite(value)]
        means.append(sum(finite) / len(finite) if finite else math.nan)
    finite = [value for value in means if math.isfinite(value)]
    if not finite:
        return " " * count
    low, span = min(finite), (max(finite) - min(finite)) or 1.0
    top = len(_BARS) - 1
    return "".join(_BARS[round((value - low) / span * top)] if math.isfinite(value) else " " for value in means)


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def _wants_stop(run: Run, console: Console) -> bool:
    """Ask what Ctrl-C was meant to do, and stop the run if that is the answer."""
    if not sys.stdin.isatty():
        return False
    try:
        answer = console.input("\nStop the run, or leave it running? \\[s]top / \\[l]eave (l): ").strip().lower()
    except (EOFError, KeyboardInterrupt):
        return False
    if not answer.startswith("s"):
        return False
    run.stop()
    console.print("Stopping at the next batch; what it has learned is saved …")
    return True


def _report_end(run: Run, state: str, console: Console) -> int:
    status = run.status
    if status.get("refused"):
        if "first_batch" in status:
            # The model's code was reached: its author needs the traceback.
            console.print(Text(safe_text(run.log()), style="dim"))
        # It never trained a batch, so there is nothing in it to keep.
        discard(run)
        raise KplugError(status["error"])
    if status.get("error"):
        console.print(Text(safe_line(f"error: {status['error']}"), style="red"))
    if state in {"failed", "lost"}:
        lines = last_lines(run.directory.log, _LOG_LINES)
        console.print(Text("\n".join(safe_line(line) for line in lines), style="dim"))
    for event in run.events():
        if event.get("event") == "warning":
            console.print(Text(safe_line(f"warning: {event.get('message')}")), soft_wrap=True)
    if status.get("artifact_error"):
        console.print(Text(safe_line(f"warning: not every artifact could be drawn: {status['artifact_error']}")))
    if status.get("evaluation_error"):
        console.print(Text(safe_line(f"warning: the test split could not be evaluated: {status['evaluation_error']}")))
    if status.get("test_metrics"):
        shown = "  ".join(f"{name} {value:.6g}" for name, value in status["test_metrics"].items())
        console.print(Text(safe_line(f"test  {shown}")), soft_wrap=True)
    console.print(Text(f"{run.id}: {state}"))
    for path in run.artifacts():
        console.print(Text(f"  {safe_line(str(path))}"), soft_wrap=True)
    return _EXIT_CODES.get(state, 1)
