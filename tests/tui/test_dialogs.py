"""Dialogs on terminals that are smaller than what they say."""

import pytest

from kplug_tui.app import KplugApp
from kplug_tui.screens.dialogs import Ask, Choose, Confirm
from kplug_tui.screens.pick import Pick, item
from kplug_tui.settings import Settings

pytestmark = pytest.mark.neutral

LONG = "\x1b[31m[b]" + "x" * 90


@pytest.mark.parametrize(
    "dialog",
    [
        lambda: Choose("Metric:", [LONG, "loss"], "loss"),
        lambda: Ask(LONG, LONG),
        lambda: Confirm(LONG, "Kill"),
        lambda: Pick(LONG, [item("key", LONG, LONG)]),
    ],
    ids=["choose", "ask", "confirm", "pick"],
)
def test_no_size_breaks_a_dialog(tmp_path, drive, dialog, text_on):
    async def steps():
        app = KplugApp(tmp_path / "runs", Settings())
        async with app.run_test(size=(120, 40)) as pilot:
            app.push_screen(dialog())
            await pilot.pause()
            assert "[b]xxx" in text_on(app) and "\x1b" not in text_on(app)
            for size in [(40, 10), (20, 5), (8, 4), (5, 2), (1, 1), (80, 24)]:
                await pilot.resize_terminal(*size)
                await pilot.pause()
            assert "[b]xxx" in text_on(app)

    drive(steps)
