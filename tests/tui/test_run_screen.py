"""One run on a screen: its pages, what can be done to it, and what can go wrong with it."""

import json
import os
import shutil
import struct
import sys
import zlib

import pytest
from textual.widgets import Static

from kplug.runs.directory import write_atomically
from kplug.runs.process import identity
from kplug.runs.records import MetricRecord, RecordWriter
from kplug_tui import pictures
from kplug_tui.app import KplugApp
from kplug_tui.screens.dialogs import Ask, Confirm
from kplug_tui.screens.run import RunScreen
from kplug_tui.screens.runs import RunsScreen
from kplug_tui.settings import Settings
from kplug_tui.widgets.artifacts import Artifacts
from kplug_tui.widgets.chart_grid import ChartGrid
from kplug_tui.widgets.events import Events
from kplug_tui.widgets.log_view import LogView
from kplug_tui.widgets.picture import HalfBlocks, native_widget
from kplug_tui.widgets.tab_bar import TabBar
from kplug_tui.widgets.table import Table

pytestmark = pytest.mark.neutral


@pytest.fixture
def app(home, tmp_path):
    return KplugApp(tmp_path / "runs", Settings())


@pytest.fixture
def on_screen(app, drive, until):
    """Open a run and do steps on its screen."""

    def run(directory, steps, size=(120, 40)):
        async def opened():
            async with app.run_test(size=size) as pilot:
                app.open_run(directory.id)
                await until(pilot, lambda: isinstance(app.screen, RunScreen) and charts(app))
                await until(pilot, lambda: charts(app)[0].curves and app.focused is not None)
                await pilot.pause()
                await steps(pilot)

        drive(opened)

    return run


def charts(app):
    return next((grid.charts for grid in app.screen.query("#charts").results(ChartGrid)), ())


def curve_names(chart):
    return [curve.name for curve in chart.curves if not curve.faint]


def page(app):
    return app.screen.query_one(TabBar).current


def events_of(directory, *events):
    writer = RecordWriter(directory.events)
    for event in events:
        writer.write(event)
    writer.close()


def png(width, height):
    """A picture whose left half is red and whose right half is blue."""

    def chunk(kind, content):
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    row = b"\0" + b"\xff\0\0" * (width // 2) + b"\0\0\xff" * (width - width // 2)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
        + chunk(b"IDAT", zlib.compress(row * height))
        + chunk(b"IEND", b"")
    )


def test_every_metric_has_a_chart_of_training_and_validation(app, make_run, on_screen, text_on):
    async def steps(pilot):
        assert [chart.title for chart in charts(app)] == ["loss", "accuracy"]
        assert curve_names(charts(app)[0]) == ["training", "validation"]
        assert curve_names(charts(app)[1]) == ["training"]
        assert app.focused is charts(app)[0]
        text = text_on(app)
        assert "✓ completed" in text and "epoch 3/4" in text and "mine" in text and "vae on digits" in text

    on_screen(make_run(name="mine"), steps)


def test_a_curve_moves_as_the_run_goes_on(app, make_run, on_screen, until):
    run = make_run("running")

    async def steps(pilot):
        assert charts(app)[0].view.x_max == 15
        writer = RecordWriter(run.metrics)
        writer.write_metrics(MetricRecord(60, 3, 2000000000.0, {"loss": 0.5, "new": 1.0}))
        writer.close()
        await until(pilot, lambda: charts(app)[0].view.x_max == 60)
        assert [chart.title for chart in charts(app)] == ["loss", "accuracy", "new"]

    on_screen(run, steps)


def test_x_is_step_epoch_or_time(app, make_run, on_screen, until):
    async def steps(pilot):
        assert charts(app)[0].view.x_max == 15
        await pilot.press("plus", "a")
        await until(pilot, lambda: charts(app)[0].view.x_max == 3)
        assert charts(app)[0].view.x_min == pytest.approx(1 / 5)
        await pilot.press("a")
        await until(pilot, lambda: charts(app)[0].x_label(3.0) == "3s")
        await pilot.press("a")
        await until(pilot, lambda: charts(app)[0].view.x_max == 15)

    on_screen(make_run(), steps)


def test_smoothing_goes_up_and_down_and_is_kept(app, make_run, on_screen, until):
    async def steps(pilot):
        for expected in (0.8, 0.9, 0.95, 0.99, 0.99):
            await pilot.press("right_parenthesis")
            assert app.settings.smoothing == expected
        for _ in range(9):
            await pilot.press("left_parenthesis")
        assert app.settings.smoothing == 0.0
        await until(pilot, lambda: not any(curve.faint for curve in charts(app)[0].curves))

    on_screen(make_run(), steps)


def test_y_is_logarithmic_or_linear(app, make_run, on_screen, until):
    async def steps(pilot):
        await pilot.press("w")
        await until(pilot, lambda: charts(app)[0].view.log)
        await pilot.press("5", "4", "w")
        await until(pilot, lambda: not charts(app)[0].view.log)

    on_screen(make_run(), steps)


def test_a_chart_is_enlarged_to_the_whole_screen_and_back(app, make_run, on_screen, until):
    async def steps(pilot):
        await pilot.press("f")
        await until(pilot, lambda: charts(app)[0].size.height == 39)
        await pilot.press("escape")
        await until(pilot, lambda: charts(app)[0].size.height < 39)
        assert isinstance(app.screen, RunScreen)
        await pilot.press("escape")
        await until(pilot, lambda: isinstance(app.screen, RunsScreen))

    on_screen(make_run(), steps)


def test_pages_are_reached_by_keys_and_clicks(app, make_run, on_screen, until):
    async def steps(pilot):
        for key, name in zip(
            "456789", ("charts", "system", "log", "artifacts", "configuration", "events"), strict=True
        ):
            await pilot.press(key)
            assert page(app) == name
        await pilot.press("right_square_bracket")
        assert page(app) == "charts"
        await pilot.press("left_square_bracket")
        assert page(app) == "events"
        await pilot.click(TabBar, offset=(12, 0))
        await until(pilot, lambda: page(app) == "system")

    on_screen(make_run(), steps)


def test_the_machine_is_drawn(app, make_run, on_screen, until):
    run = make_run()
    writer = RecordWriter(run.system)
    for second in range(5):
        gpus = [{"utilization_percent": 50.0, "memory_bytes": 2**30, "power_watts": 300.0, "temperature_celsius": 60}]
        cpu = {"cpu_percent": 100.0, "memory_bytes": 2**30, "host_cpu_percent": 9.0, "host_memory_percent": 5.0}
        writer.write({"time": 10.0 + second, **cpu, "gpus": gpus})
    writer.close()

    async def steps(pilot):
        await pilot.press("5")
        grid = app.screen.query_one("#system", ChartGrid)
        await until(pilot, lambda: len(grid.charts) == 7 and len(grid.charts[0].curves) == 2)
        assert [chart.title for chart in grid.charts][3:] == [
            "GPU utilisation %",
            "GPU memory GiB",
            "GPU power W",
            "GPU temperature °C",
        ]
        assert grid.charts[0].view.x_max == 4

    on_screen(run, steps)


def test_the_log_is_followed_and_searched(app, make_run, on_screen, until, text_on):
    run = make_run("running")

    async def steps(pilot):
        await pilot.press("6")
        await until(pilot, lambda: "epoch 3/4" in text_on(app).partition("Events")[2])
        with run.log.open("a") as file:
            file.write("more [bold]words[/bold] \x1b[2J\n")
        await until(pilot, lambda: "more [bold]words[/bold]" in text_on(app))
        await pilot.press("slash", *"EPOCH 2", "enter")
        view = app.screen.query_one("#log LogView", LogView)
        await until(pilot, lambda: view.found == 1)
        await pilot.press("escape")
        assert not view.wanted and isinstance(app.screen, RunScreen)

    on_screen(run, steps)


def test_without_a_search_n_is_a_new_run(app, make_run, on_screen, monkeypatch, until):
    asked = []
    monkeypatch.setattr(app, "open_new_run", lambda *given: asked.append(given))

    async def steps(pilot):
        await pilot.press("6", "n")
        await until(pilot, lambda: asked)

    on_screen(make_run(), steps)


def test_a_picture_is_drawn_in_half_blocks(app, make_run, on_screen, until, text_on):
    run = make_run()
    (run.artifacts / "halves.png").write_bytes(png(40, 20))

    async def steps(pilot):
        await pilot.press("7")
        await until(pilot, lambda: "▀" in text_on(app))
        assert "halves.png" in text_on(app)
        blocks = app.screen.query_one(HalfBlocks)
        first = next(iter(blocks.render_line(0)))
        assert first.style.color.triplet == (255, 0, 0) == first.style.bgcolor.triplet
        await pilot.press("f")
        await until(pilot, lambda: blocks.size.width > 110 and "halves.png" not in text_on(app))
        await pilot.press("escape")
        await until(pilot, lambda: "halves.png" in text_on(app))

    on_screen(run, steps)


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        ("cut.png", png(400, 200)[:150], "cut.png is damaged, or no picture"),
        ("none.jpg", b"not a picture", "none.jpg is damaged, or no picture"),
        ("table.csv", b"word,weight\nalpha,0.5\n[b]\x1b[31mbeta,1.5\n", "alpha"),
        ("ragged.csv", b"a,b\n1\n1,2,3\n", "1"),
        ("empty.csv", b"", "empty.csv is empty."),
        ("words.txt", b"some words\n", "some words"),
        ("model.keras", b"PK\x03\x04", "kplug.load_model("),
        ("raw.bin", b"\0\1\2", "is not text, 3 B"),
    ],
)
def test_files_are_shown_by_what_they_are(app, make_run, on_screen, until, text_on, name, content, expected):
    run = make_run()
    (run.artifacts / name).write_bytes(content)

    async def steps(pilot):
        await pilot.press("7")
        await until(pilot, lambda: expected in text_on(app))
        assert name in text_on(app)

    on_screen(run, steps)


def test_one_file_after_another_is_shown(app, make_run, on_screen, until, text_on):
    run = make_run()
    (run.artifacts / "a.txt").write_text("first words\n")
    (run.artifacts / "b.txt").write_text("second words\n")

    async def steps(pilot):
        await pilot.press("7")
        await until(pilot, lambda: "first words" in text_on(app))
        await pilot.press("down")
        await until(pilot, lambda: "second words" in text_on(app) and "first words" not in text_on(app))
        (run.artifacts / "b.txt").unlink()
        await until(pilot, lambda: "first words" in text_on(app))

    on_screen(run, steps)


def test_few_bytes_are_sent_for_a_picture_on_a_thin_connection():
    from PIL import Image

    picture = Image.effect_noise((64, 64), 90).convert("RGB")
    full = sum(map(len, pictures.half_blocks(picture, 60, 30)))
    few = {segment.style.color for row in pictures.half_blocks(picture, 60, 30, colours=4) for segment in row}
    assert full > 1000 and len(few) <= 4


def test_half_blocks_keep_the_proportions():
    from PIL import Image

    rows = pictures.half_blocks(Image.new("RGB", (200, 100)), 60, 60)
    assert len(rows) == 15
    assert sum(len(segment.text) for segment in rows[0]) == 60
    assert pictures.half_blocks(Image.new("RGB", (200, 100)), 0, 5) == []


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({"TERM": "xterm-kitty"}, "kitty"),
        ({"TERM": "xterm-256color", "TERM_PROGRAM": "ghostty"}, "kitty"),
        ({"TERM": "foot"}, "sixel"),
        ({"TERM": "xterm-256color", "TERM_PROGRAM": "WezTerm"}, "sixel"),
        ({"TERM": "xterm-kitty", "TMUX": "/tmp/tmux"}, None),
        ({"TERM": "xterm-256color"}, None),
    ],
)
def test_how_a_terminal_takes_pictures_is_known_by_its_name(monkeypatch, variables, expected):
    for name in ("TERM", "TERM_PROGRAM", "TMUX", "STY"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert pictures.protocol() == expected


def test_textual_image_is_taken_where_the_terminal_can_and_asks_it_nothing(monkeypatch, capfd):
    monkeypatch.setattr("kplug_tui.widgets.picture.cell_pixels", lambda: (9, 18))
    for how, name in (("kitty", "TGPImage"), ("sixel", "SixelImage"), (None, None)):
        monkeypatch.setattr("kplug_tui.widgets.picture.protocol", lambda how=how: how)
        found = native_widget()
        assert (found is None) == (name is None)
    from textual_image._terminal import get_cell_size

    assert get_cell_size() == (9, 18)
    assert sys.__stdout__ is not None and "TEXTUAL_CELL_WIDTH" not in os.environ
    assert capfd.readouterr() == ("", "")
    monkeypatch.setattr("kplug_tui.widgets.picture.protocol", lambda: "kitty")
    monkeypatch.setattr("kplug_tui.widgets.picture.cell_pixels", lambda: None)
    assert native_widget() is None


def test_the_configuration_says_what_was_asked_and_where_it_ran(app, make_run, on_screen, until, text_on):
    run = make_run(model={"name": "kplug/vae", "parameters": {"latent_dim": 3}}, seed=7)
    git = {"commit": "abc1234", "dirty": True}
    events_of(run, {"time": 1.0, "event": "started", "python": "3.11.7", "versions": {"keras": "3.15"}, "git": git})

    async def steps(pilot):
        await pilot.press("8")
        await until(pilot, lambda: "kplug/vae" in text_on(app))
        text = "\n".join(line.strip() for line in text_on(app).splitlines())
        assert "latent_dim" in text and run.id in text and str(run.path)[:60] in text
        await pilot.press("end")
        await until(pilot, lambda: "abc1234, with changes that are not committed" in text_on(app))
        assert "3.11.7" in text_on(app)

    on_screen(run, steps, size=(160, 40))


def test_a_damaged_spec_is_said(app, make_run, on_screen, until, text_on):
    run = make_run()
    run.spec.write_text("{")

    async def steps(pilot):
        await pilot.press("8")
        await until(pilot, lambda: "spec.json cannot be read" in text_on(app))

    on_screen(run, steps)


def test_events_say_what_happened_and_why(app, make_run, on_screen, until, text_on):
    run = make_run("failed")
    trace = "Traceback (most recent call last):\n  deep down\nValueError: odd"
    events_of(
        run,
        {"time": 100.0, "event": "started"},
        {"time": 130.0, "event": "checkpoint", "epoch": 1, "batch": 0, "step": 5},
        {"time": 140.0, "event": "checkpoint", "epoch": 2, "batch": 0, "step": 10},
        {"time": 160.0, "event": "warning", "message": "[red]careful"},
        {"time": "?", "event": 7},
        {"time": 165.0, "event": "failed", "error": "ValueError: odd", "traceback": trace},
    )
    run.checkpoints.mkdir()
    (run.checkpoints / "step-000000000010.npz").write_bytes(b"x" * 2048)

    async def steps(pilot):
        await pilot.press("9")
        await until(pilot, lambda: "deep down" in text_on(app))
        text = text_on(app)
        assert "step 10  epoch 2  2.0 KiB, kept" in text and "step 5  epoch 1 " in text
        assert "1m 5s" in text and "[red]careful" in text
        await pilot.press("g")
        await until(pilot, lambda: "deep down" not in text_on(app))

    on_screen(run, steps)


def test_the_error_of_a_failed_run_is_at_the_top(app, make_run, on_screen, text_on):
    run = make_run("failed")
    status = {**json.loads(run.status.read_text()), "error": "ValueError: [no] \x1b[2J"}
    write_atomically(run.status, json.dumps(status))

    async def steps(pilot):
        assert "ValueError: [no]" in text_on(app).splitlines()[2]

    on_screen(run, steps)


def test_what_can_be_done_to_runs_can_be_done_here(app, make_run, on_screen, until):
    run = make_run("stopped")

    async def steps(pilot):
        await pilot.press("R")
        await until(pilot, lambda: isinstance(app.screen, Ask))
        await pilot.press(*"called", "enter")
        await until(pilot, lambda: app.screen.chosen() and app.screen.chosen()[0]["name"] == "called")
        await pilot.press("d")
        await until(pilot, lambda: isinstance(app.screen, Confirm))
        await pilot.press("y")
        await until(pilot, lambda: isinstance(app.screen, RunsScreen))
        assert any("no longer there" in one.message for one in app._notifications)

    on_screen(run, steps)


def test_a_run_that_goes_on_shows_its_progress(app, make_run, on_screen, until, text_on):
    run = make_run("running")

    async def steps(pilot):
        await until(pilot, lambda: "75%" in text_on(app) and "left" in text_on(app))
        status = {**json.loads(run.status.read_text()), **identity(), "state": "completed"}
        write_atomically(run.status, json.dumps(status))
        await until(pilot, lambda: "✓ completed" in text_on(app))

    on_screen(run, steps)


def test_a_run_that_vanishes_is_left_from_every_page(app, make_run, on_screen, until):
    run = make_run()

    async def steps(pilot):
        await pilot.press("6")
        shutil.rmtree(run.path)
        await until(pilot, lambda: isinstance(app.screen, RunsScreen))

    on_screen(run, steps)


def test_a_run_that_is_not_there_is_not_opened(app, make_run, drive, until):
    make_run()

    async def steps():
        async with app.run_test() as pilot:
            app.open_run("20200101-000000-nothing-0000")
            await until(pilot, lambda: any("no longer there" in one.message for one in app._notifications))
            await until(pilot, lambda: isinstance(app.screen, RunsScreen))

    drive(steps)


def test_no_size_breaks_a_page(app, make_run, on_screen, text_on):
    run = make_run()
    (run.artifacts / "a.png").write_bytes(png(40, 20))
    events_of(run, {"time": 100.0, "event": "failed", "error": "x", "traceback": "y\n" * 50})

    async def steps(pilot):
        for width, height in ((20, 5), (1, 1), (240, 70), (80, 24)):
            await pilot.resize_terminal(width, height)
            for key in "456789":
                await pilot.press(key)
                await pilot.pause()
                assert len(text_on(app).splitlines()) == height
            await pilot.press("4", "f", "plus", "escape", "7", "f", "escape")

    on_screen(run, steps)


def test_keys_can_be_changed(home, tmp_path, make_run, drive, until):
    run = make_run()
    app = KplugApp(tmp_path / "runs", Settings(keys={"run.log": "z", "run.axis": "A", "log.search": "ctrl+s"}))

    async def steps():
        async with app.run_test(size=(120, 40)) as pilot:
            app.open_run(run.id)
            await until(pilot, lambda: isinstance(app.screen, RunScreen) and charts(app))
            await pilot.pause()
            await pilot.press("A")
            await until(pilot, lambda: charts(app)[0].view.x_max == 3)
            await pilot.press("z")
            assert page(app) == "log"

    drive(steps)


def test_every_binding_has_a_name():
    for widget in (RunScreen, ChartGrid, Artifacts, Events, LogView, Table, Static):
        for binding in widget.BINDINGS:
            assert getattr(binding, "id", None), f"{widget.__name__}: {binding}"
