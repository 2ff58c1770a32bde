"""Runs side by side."""

import csv

import pytest

from kplug.runs.records import MetricRecord, RecordWriter
from kplug.runs.run import Run
from kplug.runs.trash import delete
from kplug_tui.app import KplugApp
from kplug_tui.comparison_table import comparison_csv, value_column
from kplug_tui.screens.compare import ComparedRuns, CompareScreen
from kplug_tui.screens.dialogs import Ask, Choose, Confirm
from kplug_tui.settings import Settings
from kplug_tui.widgets.chart import Chart

pytestmark = pytest.mark.neutral


@pytest.fixture
def app(home, tmp_path):
    return KplugApp(tmp_path / "runs", Settings())


@pytest.fixture
def two(make_run):
    """Two runs, the worse one first."""
    bad = make_run(name="bad", losses=(3.0, 2.5, 2.0), seed=1)
    good = make_run(
        name="good", losses=(3.0, 2.0, 1.0), seed=2, model={"name": "kplug/vae", "parameters": {"latent_dim": 8}}
    )
    return [bad.id, good.id]


def table(app):
    return app.screen.query_one(ComparedRuns)


def labels(app):
    return [column.label for column in table(app).columns]


def names(app):
    return [row["name"] for row in table(app).rows]


def drawn(app):
    return [(one.name, one.colour) for one in app.screen.query_one(Chart).curves if not one.faint]


@pytest.fixture
def compared(app, drive, until):
    """Give a function that shows runs side by side and takes steps there."""

    def begin(run_ids, steps, size=(100, 30)):
        async def all_steps():
            async with app.run_test(size=size) as pilot:
                await until(pilot, lambda: app.snapshot is not None and app.snapshot.runs)
                app.open_comparison(run_ids)
                await until(pilot, lambda: app.screen.query(ComparedRuns) and table(app).rows and drawn(app))
                await steps(pilot)

        drive(all_steps)

    return begin


def test_the_best_run_comes_first_and_is_marked(app, two, compared, text_on):
    async def steps(pilot):
        await pilot.pause(0.3)
        assert names(app) == ["good", "bad"]
        assert "★ good" in text_on(app)
        assert "★ bad" not in text_on(app)
        assert {"VAL_LOSS", "SEED", "MODEL.LATENT_DIM", "STATE"} <= set(labels(app))
        assert "BATCH_SIZE" not in labels(app), "in which they do not differ"
        assert "val_loss by step" in text_on(app)

    compared(two, steps, (140, 30))


def test_of_an_accuracy_the_highest_is_the_best(app, make_run, compared):
    runs = [make_run(name="low", losses=(9.0, 8.0)).id, make_run(name="high", losses=(3.0, 1.0)).id]

    async def steps(pilot):
        await pilot.press("m")
        assert isinstance(app.screen, Choose)
        await pilot.press("down", "enter")
        await pilot.pause(0.3)
        assert names(app) == ["high", "low"]
        assert labels(app)[1] == "ACCURACY"

    compared(runs, steps)


def test_a_run_has_one_colour_in_the_chart_and_in_the_table(app, two, compared):
    async def steps(pilot):
        await until_drawn(pilot, app, 2)
        chart = app.screen.query_one(Chart)
        assert sorted(drawn(app)) == [("bad", 0), ("good", 1)]
        for y, run_id in ((1, two[1]), (2, two[0])):
            sign = next(iter(table(app).render_line(y)))
            colour = chart.get_component_rich_style(f"chart--curve{two.index(run_id)}", partial=True).color
            assert sign.text == "● "
            assert sign.style.color == colour

    compared(two, steps)


async def until_drawn(pilot, app, count):
    for _ in range(500):
        if len({name for name, _ in drawn(app)}) == count:
            return
        await pilot.pause(0.02)
    raise AssertionError(f"there are {drawn(app)}")


def test_training_validation_or_both_are_drawn(app, two, compared):
    async def steps(pilot):
        chart = app.screen.query_one(Chart)
        await until_drawn(pilot, app, 2)
        assert chart.title.startswith("val_loss by")
        await pilot.press("v")
        await pilot.pause(0.3)
        assert chart.title.startswith("loss by")
        assert labels(app)[1] == "LOSS"
        await pilot.press("v")
        await pilot.pause(0.3)
        assert chart.title.startswith("val_loss, loss by")
        assert labels(app)[1:3] == ["VAL_LOSS", "LOSS"]

    compared(two, steps)


def test_axis_smoothing_and_logarithm(app, two, compared):
    async def steps(pilot):
        chart = app.screen.query_one(Chart)
        for axis in ("epoch", "time", "step"):
            await pilot.press("a")
            assert f"by {axis}" in chart.title
        await pilot.press("left_parenthesis")
        assert "smoothed 0.5" in chart.title
        for _ in range(8):
            await pilot.press("left_parenthesis")
        assert "smoothed" not in chart.title
        for _ in range(15):
            await pilot.press("right_parenthesis")
        assert "smoothed 0.99" in chart.title
        await pilot.press("left_parenthesis")
        assert "smoothed 0.9" in chart.title
        await pilot.press("w")
        assert chart.view.log

    compared(two, steps)


def test_a_curve_can_be_hidden_and_columns_scrolled(app, two, compared):
    async def steps(pilot):
        await until_drawn(pilot, app, 2)
        await pilot.press("space")
        await until_drawn(pilot, app, 1)
        assert drawn(app)[0][0] == "bad"
        before = labels(app)
        await pilot.press("right")
        assert labels(app) == [before[0], *before[2:]]
        for _ in range(30):
            await pilot.press("right")
        assert len(labels(app)) == 2
        for _ in range(30):
            await pilot.press("left")
        assert labels(app) == before

    compared(two, steps)


def test_runs_go_on_while_they_are_compared(app, make_run, compared, until):
    goes_on = make_run("running", name="goes on", losses=(3.0,))
    done = make_run(name="done", losses=(3.0, 2.0, 1.0))

    async def steps(pilot):
        await until_drawn(pilot, app, 2)
        assert names(app) == ["done", "goes on"]
        writer = RecordWriter(goes_on.metrics)
        writer.write_metrics(MetricRecord(10, 1, 1.0, {"loss": 0.1, "val_loss": 0.2}, epoch_end=True))
        writer.close()
        await until(pilot, lambda: names(app) == ["goes on", "done"])

    compared([goes_on.id, done.id], steps)


def test_a_run_that_goes_is_taken_out(app, two, compared, tmp_path, until, make_run):
    third = make_run(name="third")

    async def steps(pilot):
        await until_drawn(pilot, app, 3)
        delete(Run(third))
        await until(pilot, lambda: names(app) == ["good", "bad"])
        await until_drawn(pilot, app, 2)

    compared([*two, third.id], steps)


def test_the_table_is_written_as_csv_and_nothing_replaced_unasked(app, two, compared, tmp_path, until):
    file = tmp_path / "out.csv"

    async def steps(pilot):
        for replaced in (False, True):
            await pilot.press("x")
            assert isinstance(app.screen, Ask)
            app.screen.query_one("Input").value = str(file)
            await pilot.press("enter")
            if replaced:
                await until(pilot, lambda: isinstance(app.screen, Confirm))
                file.write_text("old")
                await pilot.press("y")
            await until(pilot, lambda: file.exists() and file.read_text() != "old")
        rows = list(csv.DictReader(file.read_text().splitlines()))
        assert [row["name"] for row in rows] == ["good", "bad"]
        assert [row["val_loss"] for row in rows] == ["1.5", "2.5"]
        assert [row["seed"] for row in rows] == ["2", "1"]

    compared(two, steps)


def test_a_file_that_cannot_be_written_is_said(app, two, compared, tmp_path, until):
    async def steps(pilot):
        await pilot.press("x")
        app.screen.query_one("Input").value = str(tmp_path / "no" / "where.csv")
        await pilot.press("enter")
        await until(pilot, lambda: any("cannot be written" in one.message for one in app._notifications))

    compared(two, steps)


@pytest.mark.slow
def test_the_curves_are_drawn_into_a_file(app, two, compared, tmp_path, until):
    file = tmp_path / "curves.png"

    async def steps(pilot):
        await pilot.press("p")
        app.screen.query_one("Input").value = str(file)
        await pilot.press("enter")
        await until(pilot, file.exists, 60.0)

    compared(two, steps)
    assert file.read_bytes()[:4] == b"\x89PNG"


def test_enter_opens_a_run_and_escape_goes_back(app, two, compared):
    async def steps(pilot):
        await pilot.press("enter")
        assert type(app.screen).__name__ == "RunScreen"
        app.pop_screen()
        await pilot.pause()
        assert isinstance(app.screen, CompareScreen)
        await pilot.press("escape")
        assert type(app.screen).__name__ == "RunsScreen"

    compared(two, steps)


def test_ten_runs_and_many_sizes(app, make_run, compared, text_on):
    runs = [make_run(name="same name", losses=(3.0, 2.0 + seed / 10), seed=seed).id for seed in range(10)]

    async def steps(pilot):
        await until_drawn(pilot, app, 10)
        assert len({colour for _, colour in drawn(app)}) == 10
        for size in ((20, 5), (40, 10), (80, 24), (200, 60), (30, 50), (20, 5), (80, 24)):
            await pilot.resize_terminal(*size)
            await pilot.pause(0.05)
        assert "same name " + runs[0].rpartition("-")[2] in text_on(app), "names that are not enough are told apart"

    compared(runs, steps)


def test_names_of_runs_are_text(app, make_run, compared, text_on):
    runs = [make_run(name=name).id for name in ("[bold red]x[/]", "[/]")]

    async def steps(pilot):
        await pilot.pause(0.3)
        assert "[bold red]x[/]" in text_on(app)

    compared(runs, steps)


def test_runs_without_a_value_are_last(make_run):
    summary = {"metrics": {}, "test_metrics": {}, "parameters": {}, "name": None, "state": "running"}
    asked = ("model", "dataset", "loss_name", "optimizer", "schedule", "backend", "batch_size", "seed", "epochs")
    summary |= {"files": {}}
    runs = [{**summary, **dict.fromkeys(asked, 1), "id": str(place)} for place in range(2)]
    runs[1]["metrics"] = {"loss": 1.0}
    assert comparison_csv(runs) == "id,name,state,loss\n0,,running,\n1,,running,1.0\n"


def test_a_parameter_that_was_left_out_has_its_default_where_the_component_has_it():
    models = ["kplug/vae", "kplug/vae", "kplug/augmented_cnn"]
    runs = [{"id": str(place), "model": model, "seed": 1} for place, model in enumerate(models)]
    column = value_column("model.latent_dim", [8, None, None], runs)
    assert [column.cell(run) for run in runs] == ["8", "default", ""]
