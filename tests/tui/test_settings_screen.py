"""What a person can set, at once and for good."""

import pytest

from kplug_tui.app import KplugApp
from kplug_tui.keys import Action, all_actions, conflict
from kplug_tui.screens.dialogs import Ask, Choose
from kplug_tui.screens.settings import PressKey, SettingsScreen, SettingsTable
from kplug_tui.settings import Settings, read_settings, settings_file

pytestmark = pytest.mark.neutral


@pytest.fixture
def app(home, tmp_path):
    return KplugApp(tmp_path / "runs")


@pytest.fixture
def shown(app, drive, until):
    def begin(steps, size=(120, 30)):
        async def all_steps():
            async with app.run_test(size=size) as pilot:
                await until(pilot, lambda: app.snapshot is not None)
                await pilot.press("comma")
                await until(pilot, lambda: app.screen.query(SettingsTable) and table(app).rows)
                await steps(pilot)

        drive(all_steps)

    return begin


def table(app):
    return app.screen.query_one(SettingsTable)


def value_of(app, name):
    return next(row["value"] for row in table(app).rows if row["name"] == name)


def kept():
    settings, problems = read_settings()
    assert problems == []
    return settings


def test_a_theme_is_chosen_and_kept(app, shown):
    async def steps(pilot):
        await pilot.press("enter")
        assert isinstance(app.screen, Choose)
        await pilot.press("down", "enter")
        assert app.theme == "kplug-light"
        assert kept().theme == "kplug-light"
        await pilot.press("left")
        assert app.theme == kept().theme == "kplug-dark"

    shown(steps)


def test_what_is_on_or_off_is_changed_by_a_key(app, shown):
    async def steps(pilot):
        for name in ("low_bandwidth", "notify", "bell"):
            table(app).go_to(name)
            before = getattr(app.settings, name)
            await pilot.press("enter")
            assert getattr(app.settings, name) is not before
            assert getattr(kept(), name) is not before
            await pilot.press("space")
            assert getattr(app.settings, name) is before
        table(app).go_to("low_bandwidth")
        await pilot.press("enter")
        assert app.reader.pace.runs == 1.0
        assert app.animation_level == "none"

    shown(steps)


def test_smoothing_is_a_number_from_0_to_below_1(app, shown, text_on):
    async def steps(pilot):
        table(app).go_to("smoothing")
        await pilot.press("right")
        assert kept().smoothing == 0.65
        for _ in range(12):
            await pilot.press("right")
        assert kept().smoothing == 0.99
        await pilot.press("enter")
        assert isinstance(app.screen, Ask)
        app.screen.query_one("Input").value = "1.5"
        await pilot.press("enter")
        assert isinstance(app.screen, Ask)
        await pilot.pause(0.1)
        assert "from 0 to below 1, not '1.5'" in text_on(app)
        app.screen.query_one("Input").value = "0.2"
        await pilot.press("enter")
        assert kept().smoothing == 0.2
        await pilot.press("u")
        assert kept().smoothing == Settings().smoothing

    shown(steps)


def test_the_metric_is_some_text(app, shown):
    async def steps(pilot):
        table(app).go_to("metric")
        await pilot.press("enter")
        app.screen.query_one("Input").value = " "
        await pilot.press("enter")
        assert isinstance(app.screen, Ask)
        app.screen.query_one("Input").value = "[b]acc"
        await pilot.press("enter")
        assert kept().metric == "[b]acc"
        assert value_of(app, "metric") == "[b]acc"

    shown(steps)


def test_it_says_where_the_file_is(app, shown, text_on):
    async def steps(pilot):
        await pilot.pause(0.2)
        assert "tui.toml" in text_on(app)
        assert str(settings_file())[:40] in text_on(app)

    shown(steps)


def test_a_key_is_changed_by_pressing_the_new_one(app, shown):
    async def steps(pilot):
        await pilot.press("slash", *"runs.stop", "enter")
        assert [row["name"] for row in table(app).rows] == ["runs.stop"]
        await pilot.press("enter")
        assert isinstance(app.screen, PressKey)
        await pilot.press("z")
        assert kept().keys == {"runs.stop": "z"}
        assert value_of(app, "runs.stop") == "z"
        await pilot.press("escape", "escape")
        await pilot.pause(0.1)
        assert app.screen.active_bindings["z"].binding.id == "runs.stop"
        assert "s" not in app.screen.active_bindings

    shown(steps)


def test_a_key_that_another_action_has_is_refused(app, shown, text_on):
    async def steps(pilot):
        table(app).go_to("runs.stop")
        await pilot.press("enter", "r")
        assert isinstance(app.screen, PressKey)
        await pilot.pause(0.1)
        assert "r is the key of runs.resume (Resume)" in text_on(app)
        await pilot.press("q")
        await pilot.pause(0.1)
        assert "q is the key of app.quit" in text_on(app)
        await pilot.press("tab")
        assert isinstance(app.screen, PressKey)
        await pilot.press("escape")
        assert isinstance(app.screen, SettingsScreen)
        assert app.settings.keys == {}

    shown(steps)


def test_the_usual_key_comes_back_unless_it_was_given_away(app, shown):
    async def steps(pilot):
        app.change_settings(keys={"runs.stop": "z", "runs.resume": "s"})
        table(app).go_to("runs.stop")
        await pilot.press("u")
        assert kept().keys == {"runs.stop": "z", "runs.resume": "s"}
        assert any("s is the key of runs.resume" in one.message for one in app._notifications)
        table(app).go_to("runs.resume")
        await pilot.press("u")
        table(app).go_to("runs.stop")
        await pilot.press("u")
        assert kept().keys == {}

    shown(steps)


def test_every_action_has_a_name_and_usual_keys():
    actions = all_actions()
    by_id = {one.id: one for one in actions}
    assert len(by_id) == len(actions)
    for expected in ("app.help", "runs.stop", "compare.metric", "catalog.search", "devices.cores", "settings.usual"):
        assert expected in by_id
    assert by_id["runs.delete"].usual == "d,delete"


def test_actions_that_never_meet_may_have_the_same_key():
    actions = {one.id: one for one in all_actions()}

    def why(name, key, **changed):
        return conflict(actions[name], key, list(actions.values()), changed)

    assert why("catalog.search", "o") is None, "a key of the table of runs"
    assert "table.down" in why("catalog.search", "j"), "there is a table on that screen"
    assert why("catalog.search", "plus") is None, "but no chart"
    assert "chart.zoom_in" in why("compare.axis", "plus")
    assert "chart.zoom_in" in why("runs.stop", "plus"), "some screens with runs have charts"
    assert "palette" in why("runs.stop", "ctrl+p")
    assert "compare.axis" in why("runs.stop", "a"), "what can be done to runs can be done there too"
    assert isinstance(actions["runs.stop"], Action)


def test_no_size_breaks_it(app, shown, text_on):
    async def steps(pilot):
        for size in ((20, 5), (200, 60), (40, 12), (20, 50), (120, 6), (80, 24)):
            await pilot.resize_terminal(*size)
            await pilot.press("end", "home")
        assert "Theme" in text_on(app)
        assert "kplug-dark" in text_on(app)

    shown(steps)
