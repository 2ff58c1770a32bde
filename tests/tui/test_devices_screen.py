"""The machine on the screen, live, with the runs that use it."""

import json
import os
import time

import pytest
from textual.widgets import Static

from kplug.runs.devices import Gpu
from kplug.runs.directory import write_atomically
from kplug_tui import machine
from kplug_tui.app import KplugApp
from kplug_tui.machine import MachineReader
from kplug_tui.screens.devices import DevicesScreen, sparkline
from kplug_tui.settings import Settings
from kplug_tui.widgets.table import Table

pytestmark = pytest.mark.neutral

GIB = 2**30
TWO = [
    Gpu(0, "GPU-a", "NVIDIA [b]H200[/b]", 140 * GIB, 35 * GIB, 87, 512.4, 61),
    Gpu(1, "GPU-b", "NVIDIA H200", 140 * GIB, None, None, None, None),
]


@pytest.fixture
def app(home, tmp_path):
    return KplugApp(tmp_path / "runs", Settings())


@pytest.fixture
def two_gpus(monkeypatch):
    monkeypatch.setattr(machine, "gpus", lambda: TWO)


@pytest.fixture
def no_gpus(monkeypatch):
    monkeypatch.setattr(machine, "gpus", list)


@pytest.fixture
def shown(app, drive, until):
    def begin(steps, size=(100, 30)):
        async def all_steps():
            async with app.run_test(size=size) as pilot:
                await until(pilot, lambda: app.snapshot is not None)
                await pilot.press("3")
                await until(pilot, lambda: app.screen.query("#lines") and "Memory" in lines(app))
                await steps(pilot)

        drive(all_steps)

    return begin


def lines(app):
    return getattr(app.screen.query_one("#lines", Static).content, "plain", "")


def table(app):
    return app.screen.query_one(Table)


def set_gpus(directory, *uuids):
    status = json.loads(directory.status.read_text())
    gpus = [{"index": place, "uuid": uuid, "name": "x"} for place, uuid in enumerate(uuids)]
    write_atomically(directory.status, json.dumps({**status, "gpus": gpus}))


def test_processors_and_memory_are_shown_and_that_there_is_no_gpu(app, no_gpus, shown, until):
    async def steps(pilot):
        assert f"{os.cpu_count()} threads" in lines(app) or "? threads" in lines(app)
        assert "GiB of" in lines(app)
        assert "No GPU" in lines(app)
        await until(pilot, lambda: f"{os.cpu_count()} threads" in lines(app))
        before = lines(app).count("\n")
        await pilot.press("p")
        assert lines(app).count("\n") > before

    shown(steps)


def test_a_machine_that_cannot_be_looked_at_is_said_once_and_looked_at_again(app, no_gpus, shown, until, monkeypatch):
    async def steps(pilot):
        looks = []

        def fails(reader, run_ids):
            looks.append(run_ids)
            raise ValueError("[b]no sensors[/b]")

        monkeypatch.setattr(MachineReader, "read", fails)
        for count in (1, 2, 3):
            app.screen._sample()
            await until(pilot, lambda count=count: len(looks) >= count)
        await until(pilot, lambda: app._notifications)
        assert [one.message for one in app._notifications] == ["ValueError: [b]no sensors[/b]"]

    shown(steps)


def test_gpus_are_shown_with_the_runs_that_use_them(app, two_gpus, make_run, shown, until):
    set_gpus(make_run("running", name="[i]mine[/i]"), "GPU-a")
    make_run("completed", name="over")

    async def steps(pilot):
        await until(pilot, lambda: "used by [i]mine[/i]" in lines(app))
        first = next(line for line in lines(app).splitlines() if line.startswith("gpu:0"))
        for expected in ("[b]H200[/b]", "87 %", "35.0/140.0 GiB", "512 W", "61 °C"):
            assert expected in first
        second = next(line for line in lines(app).splitlines() if line.startswith("gpu:1"))
        assert "?/140.0 GiB" in second
        assert [row["name"] for row in table(app).rows] == ["[i]mine[/i]"]
        assert "gpu:0" in table(app).render_line(1).text

    shown(steps)


def test_a_run_has_its_process_with_memory_and_share(app, no_gpus, make_run, shown, until):
    make_run("running", name="mine")

    async def steps(pilot):
        await until(pilot, lambda: table(app).rows[0]["process"].cpu_percent is not None)
        row = table(app).rows[0]
        assert row["process"].pid == os.getpid()
        assert row["process"].memory_bytes > 1e6
        assert str(os.getpid()) in table(app).render_line(1).text

    shown(steps)


def test_a_run_is_opened_and_stopped_from_here(app, no_gpus, make_run, shown, until, monkeypatch):
    opened = []
    monkeypatch.setattr(app, "open_run", opened.append)
    run = make_run("running", name="mine")
    monkeypatch.setattr("kplug.runs.run.request_stop", lambda directory, status: directory.control.write_text("stop\n"))

    async def steps(pilot):
        await until(pilot, lambda: table(app).rows)
        await pilot.press("enter")
        await until(pilot, lambda: opened == [run.id])
        await pilot.press("s")
        await until(pilot, run.control.exists)

    shown(steps)


def test_a_run_on_another_host_is_named_so(tmp_path, make_run):
    run = make_run("running")
    status = json.loads(run.status.read_text())
    write_atomically(run.status, json.dumps({**status, "host": "elsewhere", "heartbeat": time.time()}))
    process = MachineReader(tmp_path / "runs").read([run.id]).processes[run.id]
    assert (process.host, process.pid, process.memory_bytes) == ("elsewhere", None, None)


def test_a_run_that_is_gone_or_damaged_does_no_harm(tmp_path, make_run):
    run = make_run("running")
    reader = MachineReader(tmp_path / "runs")
    for content in ("{", '{"pid": "x", "gpus": [1, {}], "host": 3}', '{"pid": 4194305, "state": "running"}'):
        run.status.write_text(content)
        assert reader.read([run.id, "gone"]).processes[run.id].memory_bytes is None


def test_nothing_is_looked_at_while_it_is_not_shown(app, shown, until, monkeypatch, make_run):
    looks = []
    monkeypatch.setattr(machine, "gpus", lambda: looks.append(True) or [])

    async def steps(pilot):
        await pilot.press("1")
        await pilot.pause(0.2)
        before = len(looks)
        await pilot.pause(1.5)
        assert len(looks) == before
        await pilot.press("3")
        await until(pilot, lambda: len(looks) > before)
        await pilot.press("comma")
        await pilot.pause(0.2)
        before = len(looks)
        await pilot.pause(1.5)
        assert len(looks) == before

    shown(steps)


def test_the_history_is_as_long_as_there_is_room():
    assert sparkline([0, 50, 100], 5) == "   ▄█"
    assert sparkline(range(0, 101, 10), 3) == "▆▇█"
    assert sparkline([-5, 400], 2) == " █"


def test_no_size_breaks_it(app, two_gpus, make_run, shown, until, text_on):
    make_run("running", name="mine")

    async def steps(pilot):
        await until(pilot, lambda: table(app).rows)
        await pilot.press("p")
        for size in ((20, 5), (200, 60), (40, 12), (20, 50), (120, 6), (80, 24)):
            await pilot.resize_terminal(*size)
            await pilot.pause(0.1)
        assert isinstance(app.screen, DevicesScreen)
        for expected in ("CPU", "Memory", "gpu:0", "gpu:1", "mine"):
            assert expected in text_on(app)

    shown(steps)
