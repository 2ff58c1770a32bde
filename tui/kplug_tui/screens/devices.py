"""The machine, live: processors, memory, GPUs, and the runs that use them."""

from __future__ import annotations

import contextlib
import threading
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

from rich.cells import set_cell_size
from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.message import Message
from textual.timer import Timer
from textual.widgets import Static

from kplug.plain_text import safe_line
from kplug.runs.devices import Gpu
from kplug_tui.formatting import LIVE, duration, number, progress, seconds_left, size, state_cell
from kplug_tui.machine import Machine, MachineReader, RunProcess
from kplug_tui.reader import RunsRead
from kplug_tui.screens.run_actions import RunActions
from kplug_tui.stack import on_top
from kplug_tui.widgets.key_bar import KeyBar
from kplug_tui.widgets.table import Column, Table
from kplug_tui.widgets.top_bar import TopBar

Summary = Mapping[str, Any]
_SECOND = 1.0
_SLOW_SECONDS = 5.0
_HISTORY = 300
_BLOCKS = " ▁▂▃▄▅▆▇█"
_EIGHTHS = " ▏▎▍▌▋▊▉█"
_NAME_WIDTH = 22
_FACTS_WIDTH = 33
_NO_GPU = "No GPU that NVIDIA's driver shows: runs train on the processor."


class Sampled(Message, bubble=False):
    """The machine was looked at."""

    def __init__(self, machine: Machine) -> None:
        super().__init__()
        self.machine = machine


class NotSampled(Message, bubble=False):
    """The machine could not be looked at."""

    def __init__(self, problem: str) -> None:
        super().__init__()
        self.problem = problem


class DevicesScreen(RunActions):
    """Processors, memory and GPUs, live, with the runs that use them."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("p", "cores", "Each processor", id="devices.cores"),
        # What can be done to runs can be done here too.
        Binding("x", "export", "Export", show=False, id="runs.export"),
    ]
    CSS_PATH = Path(__file__).with_name("devices.tcss")

    def __init__(self) -> None:
        super().__init__()
        self._reader: MachineReader | None = None
        self._machine: Machine | None = None
        self._history: dict[str, deque[float]] = {}
        self._all_cores = False
        self._sampling = threading.Lock()
        self._timer: Timer | None = None
        self._problem = ""

    def compose(self) -> ComposeResult:
        """Make the screen."""
        yield TopBar("devices")
        with VerticalScroll(id="machine", can_focus=False):
            yield Static("Looking at the machine …", id="lines", markup=False)
        yield Table(self._columns(), lambda run: run["id"], "No run goes on.", id="runs")
        yield KeyBar()

    def on_mount(self) -> None:
        """Show what is known already."""
        self._reader = MachineReader(self.kplug.reader.root)
        self.query_one(Table).focus()
        self._refill()

    def on_screen_resume(self) -> None:
        """Look at the machine while it is shown, and at once."""
        self.kplug.reader.watch()
        if self._timer is not None:
            self._timer.stop()
        self._timer = self.set_interval(_SLOW_SECONDS if self.kplug.settings.low_bandwidth else _SECOND, self._sample)
        self._refill()
        self._sample()

    def on_screen_suspend(self) -> None:
        """Look no more at what is not shown."""
        if self._timer is not None:
            self._timer.stop()
            self._timer = None

    def on_resize(self) -> None:
        """Draw for the new width."""
        self.call_after_refresh(self._draw)

    def chosen(self) -> Sequence[Summary]:
        """Return the run under the cursor."""
        row = self.query_one(Table).row
        return [] if row is None else [row]

    def on_runs_read(self, message: RunsRead) -> None:
        """Show the runs that go on now."""
        self._refill()

    def on_not_sampled(self, message: NotSampled) -> None:
        """Say, once, why the machine cannot be looked at."""
        if message.problem != self._problem:
            self._problem = message.problem
            self.kplug.problem(message.problem)

    def on_sampled(self, message: Sampled) -> None:
        """Show the machine as it is now."""
        machine = message.machine
        self._machine = machine
        self._remember("cpu", machine.cpu_percent)
        if machine.memory_bytes:
            self._remember("memory", 100.0 * machine.used_bytes / machine.memory_bytes)
        for gpu in machine.gpus:
            self._remember(gpu.uuid, gpu.utilization_percent)
        self._draw()
        self._refill()

    def on_table_opened(self, message: Table.Opened) -> None:
        """Show a run on a screen of its own."""
        if message.row is not None:
            self.kplug.open_run(message.row["id"])

    def action_cores(self) -> None:
        """Show each processor by itself, or all together."""
        self._all_cores = not self._all_cores
        self._draw()

    def _sample(self) -> None:
        """Look at the machine in a thread; a look that takes long is not joined by another."""
        if not on_top(self) or not self._sampling.acquire(blocking=False):
            return
        run_ids = [run["id"] for run in self._live()]

        def look() -> None:
            message: Message
            try:
                assert self._reader is not None
                message = Sampled(self._reader.read(run_ids))
            except Exception as error:  # noqa: BLE001 - whatever it is, the person is told and the next look is taken
                message = NotSampled(f"{type(error).__name__}: {error}")
            finally:
                self._sampling.release()
            with contextlib.suppress(RuntimeError):  # the app has just ended
                self.post_message(message)

        threading.Thread(target=look, name="kplug-machine", daemon=True).start()

    def _remember(self, device: str, percent: float | None) -> None:
        if percent is not None:
            self._history.setdefault(device, deque(maxlen=_HISTORY)).append(percent)

    def _live(self) -> list[Summary]:
        snapshot = self.kplug.snapshot
        return [run for run in snapshot.runs if run["state"] in LIVE] if snapshot is not None else []

    def _refill(self) -> None:
        if not self.query(Table):
            return  # the app has just been left
        snapshot = self.kplug.snapshot
        live = self._live()
        self.query_one(TopBar).count(snapshot.runs if snapshot is not None else ())
        processes = self._machine.processes if self._machine is not None else {}
        self.query_one(Table).show([{**run, "process": processes.get(run["id"], RunProcess())} for run in live])

    def _draw(self) -> None:
        machine = self._machine
        if machine is None or not self.query("#lines"):
            return  # nothing was seen yet, or the app has just been left
        width = max(10, self.query_one("#machine").size.width - 1)
        lines = [self._cpu_line(machine, width)]
        if self._all_cores:
            lines += [Text(line) for line in _core_lines(machine.cores, width)]
        lines.append(self._memory_line(machine, width))
        lines += [self._gpu_line(gpu, self._users_of(gpu), width) for gpu in machine.gpus]
        if not machine.gpus:
            lines.append(Text(_NO_GPU))
        self.query_one("#lines", Static).update(Text("\n", no_wrap=True).join(lines))

    def _cpu_line(self, machine: Machine, width: int) -> Text:
        load = "load " + " ".join(f"{one:.1f}" for one in machine.load) if machine.load else ""
        return self._line("cpu", f"CPU  {len(machine.cores) or '?'} threads", machine.cpu_percent, load, width)

    def _memory_line(self, machine: Machine, width: int) -> Text:
        share = 100.0 * machine.used_bytes / machine.memory_bytes if machine.memory_bytes else None
        facts = f"{size(machine.used_bytes)} of {size(machine.memory_bytes)}"
        return self._line("memory", "Memory", share, facts, width)

    def _gpu_line(self, gpu: Gpu, users: Sequence[str], width: int) -> Text:
        memory = f"{_gib(gpu.used_bytes)}/{_gib(gpu.memory_bytes)} GiB" if gpu.memory_bytes else ""
        power = "" if gpu.power_watts is None else f"{gpu.power_watts:.0f} W"
        heat = "" if gpu.temperature_celsius is None else f"{gpu.temperature_celsius} °C"
        facts = "  ".join(part for part in (memory, power, heat) if part)
        name = gpu.name.removeprefix("NVIDIA ")
        line = self._line(gpu.uuid, f"gpu:{gpu.index}  {name}", gpu.utilization_percent, facts, width)
        if users:
            line.append(f"\n       used by {', '.join(map(safe_line, users))}")
        return line

    def _line(self, device: str, name: str, percent: float | None, facts: str, width: int) -> Text:
        """Return a device's line: name, share, a bar of it, facts, and its history where there is room."""
        line = Text(no_wrap=True, overflow="ellipsis")
        line.append(set_cell_size(safe_line(name), _NAME_WIDTH), "bold")
        line.append(" " + ("  ?" if percent is None else f"{percent:3.0f}") + " % ")
        room = width - _NAME_WIDTH - 7 - _FACTS_WIDTH
        if room < 4:
            line.append(facts)
            return line
        bar = min(20, max(4, room // 3))
        line.append(_bar(percent or 0.0, bar))
        line.append("  " + set_cell_size(facts, _FACTS_WIDTH - 2))
        rest = room - bar - 1
        if rest >= 5:
            line.append(" " + sparkline(self._history.get(device, ()), rest))
        return line

    def _users_of(self, gpu: Gpu) -> list[str]:
        processes = self._machine.processes if self._machine is not None else {}
        return [
            str(run["name"] or run["id"])
            for run in self._live()
            if gpu.uuid in processes.get(run["id"], RunProcess()).gpus
        ]

    def _columns(self) -> list[Column]:
        return [
            Column("state", "STATE", 10, state_cell, priority=0),
            Column("name", "RUN", 12, lambda run: str(run["name"] or run["id"]), grow=3, priority=0),
            Column("device", "DEVICE", 8, _device, grow=1, priority=1),
            Column("cpu", "CPU %", 6, _of_process(lambda one: number(one.cpu_percent), "cpu_percent"), "right", 0, 2),
            Column("memory", "MEMORY", 9, _of_process(lambda one: size(one.memory_bytes), "memory_bytes"), "right"),
            Column("pid", "PID", 8, _of_process(lambda one: str(one.pid), "pid"), "right", priority=4),
            Column("done", "DONE", 4, _done, "right", priority=3),
            Column("left", "LEFT", 7, lambda run: duration(seconds_left(run)), "right", priority=5),
        ]


def sparkline(values: Iterable[float], width: int) -> str:
    """Return the last values, from 0 to 100, one a character, the newest to the right."""
    shown = list(values)[-width:]
    return "".join(_BLOCKS[round(min(100.0, max(0.0, value)) / 100 * 8)] for value in shown).rjust(width)


def _bar(percent: float, width: int) -> str:
    eighths = round(min(100.0, max(0.0, percent)) / 100 * width * 8)
    full, rest = divmod(eighths, 8)
    return ("█" * full + (_EIGHTHS[rest] if rest else "")).ljust(width, "░")


def _core_lines(cores: Sequence[float], width: int) -> list[str]:
    """Return a line for every few processors, each with its share."""
    cells = [f"{place:4} {_bar(one, 5)} {one:3.0f} %" for place, one in enumerate(cores)]
    in_a_line = max(1, (width + 2) // 18)
    return ["  ".join(cells[start : start + in_a_line]) for start in range(0, len(cells), in_a_line)]


def _gib(count: int | None) -> str:
    return "?" if count is None else f"{count / 2**30:.1f}"


def _device(run: Summary) -> tuple[str, str | None]:
    if run["process"].host is not None:
        return f"on {run['process'].host}", "muted"
    gpus = ",".join(str(one) for one in run["gpus"])
    return f"gpu:{gpus}" if gpus else "cpu", "muted"


def _of_process(cell: Callable[[RunProcess], str], attribute: str) -> Callable[[Summary], str]:
    return lambda run: "" if getattr(run["process"], attribute) is None else cell(run["process"])


def _done(run: Summary) -> str:
    share = progress(run)
    return "" if share is None else f"{share:.0%}"
