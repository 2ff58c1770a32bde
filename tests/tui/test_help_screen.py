"""The keys of a screen, as they are now."""

import pytest
from textual.widgets import Static

from kplug_tui.app import KplugApp
from kplug_tui.screens.help import HelpScreen, key_groups
from kplug_tui.settings import Settings

pytestmark = pytest.mark.neutral


def text_of(app):
    return app.screen.query_one("#keys", Static).content.plain


@pytest.fixture
def helped(drive, until, tmp_path):
    """Give a function that opens help on a screen and takes steps there."""

    def begin(steps, keys=(), settings=None, size=(80, 24)):
        app = KplugApp(tmp_path / "runs", settings or Settings())

        async def all_steps():
            async with app.run_test(size=size) as pilot:
                await until(pilot, lambda: app.snapshot is not None)
                await pilot.press(*keys)
                await pilot.pause(0.3)
                await pilot.press("question_mark")
                await until(pilot, lambda: isinstance(app.screen, HelpScreen) and app.screen.query("#keys"))
                await until(pilot, lambda: getattr(app.screen.query_one("#keys", Static).content, "plain", ""))
                await steps(app, pilot)

        drive(all_steps)

    return begin


def test_the_keys_of_the_screen_its_parts_and_the_app_are_there(helped):
    async def steps(app, pilot):
        text = text_of(app)
        for title in ("Table", "This screen", "Everywhere"):
            assert title in text
        for hidden in ("Kill", "Rename", "Page down", "Devices"):
            assert hidden in text
        groups = dict(key_groups(app.screen_stack[-2]))
        assert ("K", "Kill") in groups["This screen"]
        assert ("↓ j", "Down") in groups["Table"]

    helped(steps)


def test_each_screen_has_its_own_keys_and_says_what_it_is(helped, text_on):
    async def steps(app, pilot):
        assert "Every component that is installed" in text_on(app)
        assert "New run with it" in text_of(app)

    helped(steps, ["2"])


def test_the_keys_are_those_that_the_person_has_set(helped):
    async def steps(app, pilot):
        groups = dict(key_groups(app.screen_stack[-2]))
        assert ("z", "Stop") in groups["This screen"]

    helped(steps, settings=Settings(keys={"runs.stop": "z"}))


@pytest.mark.parametrize("key", ["escape", "question_mark", "q"])
def test_it_is_left_by_several_keys(helped, key):
    async def steps(app, pilot):
        await pilot.press(key)
        await pilot.pause(0.1)
        assert type(app.screen).__name__ == "RunsScreen"

    helped(steps)


def test_all_of_it_can_be_reached_on_a_small_terminal(helped, text_on):
    async def steps(app, pilot):
        assert "Devices" not in text_on(app).partition("Table")[2]
        await pilot.press("end")
        await pilot.pause(0.3)
        assert "Settings" in text_on(app)
        await pilot.press("home", "j", "j", "k")
        assert app.screen.query_one("#scroll").scroll_y == 1
        for size in ((20, 5), (200, 60), (40, 12), (80, 24)):
            await pilot.resize_terminal(*size)
            await pilot.pause(0.05)
        assert "Kill" in text_of(app)

    helped(steps)


def test_places_are_not_left_while_it_is_open(helped):
    async def steps(app, pilot):
        await pilot.press("2", "3")
        assert isinstance(app.screen, HelpScreen)

    helped(steps)
