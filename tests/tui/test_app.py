"""What all screens share: places, themes, the palette, and what is said when a run ends."""

import json
import os

import pytest
from PIL import Image
from textual.color import Color
from textual.widgets import OptionList

from kplug.runs.directory import write_atomically
from kplug.runs.index import Snapshot
from kplug.runs.process import identity
from kplug.runs.run import Run
from kplug_tui.app import KplugApp
from kplug_tui.reader import RunsRead
from kplug_tui.screens.dialogs import Choose
from kplug_tui.settings import Settings, read_settings, settings_file
from kplug_tui.themes import THEMES
from kplug_tui.widgets.table import Table

pytestmark = pytest.mark.neutral

PLACES = {"1": "RunsScreen", "2": "CatalogScreen", "3": "DevicesScreen"}
LEAST_CONTRAST = 4.5


@pytest.fixture
def app(tmp_path):
    return KplugApp(tmp_path / "runs", Settings())


def messages(app):
    return [(one.message, one.severity) for one in app._notifications]


def set_state(directory, state, **fields):
    status = json.loads(directory.status.read_text())
    write_atomically(directory.status, json.dumps({**status, "state": state, **fields}))


def name_of(screen):
    return type(screen).__name__


@pytest.mark.parametrize("settings", [Settings(), Settings(bell=True), Settings(notify=False)])
def test_it_is_said_when_a_run_ends(make_run, drive, until, tmp_path, settings, monkeypatch):
    app = KplugApp(tmp_path / "runs", settings)
    rings = []
    monkeypatch.setattr(app, "bell", lambda: rings.append(True))
    make_run("failed", name="failed before")
    done, failed = make_run("running", name="[b]done[/b]"), make_run("running", name="bad")

    async def steps():
        async with app.run_test() as pilot:
            await until(pilot, lambda: app.snapshot is not None and len(app._states) == 3)
            assert messages(app) == []
            set_state(done, "completed")
            set_state(failed, "failed", error="out of memory")
            await until(pilot, lambda: {"completed", "failed"} <= set(app._states.values()) and not app_live(app))
            expected = [("[b]done[/b]: completed", "information"), ("bad: failed: out of memory", "error")]
            assert sorted(messages(app)) == (expected if settings.notify else [])
            assert bool(rings) == settings.bell

    drive(steps)


def app_live(app):
    return [state for state in app._states.values() if state == "running"]


def test_of_many_runs_that_end_at_once_it_is_said_how_many(app, make_run, drive, until):
    for _ in range(8):
        make_run("running")

    async def steps():
        async with app.run_test() as pilot:
            await until(pilot, lambda: len(app._states) == 8)
            states = ["completed", *["failed"] * 7]
            ended = tuple({**one, "state": state} for one, state in zip(app.snapshot.runs, states, strict=True))
            app.post_message(RunsRead(Snapshot(ended, frozenset(one["id"] for one in ended), frozenset())))
            await until(pilot, lambda: messages(app))
            assert messages(app) == [("8 runs have ended: 1 completed, 7 failed", "error")]

    drive(steps)


def test_it_is_said_on_whatever_screen_one_is(app, make_run, drive, until):
    run = make_run("running", name="mine")

    async def steps():
        async with app.run_test() as pilot:
            await until(pilot, lambda: app._states)
            await pilot.press("3", "question_mark")
            set_state(run, "completed")
            await until(pilot, lambda: messages(app) == [("mine: completed", "information")])

    drive(steps)


def test_a_run_that_is_resumed_and_ends_again_is_said_again(app, make_run, drive, until):
    run = make_run("running", name="mine")

    async def steps():
        async with app.run_test() as pilot:
            await until(pilot, lambda: app._states)
            for count in (1, 2):
                set_state(run, "stopped")
                await until(pilot, lambda count=count: len(messages(app)) == count)
                set_state(run, "running", **identity())
                await until(pilot, lambda: app_live(app))

    drive(steps)


def test_places_are_reached_by_key_and_by_mouse(app, drive, until):
    async def steps():
        async with app.run_test(size=(80, 24)) as pilot:
            for key, place in PLACES.items():
                await pilot.press(key)
                await until(pilot, lambda place=place: name_of(app.screen) == place)
            await pilot.click("TopBar", offset=(9, 0))
            await until(pilot, lambda: name_of(app.screen) == "RunsScreen")

    drive(steps)


@pytest.mark.parametrize(
    ("command", "screen"),
    [
        ("Runs", "RunsScreen"),
        ("Catalog", "CatalogScreen"),
        ("Devices", "DevicesScreen"),
        ("New run", "NewRunScreen"),
        ("Settings", "SettingsScreen"),
        ("Help", "HelpScreen"),
    ],
)
def test_the_palette_goes_to_every_screen(app, drive, until, command, screen):
    async def steps():
        async with app.run_test() as pilot:
            await pilot.pause()
            commands = {one.title: one for one in app.get_system_commands(app.screen)}
            commands[command].callback()
            await until(pilot, lambda: name_of(app.screen) == screen)
            await pilot.pause()

    drive(steps)


def test_the_palette_offers_the_commands(app, drive, until, text_on):
    async def steps():
        async with app.run_test(size=(100, 90)) as pilot:
            await pilot.press("ctrl+p")
            await until(pilot, lambda: "Save a picture" in text_on(app))
            for title in ("Runs", "Catalog", "Devices", "New run", "Settings", "Help", "Theme", "Quit"):
                assert title in text_on(app)
            await pilot.press(*"devices")
            await until(pilot, lambda: "Go to the runs" not in text_on(app))
            await pilot.press("enter")
            await until(pilot, lambda: name_of(app.screen) == "DevicesScreen")

    drive(steps)


def test_the_palette_offers_what_the_keys_of_the_screen_do(app, make_run, drive, until, monkeypatch):
    make_run("running", name="mine")
    stopped = []
    monkeypatch.setattr(Run, "stop", lambda run: stopped.append(run.id))

    async def steps():
        async with app.run_test(size=(100, 40)) as pilot:
            await until(pilot, lambda: app.screen.query_one("#runs", Table).rows)
            await pilot.press("ctrl+p")
            await until(pilot, lambda: name_of(app.screen) == "CommandPalette")
            await pilot.press(*"stop")
            await until(pilot, lambda: app.screen.query_one(OptionList).option_count)
            await pilot.press("enter")
            await until(pilot, lambda: stopped)

    drive(steps)


def test_keys_that_cannot_be_used_are_said(tmp_path, drive, until, home):
    keys = {"runs.stop": "z", "runs.stopp": "x", "runs.kill": "tab", "runs.note": "n"}
    app = KplugApp(tmp_path / "runs", Settings(keys=keys))

    async def steps():
        async with app.run_test() as pilot:
            await until(pilot, lambda: messages(app))
            (said,) = [text for text, _ in messages(app)]
            assert "there is no action runs.stopp. Did you mean runs.stop?" in said
            assert "runs.kill = 'tab': tab goes to the next part of the screen." in said
            assert "runs.note = 'n': n is the key of runs.new" in said
            assert "'z'" not in said

    drive(steps)


def test_settings_that_cannot_be_used_are_said(home, tmp_path, drive, until):
    settings_file().parent.mkdir(parents=True)
    settings_file().write_text('theme = "none"\nbell = 3\n[keys]\n"runs.stop" = "z"\n')
    app = KplugApp(tmp_path / "runs")

    async def steps():
        async with app.run_test() as pilot:
            await until(pilot, lambda: len(messages(app)) == 2)
            said = " ".join(text for text, _ in messages(app))
            assert "bell = 3 is not possible: expected bool" in said
            assert "There is no theme 'none'" in said
            assert app.screen.active_bindings["z"].binding.id == "runs.stop"

    drive(steps)


def test_settings_are_kept(home, tmp_path, drive):
    app = KplugApp(tmp_path / "runs")

    async def steps():
        async with app.run_test():
            app.change_settings(theme="kplug-light", keys={"runs.stop": "z"})
            assert app.theme == "kplug-light"

    drive(steps)
    assert read_settings() == (Settings(theme="kplug-light", keys={"runs.stop": "z"}), [])


def test_settings_that_cannot_be_kept_hold_all_the_same(home, tmp_path, drive, until):
    home.mkdir()
    (home / "settings").write_text("a file where a folder should be")
    app = KplugApp(tmp_path / "runs", Settings())

    async def steps():
        async with app.run_test() as pilot:
            app.change_settings(theme="kplug-light")
            assert app.theme == "kplug-light"
            await until(pilot, lambda: any("cannot be written" in text for text, _ in messages(app)))

    drive(steps)


def cells_with_too_little_contrast(app):
    """Return texts on the screen that cannot be read well, with their colours."""
    found = []
    box = app.screen.query(".dialog--box")
    seen = box.first().region if box else app.screen.region
    for strip in app.screen._compositor.render_strips()[seen.y : seen.bottom]:
        for segment in strip.crop(seen.x, seen.right):
            text = "".join(letter for letter in segment.text if letter.isascii() and letter.isalnum())
            style = segment.style
            if not text or style is None or style.color is None or style.bgcolor is None:
                continue
            colours = (style.bgcolor, style.color) if style.reverse else (style.color, style.bgcolor)
            contrast = contrast_of(*(Color.from_rich_color(one) for one in colours))
            if contrast < LEAST_CONTRAST:
                found.append((segment.text.strip(), round(contrast, 1)))
    return found


def contrast_of(one, another):
    light, dark = sorted((luminance(one), luminance(another)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def luminance(colour):
    """Return what WCAG 2 calls the relative luminance."""
    parts = [part / 255 for part in colour.rgb]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def test_contrast_is_measured_as_wcag_does():
    assert contrast_of(Color.parse("#ffffff"), Color.parse("#000000")) == pytest.approx(21.0)
    assert contrast_of(Color.parse("#777777"), Color.parse("#ffffff")) == pytest.approx(4.48, abs=0.01)


@pytest.mark.parametrize("theme", [theme.name for theme in THEMES])
def test_every_text_can_be_read_in_every_theme(make_run, drive, until, tmp_path, theme):
    app = KplugApp(tmp_path / "runs", Settings(theme=theme))
    states = ("completed", "failed", "running", "stopped", "queued")
    runs = [make_run(state, name=state, seed=place).id for place, state in enumerate(states)]

    async def steps():
        async with app.run_test(size=(140, 40)) as pilot:
            await until(pilot, lambda: app.snapshot is not None and len(app.snapshot.runs) == 5)
            poor = {}

            async def look(name):
                await pilot.pause(0.6)
                poor[name] = cells_with_too_little_contrast(app)

            await pilot.press("tab")
            await look("runs without focus")
            await pilot.press("shift+tab")
            await look("runs")
            app.open_comparison(runs)
            await look("compare")
            await pilot.press("escape", "2")
            await look("catalog")
            await pilot.press("3")
            await look("devices")
            await pilot.press("question_mark")
            await look("help")
            await pilot.press("escape", "comma")
            await look("settings")
            await pilot.press("enter")
            assert isinstance(app.screen, Choose)
            await look("choose")
            assert [(name, *one) for name, found in poor.items() for one in found] == []

    drive(steps)


def test_without_colours_there_are_none(make_run, drive, until, tmp_path, monkeypatch):
    monkeypatch.setenv("NO_COLOR", "1")
    make_run("failed", name="mine")
    app = KplugApp(tmp_path / "runs", Settings())

    async def steps():
        async with app.run_test(size=(140, 40)) as pilot:
            for key in ("1", "2", "3", "comma"):
                await pilot.press(key)
                await pilot.pause(0.5)
                for strip in app.screen._compositor.render_strips():
                    for segment in strip:
                        for colour in (segment.style.color, segment.style.bgcolor):
                            assert colour is None or len(set(Color.from_rich_color(colour).rgb)) == 1

    drive(steps)


@pytest.mark.slow
def test_no_screen_imports_keras(make_run, modules_after, tmp_path):
    one, two = make_run(name="one"), make_run(name="two")
    one.artifacts.mkdir(exist_ok=True)
    Image.new("RGB", (8, 8)).save(one.artifacts / "picture.png")
    code = f"""
import asyncio
from pathlib import Path
from kplug_tui.app import KplugApp
from kplug_tui.settings import Settings
from kplug_tui.widgets.chart import Chart
from kplug_tui.widgets.picture import Picture

async def until(true):
    for _ in range(3000):
        if true():
            return
        await asyncio.sleep(0.01)
    raise SystemExit("it never came true")

async def main():
    app = KplugApp(Path({str(tmp_path / "runs")!r}), Settings())
    def drawn():
        return any(chart.curves for chart in app.screen.query(Chart))
    def on(name):
        return type(app.screen).__name__ == name
    async with app.run_test(size=(120, 40)) as pilot:
        await until(lambda: app.snapshot is not None and drawn())
        app.open_comparison({[one.id, two.id]!r})
        await until(lambda: on("CompareScreen") and drawn())
        await pilot.press("escape")
        app.open_run({one.id!r})
        await until(lambda: on("RunScreen") and drawn())
        for page in "56789":
            await pilot.press(page)
        await pilot.press("7")
        await until(lambda: app.screen.query(Picture))
        await pilot.press("escape", "n")
        await until(lambda: on("NewRunScreen") and not app.screen.form.unknown())
        await pilot.press("escape", "2")
        await until(lambda: on("CatalogScreen"))
        await pilot.press("3")
        await until(lambda: on("DevicesScreen"))
        await pilot.press("question_mark")
        await until(lambda: on("HelpScreen"))
        await pilot.press("escape", "comma")
        await until(lambda: on("SettingsScreen"))

asyncio.run(main())
"""
    modules = modules_after(code)
    assert modules & {"keras", "tensorflow", "jax", "torch", "sklearn", "matplotlib"} == set()
    assert {"textual", "PIL", "numpy"} <= modules


def test_the_environment_is_left_alone(app, drive):
    before = dict(os.environ)

    async def steps():
        async with app.run_test() as pilot:
            await pilot.press("3")

    drive(steps)
    assert dict(os.environ) == before
