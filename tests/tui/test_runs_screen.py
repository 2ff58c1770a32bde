"""The first screen: all runs, live, and what can be done to them."""

import contextlib
import json
import time

import pytest
from textual import events
from textual.widgets import Input, Static

from kplug.runs import MetricRecord, open_run
from kplug.runs.labels import read_labels, rename
from kplug.runs.process import identity
from kplug.runs.records import RecordWriter
from kplug.runs.run import Run
from kplug.runs.trash import deleted
from kplug_tui.app import KplugApp
from kplug_tui.screens.dialogs import Ask, Choose, Confirm
from kplug_tui.screens.runs import RunsScreen
from kplug_tui.settings import Settings
from kplug_tui.widgets.chart import Chart
from kplug_tui.widgets.run_panel import RunPanel
from kplug_tui.widgets.table import Table
from kplug_tui.widgets.top_bar import TopBar

pytestmark = pytest.mark.neutral


@pytest.fixture
def app(home, tmp_path):
    return KplugApp(tmp_path / "runs", Settings())


async def until(pilot, true, patience=10.0):
    deadline = time.monotonic() + patience
    while not true():
        assert time.monotonic() < deadline, "it never came true"
        await pilot.pause(0.02)


def table(app):
    return app.screen.query_one("#runs", Table)


def names(app):
    return [row["name"] for row in table(app).rows]


def text_of(app):
    return app.screen.query_one(RunPanel).query_one("#head", Static).render().plain


def notes(app):
    return [one.message for one in app._notifications]


def test_runs_appear_with_the_one_under_the_cursor_beside_them(app, make_run, drive):
    make_run(name="first")
    make_run("failed", name="second", losses=(5.0,))

    async def steps():
        async with app.run_test(size=(120, 40)) as pilot:
            await until(pilot, lambda: len(table(app).rows) == 2)
            assert names(app) == ["second", "first"]
            await until(pilot, lambda: "second" in text_of(app) and app.screen.query_one(Chart).curves)
            await pilot.press("down")
            await until(pilot, lambda: "first" in text_of(app) and len(app.screen.query_one(Chart).curves) >= 2)
            facts = app.screen.query_one("#facts", Static).render().plain
            assert "val 1.5" in facts
            assert "vae on digits" in facts

    drive(steps)


def test_where_no_run_has_the_metric_the_table_shows_one_that_runs_have(app, make_run, drive):
    def header():
        return table(app).render_line(0).text

    def record(run, metrics):
        with contextlib.closing(RecordWriter(run.metrics)) as writer:
            writer.write_metrics(MetricRecord(5, 0, time.time(), metrics, epoch_end=True))

    record(make_run(losses=()), {"return": -900.0, "val_return": -800.0})

    async def steps():
        async with app.run_test(size=(120, 40)) as pilot:
            await until(pilot, lambda: "VAL_RETURN" in header() and "-800" in table(app).render_line(1).text)
            record(make_run(losses=()), {"loss": 0.5, "val_loss": 0.25})
            await until(pilot, lambda: "VAL_LOSS" in header() and "0.25" in table(app).render_line(1).text)

    drive(steps)


def test_without_runs_it_says_how_to_begin(app, drive):
    async def steps():
        async with app.run_test(size=(80, 24)) as pilot:
            await pilot.pause(0.3)
            assert "Press n" in "".join(table(app).render_line(y).text for y in range(5))
            for key in ("s", "K", "r", "c", "d", "t", "e", "R", "x", "y", "v", "enter", "o", "escape", "m", "escape"):
                await pilot.press(key)
            assert isinstance(app.screen, RunsScreen)

    drive(steps)


def test_new_runs_and_changes_are_seen(app, make_run, drive):
    make_run(name="first")

    async def steps():
        async with app.run_test(size=(120, 40)) as pilot:
            await until(pilot, lambda: names(app) == ["first"])
            directory = make_run("running", name="second", losses=(4.0,))
            await until(pilot, lambda: names(app) == ["second", "first"])
            assert app.screen.query_one(TopBar).render().plain.endswith("1 running")
            rename(directory, "another")
            await until(pilot, lambda: names(app) == ["another", "first"])

    drive(steps)


def test_the_question_of_the_command_line_filters_as_it_is_typed(app, make_run, drive):
    make_run(name="good", losses=(3.0, 0.1))
    make_run(name="bad", losses=(3.0, 2.9))

    async def steps():
        async with app.run_test(size=(120, 40)) as pilot:
            await until(pilot, lambda: len(table(app).rows) == 2)
            await pilot.press("slash", *"val_loss<1", "enter")
            assert names(app) == ["good"]
            assert "1 of 2" in app.screen.query_one(TopBar).render().plain
            await pilot.press("slash")
            app.screen.query_one(Input).value = "loss <"
            await pilot.pause()
            assert "ends where a value" in app.screen.query_one("#problem", Static).render().plain
            assert names(app) == ["good"]
            await pilot.press("escape")
            assert len(table(app).rows) == 2

    drive(steps)


def test_any_column_sorts(app, make_run, drive):
    for name, loss in (("b", 2.0), ("a", 3.0), ("c", 1.0)):
        make_run(name=name, losses=(loss,))

    async def steps():
        async with app.run_test(size=(120, 40)) as pilot:
            await until(pilot, lambda: len(table(app).rows) == 3)
            await pilot.press("o")
            assert isinstance(app.screen, Choose)
            await pilot.press("down", "enter")
            await pilot.pause()
            assert names(app) == ["a", "b", "c"]
            await pilot.press("O")
            assert names(app) == ["c", "b", "a"]
            head = table(app).render_line(0).text
            await pilot.click("#runs", offset=(head.index("VAL_LOSS") + 1, 0))
            await pilot.pause()
            assert names(app) == ["c", "b", "a"]
            assert "VAL_LOSS▲" in table(app).render_line(0).text

    drive(steps)


def test_a_run_is_named_tagged_and_noted(app, make_run, drive):
    directory = make_run(name="first")

    async def steps():
        async with app.run_test(size=(120, 40)) as pilot:
            await until(pilot, lambda: len(table(app).rows) == 1)
            for key, text, field, value in (
                ("R", "better", "name", "better"),
                ("t", "keep, paper", "tags", ("keep", "paper")),
                ("e", "a note", "note", "a note"),
            ):
                await pilot.press(key)
                assert isinstance(app.screen, Ask)
                app.screen.query_one(Input).value = text
                await pilot.press("enter")
                await until(pilot, lambda field=field, value=value: getattr(read_labels(directory), field) == value)
            await pilot.press("R")
            app.screen.query_one(Input).value = "x" * 300
            await pilot.press("enter")
            assert "200" in app.screen.query_one("#problem", Static).render().plain
            await pilot.press("escape")
            assert read_labels(directory).name == "better"

    drive(steps)


def test_deleting_asks_and_goes_to_the_trash(app, make_run, drive, tmp_path):
    directory = make_run(name="first")
    make_run(name="second")

    async def steps():
        async with app.run_test(size=(120, 40)) as pilot:
            await until(pilot, lambda: len(table(app).rows) == 2)
            await pilot.press("down", "d")
            assert isinstance(app.screen, Confirm)
            await pilot.press("enter")
            await pilot.pause()
            assert directory.path.exists()
            await pilot.press("d", "y")
            await until(pilot, lambda: names(app) == ["second"])
            assert [run.id for run in deleted(tmp_path / "runs")] == [directory.id]

    drive(steps)


def test_what_cannot_be_done_is_said(app, make_run, drive):
    make_run(name="first")

    async def steps():
        async with app.run_test(size=(120, 40)) as pilot:
            await until(pilot, lambda: len(table(app).rows) == 1)
            await pilot.press("s")
            assert "Only a run that goes on can be stopped." in notes(app)
            await pilot.press("r")
            await until(pilot, lambda: any("has completed, so there is nothing to resume" in one for one in notes(app)))
            await pilot.press("v")
            assert any("Mark two runs" in one for one in notes(app))

    drive(steps)


def test_marked_runs_are_stopped_together(app, make_run, drive):
    runs = [make_run("running", name=name) for name in "ab"]
    for directory in runs:  # as if they were scripts: their process, this one, must not get a signal
        status = {**Run(directory).status, "tracked": True}
        directory.status.write_text(json.dumps(status))

    async def steps():
        async with app.run_test(size=(120, 40)) as pilot:
            await until(pilot, lambda: len(table(app).rows) == 2)
            await pilot.press("space", "space", "s")
            await until(pilot, lambda: all(one.control.exists() for one in runs))
            assert any("2 runs: asked to stop" in one for one in notes(app))

    drive(steps)


def test_nothing_is_done_to_marked_runs_that_the_question_leaves_out(app, make_run, drive, text_on):
    hidden, seen = make_run("running", name="hidden"), make_run("running", name="seen")

    async def steps():
        async with app.run_test(size=(120, 40)) as pilot:
            await until(pilot, lambda: len(table(app).rows) == 2)
            await pilot.press("space", "space", "slash", *"seen", "enter")
            await until(pilot, lambda: len(table(app).rows) == 1)
            await until(pilot, lambda: "2 marked, 1 not shown" in text_on(app))
            assert [run["id"] for run in app.screen.chosen()] == [seen.id]
            await pilot.press("slash", *["backspace"] * 4, *"hidden", "enter")
            await until(pilot, lambda: [run["id"] for run in app.screen.chosen()] == [hidden.id])

    drive(steps)


def test_the_end_of_a_run_is_announced(app, make_run, drive):
    directory = make_run("running", name="first")

    async def steps():
        async with app.run_test(size=(120, 40)) as pilot:
            await until(pilot, lambda: len(table(app).rows) == 1)
            status = {"state": "failed", "error": "out of [memory]", "created": time.time(), **identity()}
            directory.status.write_text(json.dumps(status))
            await until(pilot, lambda: "first: failed: out of [memory]" in notes(app))

    drive(steps)


def test_a_run_is_exported_and_a_file_that_is_there_is_not_replaced_without_asking(app, make_run, drive, tmp_path):
    make_run(name="first")
    target = tmp_path / "out.csv"

    async def steps():
        async with app.run_test(size=(120, 40)) as pilot:
            await until(pilot, lambda: len(table(app).rows) == 1)
            for _ in range(2):
                await pilot.press("x")
                app.screen.query_one(Input).value = str(target)
                await pilot.press("enter")
                await pilot.pause(0.2)
                if isinstance(app.screen, Confirm):
                    break
                await until(pilot, target.exists)
            assert target.read_text().startswith("step,epoch,time")
            assert isinstance(app.screen, Confirm)

    drive(steps)


@pytest.mark.parametrize("size", [(200, 60), (120, 40), (80, 24), (40, 12), (20, 5), (1, 1)])
def test_every_size_is_coped_with(app, make_run, drive, size):
    make_run("running", name="\x1b[31m[bold]../../x\n" * 8)

    async def steps():
        async with app.run_test(size=(120, 40)) as pilot:
            await until(pilot, lambda: len(table(app).rows) == 1)
            await pilot.resize_terminal(*size)
            await pilot.pause(0.2)
            await pilot.press("down", "slash", "a", "escape")
            assert isinstance(app.screen, RunsScreen)

    drive(steps)


def test_a_directory_that_cannot_be_read_is_a_message_and_the_app_goes_on(home, tmp_path, drive):
    (tmp_path / "file").write_text("")
    app = KplugApp(tmp_path / "file", Settings())

    async def steps():
        async with app.run_test(size=(80, 24)) as pilot:
            await until(pilot, lambda: any("cannot be read" in one for one in notes(app)))
            assert isinstance(app.screen, RunsScreen)

    drive(steps)


def test_nothing_heavy_is_imported(modules_after, tmp_path):
    code = f"""
import asyncio
from pathlib import Path
from kplug_tui.app import KplugApp
async def main():
    async with KplugApp(Path({str(tmp_path)!r})).run_test() as pilot:
        await pilot.pause(0.3)
asyncio.run(main())
"""
    assert modules_after(code) & {"keras", "tensorflow", "jax", "torch", "sklearn", "matplotlib", "numpy"} == set()


def test_a_run_can_be_opened_by_what_was_copied(app, make_run, drive, tmp_path):
    directory = make_run(name="first")

    async def steps():
        async with app.run_test(size=(120, 40)) as pilot:
            await until(pilot, lambda: len(table(app).rows) == 1)
            await pilot.press("y")
            assert open_run(app.clipboard, tmp_path / "runs").id == directory.id

    drive(steps)


def test_words_find_runs_by_what_they_are_called(app, make_run, drive):
    make_run(name="a sweep")
    make_run(name="another")

    async def steps():
        async with app.run_test(size=(120, 40)) as pilot:
            await until(pilot, lambda: len(table(app).rows) == 2)
            await pilot.press("slash", *"sweep", "space", *"vae")
            assert names(app) == ["a sweep"]

    drive(steps)


def test_keys_that_come_in_a_bunch_are_done_in_their_order(app, make_run, drive):
    make_run(name="first")

    async def steps():
        async with app.run_test(size=(120, 40)) as pilot:
            await until(pilot, lambda: len(table(app).rows) == 1)
            await pilot.press("R")
            line = app.screen.query_one(Input)
            for key in ("ctrl+u", *"abc", "home", *"12"):
                app.post_message(events.Key(key, key if len(key) == 1 else None))
            await until(pilot, lambda: line.value == "12abc")

    drive(steps)
