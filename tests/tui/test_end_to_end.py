"""A whole way through the terminal, by keys, with a real worker."""

import pytest

from kplug.catalog.description import describe_all
from kplug.runs import list_runs
from kplug_tui.app import KplugApp
from kplug_tui.new_run_form import NewRunForm
from kplug_tui.screens.compare import CompareScreen
from kplug_tui.screens.new_run import NewRunScreen
from kplug_tui.screens.run import RunScreen
from kplug_tui.screens.runs import RunsScreen
from kplug_tui.settings import Settings
from kplug_tui.widgets.chart import Chart
from kplug_tui.widgets.table import Table

pytestmark = [pytest.mark.neutral, pytest.mark.slow]

PATIENCE = 60.0


async def chosen(pilot, until, *keys):
    """Choose from a list by typing, and wait until the form is there again."""
    await pilot.press(*keys, "enter")
    await until(pilot, lambda: isinstance(pilot.app.screen, NewRunScreen))


def points(app):
    charts = app.screen.query(Chart)
    return max((len(curve.x) for chart in charts for curve in chart.curves), default=0)


def test_a_run_is_chosen_started_watched_stopped_resumed_and_compared(tmp_path, drive, until, make_run, monkeypatch):
    monkeypatch.delenv("KERAS_BACKEND", raising=False)
    describe_all(NewRunForm().unknown())
    make_run(name="an earlier run")
    app = KplugApp(tmp_path / "runs", Settings())

    def run():
        return next(one for one in list_runs(tmp_path / "runs") if one.spec.name != "an earlier run")

    def shown():
        """The run as the screen knows it, a moment after its files: keys act on that."""
        return app.screen.chosen()[0]

    async def steps():
        async with app.run_test(size=(120, 40)) as pilot:
            await until(pilot, lambda: app.snapshot is not None)
            await pilot.press("n")
            await until(pilot, lambda: isinstance(app.screen, NewRunScreen) and not app.screen.form.unknown())
            await chosen(pilot, until, "enter", *"vae")
            await pilot.press("down", *"4", "down")
            await pilot.press("d")  # the architecture's list, at `dense`
            await chosen(pilot, until, *"ense")
            await pilot.press("pagedown")
            await chosen(pilot, until, *"digits")
            await pilot.press("f7", *"epochs", "enter")
            await until(pilot, lambda: isinstance(app.screen, NewRunScreen))
            await pilot.press(*"100000", "f6")
            await until(pilot, lambda: isinstance(app.screen, RunScreen), PATIENCE)
            await until(pilot, lambda: points(app) > 5, PATIENCE)
            assert run().spec.model.parameters == {"latent_dim": 4, "architecture": "dense"}
            before = points(app)
            await until(pilot, lambda: points(app) > before, PATIENCE)
            await pilot.press("s")
            await until(pilot, lambda: shown()["state"] == "stopped", PATIENCE)
            step = run().status["step"]
            assert run().state == "stopped"
            await pilot.press("r")
            await until(pilot, lambda: shown()["state"] == "running" and shown()["step"] > step, PATIENCE)
            await pilot.press("s")
            await until(pilot, lambda: shown()["state"] == "stopped", PATIENCE)
            await pilot.press("escape")
            assert isinstance(app.screen, RunsScreen)
            await until(pilot, lambda: len(app.screen.query_one("#runs", Table).rows) == 2)
            await pilot.press("g", "space", "space", "v")
            await until(pilot, lambda: isinstance(app.screen, CompareScreen) and points(app) > 2)

    try:
        drive(steps)
    finally:
        for one in list_runs(tmp_path / "runs"):
            if not one.ended:
                one.kill()
