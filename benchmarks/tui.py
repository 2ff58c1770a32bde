"""The terminal on a pseudo-terminal: how soon it is there, how it keeps up, what it sends.

    python benchmarks/tui.py

- first paint with 10,000 runs, beside a bare Textual app in turns;
- ten runs that write a hundred records a second each: how late the event loop is, what share of a core the app takes,
  how much it sends to the terminal;
- a run of a million points: from opening it until its curve is drawn, and to draw the curve again;
- a terminal that takes 8 KiB a second, in low-bandwidth mode with ten live runs: until the first screen, a run and each
  of its pages stand there whole, and what live curves send.
"""

from __future__ import annotations

import argparse
import contextlib
import fcntl
import json
import os
import pty
import select
import signal
import statistics
import struct
import subprocess
import sys
import tempfile
import termios
import time
from pathlib import Path
from typing import Any

from record import machine, print_table, write_result
from runs import make_runs

from kplug.runs.directory import create_run_directory, write_atomically
from kplug.runs.process import identity
from kplug.runs.records import MetricRecord, RecordWriter
from kplug.runs.spec import spec_from

SIZE = (40, 120)
BARE = """
from textual.app import App
from textual.widgets import Static


class Bare(App):
    def compose(self):
        yield Static("READY")


Bare().run()
"""
WITH_LAG = """
import asyncio, json, os, sys, time
from pathlib import Path
from kplug_tui.app import KplugApp

class Measured(KplugApp):
    def on_mount(self):
        self.lags = []
        self.run_worker(self._measure())

    async def _measure(self):
        await asyncio.sleep(3)
        begun, used = time.monotonic(), time.process_time()
        while time.monotonic() - begun < {seconds}:
            due = time.monotonic() + 0.01
            await asyncio.sleep(0.01)
            self.lags.append(time.monotonic() - due)
        core = (time.process_time() - used) / (time.monotonic() - begun)
        Path(sys.argv[2]).write_text(json.dumps({{"lags": self.lags, "core": core}}))
        self.exit()

Measured(Path(sys.argv[1])).run()
"""


class Terminal:
    """A program on a pseudo-terminal, and what it sends there.

    Args:
        command: The program and its arguments.
        home: Its `KPLUG_HOME`.
        bytes_per_second: How fast the terminal takes what it is sent; as fast as it comes by default.
    """

    def __init__(self, command: list[str], home: Path, bytes_per_second: int | None = None) -> None:
        self.begun = time.perf_counter()
        self.sent = b""
        self._rate = bytes_per_second
        self.pid, self._fd = pty.fork()
        if self.pid == 0:
            os.environ.update(KPLUG_HOME=str(home), TERM="xterm-256color", COLORTERM="truecolor")
            os.execvp(command[0], command)
        fcntl.ioctl(self._fd, termios.TIOCSWINSZ, struct.pack("HHHH", *SIZE, 0, 0))

    def read_until(self, marker: bytes | None, seconds: float, start: int = 0) -> float | None:
        """Take what is sent until a marker is in it, and return the seconds since the program was started."""
        deadline = time.perf_counter() + seconds
        while time.perf_counter() < deadline:
            if not self._take():
                return None
            if marker is not None and marker in self.sent[start:]:
                return time.perf_counter() - self.begun
        return None

    def read_until_quiet(self, pause: float = 0.3, seconds: float = 30.0) -> float:
        """Take what is sent until nothing comes for a while, and return the seconds until the last of it."""
        begun = last = time.perf_counter()
        while time.perf_counter() - begun < seconds and (last == begun or time.perf_counter() - last < pause):
            before = len(self.sent)
            self._take()
            if len(self.sent) > before:
                last = time.perf_counter()
        return last - begun

    def type(self, keys: bytes) -> None:
        """Send keys."""
        os.write(self._fd, keys)

    def end(self) -> None:
        """End the program."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)
        os.close(self._fd)

    def _take(self) -> bool:
        ready, _, _ = select.select([self._fd], [], [], 0.02)
        if not ready:
            return True
        size = 65536 if self._rate is None else max(1, self._rate // 50)
        try:
            self.sent += os.read(self._fd, size)
        except OSError:
            return False
        if self._rate is not None:
            time.sleep(size / self._rate)
        return True


def main() -> None:
    """Measure, print and write the result."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--rounds", type=int, default=9)
    arguments.add_argument("--runs", type=int, default=10_000)
    arguments.add_argument("--seconds", type=float, default=20.0)
    arguments.add_argument("--points", type=int, default=1_000_000)
    chosen = arguments.parse_args()
    where = machine()
    with tempfile.TemporaryDirectory(prefix="kplug-tui-") as folder:
        home = Path(folder)
        figures: dict[str, Any] = {"first_paint": first_paint(home, chosen.runs, chosen.rounds)}
        figures["ten_runs"] = ten_runs(home / "live", chosen.seconds)
        figures["curve"] = long_curve(home / "long", chosen.points)
        figures["thin_terminal"] = thin_terminal(home / "thin")
    print_table(
        [
            {"figure": figure, "value": value, "target": target}
            for figure, value, target in (
                ("first paint, median", f"{figures['first_paint']['kplug']['median'] * 1000:.0f} ms", "400 ms"),
                ("bare Textual, median", f"{figures['first_paint']['bare']['median'] * 1000:.0f} ms", ""),
                ("event loop late, p99", f"{figures['ten_runs']['lag_p99'] * 1000:.1f} ms", "35 ms"),
                ("share of a core", f"{figures['ten_runs']['core']:.1%}", "25 %"),
                ("sent to the terminal", f"{figures['ten_runs']['bytes_per_second'] / 1024:.1f} KiB/s", "40 KiB/s"),
                ("curve of a million, cold", f"{figures['curve']['cold']:.2f} s", "1 s"),
                ("the same from the cache", f"{figures['curve']['from_cache']:.2f} s", ""),
                ("drawn again", f"{figures['curve']['redraw'] * 1000:.1f} ms", "20 ms"),
                ("first screen on 8 KiB/s", f"{figures['thin_terminal']['first_screen']:.1f} s", ""),
                ("a page on 8 KiB/s, slowest", f"{slowest(figures['thin_terminal']):.1f} s", ""),
                (
                    "live curves there",
                    f"{figures['thin_terminal']['live_bytes_per_second'] / 1024:.1f} KiB/s",
                    "8 KiB/s",
                ),
            )
        ]
    )
    write_result("tui", figures, where, vars(chosen))


def slowest(seconds: dict[str, float]) -> float:
    """Return how long the slowest page took."""
    return max(seconds[page] for page in ("run", "log", "configuration", "events", "charts"))


def first_paint(home: Path, count: int, rounds: int) -> dict[str, Any]:
    """Measure until a run is on the screen, in turns with a bare app."""
    make_runs(home / "runs", count)
    subprocess.run(
        [sys.executable, "-m", "kplug.cli.app", "runs", "list", "--limit", "1"],
        check=True,
        capture_output=True,
        env={**os.environ, "KPLUG_HOME": str(home)},
    )
    commands = {"bare": [sys.executable, "-c", BARE], "kplug": ["kplug", "tui"]}
    markers = {"bare": b"READY", "kplug": b"completed"}
    seconds: dict[str, list[float]] = {name: [] for name in commands}
    for _ in range(rounds):
        for name, command in commands.items():
            terminal = Terminal(command, home)
            seen = terminal.read_until(markers[name], 20.0)
            terminal.end()
            if seen is None:
                raise SystemExit(f"{name} showed nothing: {terminal.sent[-500:]!r}")
            seconds[name].append(seen)
    return {name: {"least": min(each), "median": statistics.median(each)} for name, each in seconds.items()}


WRITER = """
import json, sys, time
sys.path.insert(0, sys.argv[3])
from pathlib import Path
from tui import start_run, beat
from kplug.runs.records import MetricRecord, RecordWriter

runs = [start_run(Path(sys.argv[1]), number) for number in range(10)]
writers = [RecordWriter(run.metrics) for run in runs]
step, begun = 0, time.monotonic()
while time.monotonic() - begun < float(sys.argv[2]):
    step += 1
    for place, writer in enumerate(writers):
        metrics = {"loss": 3.0 / step + place, "accuracy": 0.5}
        writer.write_metrics(MetricRecord(step, step // 100, time.time(), metrics))
        if step % 100 == 0:
            ended = {"loss": 3.0 / step, "val_loss": 4.0 / step, "accuracy": 0.5}
            writer.write_metrics(MetricRecord(step, step // 100, time.time(), ended, epoch_end=True))
            beat(runs[place], step)
    time.sleep(max(0.0, begun + step / 100 - time.monotonic()))
"""


def start_run(root: Path, number: int) -> Any:
    """Make a run of this process."""
    spec = spec_from({"model": "kplug/vae", "dataset": "kplug/digits", "epochs": 1000, "name": f"run {number}"})
    directory = create_run_directory(root, spec, {})
    beat(directory, 0)
    return directory


def beat(directory: Any, step: int) -> None:
    """Write a run's status, as its worker does every second."""
    now = time.time()
    status = {"state": "running", "created": now, "first_batch": now - step / 100, "heartbeat": now, **identity()}
    status |= {"step": step, "epoch": step // 100, "epochs": 1000, "steps_per_epoch": 100}
    write_atomically(directory.status, json.dumps(status))


def ten_runs(home: Path, seconds: float) -> dict[str, Any]:
    """Measure the app while ten runs write."""
    root, answer = home / "runs", home / "answer.json"
    root.mkdir(parents=True)
    here = str(Path(__file__).parent)
    writer = subprocess.Popen([sys.executable, "-c", WRITER, str(root), str(seconds + 20), here])
    time.sleep(3.0)
    terminal = Terminal([sys.executable, "-c", WITH_LAG.format(seconds=seconds), str(root), str(answer)], home)
    terminal.read_until(None, 4.0)
    before, since = len(terminal.sent), time.perf_counter()
    terminal.read_until(None, seconds - 2.0)
    rate = (len(terminal.sent) - before) / (time.perf_counter() - since)
    terminal.read_until(None, 8.0)
    terminal.end()
    writer.kill()
    writer.wait()
    seen = json.loads(answer.read_text())
    lags = sorted(seen["lags"])
    return {
        "lag_median": lags[len(lags) // 2],
        "lag_p99": lags[int(len(lags) * 0.99)],
        "lag_most": lags[-1],
        "core": seen["core"],
        "bytes_per_second": rate,
    }


def long_curve(home: Path, points: int) -> dict[str, Any]:
    """Measure until a long curve is drawn, from nothing and from the cache, and how long it takes to draw it again."""
    root = home / "runs"
    directory = start_run(root, 0)
    writer = RecordWriter(directory.metrics)
    for step in range(1, points + 1):
        writer.write_metrics(MetricRecord(step, step // 1000, step / 10, {"loss": 1.0 + 1.0 / step}))
    writer.close()
    short = create_run_directory(home / "short", spec_from({"model": "kplug/vae", "dataset": "kplug/digits"}), {})
    # Of two runs the newest is looked at first: the long one is opened from nothing.
    short.path.rename(root / "29990101-000000-short")
    code = """
import asyncio, json, sys, time
from pathlib import Path
from kplug_tui.app import KplugApp
from kplug_tui.widgets.chart import Chart

async def main():
    app = KplugApp(Path(sys.argv[1]))
    async with app.run_test(size=(120, 40)) as pilot:
        while app.snapshot is None or len(app.snapshot.runs) < 2:
            await asyncio.sleep(0.01)
        await asyncio.sleep(1.0)
        begun = time.perf_counter()
        app.open_run(sys.argv[2])
        while not any(chart.curves and chart._drawn for chart in app.screen.query(Chart)):
            await asyncio.sleep(0.005)
        shown = time.perf_counter() - begun
        chart = app.screen.query(Chart).first()
        redraws = []
        for _ in range(20):
            chart._stale = True
            begun = time.perf_counter()
            chart.render_line(0)
            redraws.append(time.perf_counter() - begun)
    print(json.dumps({"shown": shown, "redraw": sorted(redraws)[10]}))

asyncio.run(main())
"""
    answers = []
    for _ in range(2):
        command = [sys.executable, "-c", code, str(root), directory.id]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        answers.append(json.loads(done.stdout.strip().splitlines()[-1]))
    return {
        "cold": answers[0]["shown"],
        "from_cache": answers[1]["shown"],
        "redraw": statistics.median(one["redraw"] for one in answers),
    }


def thin_terminal(home: Path) -> dict[str, Any]:
    """Measure how soon what was asked for stands whole on a terminal that takes 8 KiB a second, among live runs."""
    root, settings = home / "runs", home / "settings" / "tui.toml"
    for folder in (root, settings.parent):
        folder.mkdir(parents=True)
    settings.write_text("low_bandwidth = true\n")
    writer = subprocess.Popen([sys.executable, "-c", WRITER, str(root), "120", str(Path(__file__).parent)])
    time.sleep(3.0)
    terminal = Terminal(["kplug", "tui"], home, bytes_per_second=8192)
    figures = {"first_screen": terminal.read_until_quiet()}
    pages = {"run": b"\r", "log": b"6", "configuration": b"8", "events": b"9", "charts": b"4"}
    for page, key in pages.items():
        terminal.read_until(None, 2.0)
        terminal.type(key)
        figures[page] = terminal.read_until_quiet()
    before, begun = len(terminal.sent), time.perf_counter()
    terminal.read_until(None, 20.0)
    figures["live_bytes_per_second"] = (len(terminal.sent) - before) / (time.perf_counter() - begun)
    terminal.end()
    writer.kill()
    writer.wait()
    return figures


if __name__ == "__main__":
    main()
