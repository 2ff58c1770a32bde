"""kplug-bayes as its users have it: installed, listed, trained from the command line and the terminal, removed."""

import json
import shutil

import pytest
from third_party import ROOT, environment_with_kplug, wheel_of

pytestmark = [pytest.mark.slow, pytest.mark.neutral]

FROM_THE_TERMINAL = """
import asyncio, time
from kplug.places import runs_root
from kplug.runs import list_runs
from kplug_tui.app import KplugApp
from kplug_tui.screens.new_run import NewRunScreen
from kplug_tui.screens.run import RunScreen
from kplug_tui.settings import Settings

app = KplugApp(runs_root(None), Settings())

async def until(pilot, true):
    deadline = time.monotonic() + 120
    while not true():
        assert time.monotonic() < deadline, app.screen
        await pilot.pause(0.05)

async def steps():
    async with app.run_test(size=(120, 40)) as pilot:
        def form():
            return isinstance(app.screen, NewRunScreen)
        await until(pilot, lambda: app.snapshot is not None)
        await pilot.press("n")
        await until(pilot, lambda: form() and not app.screen.form.unknown())
        await pilot.press("enter", *"regressor", "enter")
        await until(pilot, form)
        await pilot.press("pagedown", *"gap", "enter")
        await until(pilot, form)
        await pilot.press("f7", *"epochs", "enter")
        await until(pilot, form)
        await pilot.press("2", "f6")
        await until(pilot, lambda: isinstance(app.screen, RunScreen))
        await until(pilot, lambda: app.screen.chosen() and app.screen.chosen()[0]["state"] == "completed")

asyncio.run(steps())
(run,) = list_runs()
print(run.spec.model.name, run.spec.dataset.name, run.state)
"""


def test_it_is_installed_listed_trained_and_removed(tmp_path):
    environment = environment_with_kplug(tmp_path)
    copy = shutil.copytree(
        ROOT / "plugins" / "kplug-bayes", tmp_path / "source", ignore=shutil.ignore_patterns("build", "*.egg-info")
    )
    environment.install(wheel_of(copy, tmp_path / "wheel"))

    listed = {one["id"]: one for one in json.loads(environment.run("kplug", "list", "--json"))}
    bayes = {name for name in listed if name.startswith("bayes/")}
    assert {"bayes/dense_flipout", "bayes/bayesian_regressor", "bayes/gap_regression"} <= bayes
    assert {listed[name]["distribution"] for name in bayes} == {"kplug-bayes"}
    assert not [name for name in bayes if listed[name].get("error")]

    said = environment.run("python", "-c", FROM_THE_TERMINAL)
    assert said.split() == ["bayes/bayesian_regressor", "bayes/gap_regression", "completed"]
    environment.run("kplug", "train", "bayesian_classifier", "--data", "digits", "--epochs", "1", "--name", "typed")
    (first, second) = json.loads(environment.run("kplug", "runs", "list", "--json"))
    assert first["state"] == second["state"] == "completed"

    environment.uninstall("kplug-bayes")
    assert "bayes/" not in environment.run("kplug", "list")
    assert "bayes/bayesian_classifier" in environment.run("kplug", "runs", "show", "typed")
    models = (tmp_path / "home" / "runs").glob("*/artifacts/model.keras")
    load = "import sys, kplug; kplug.load_model(sys.argv[1])"
    errors = [environment.run("python", "-c", load, model, fails=True) for model in models]
    assert len(errors) == 2 and all("from kplug-bayes 0.1.0, which is not installed" in error for error in errors)
