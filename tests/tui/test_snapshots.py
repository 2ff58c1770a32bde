"""What the screens look like, kept as text for three sizes of terminal, and as pictures for the documentation.

With `KPLUG_UPDATE_SNAPSHOTS=1` what is seen now is kept instead of being compared.
"""

import os
import time
from pathlib import Path

import pytest

from kplug_tui.app import KplugApp
from kplug_tui.settings import Settings

pytestmark = pytest.mark.neutral

KEPT = Path(__file__).with_name("snapshots")
PICTURES = Path(__file__).parents[2] / "docs" / "terminal"
SIZES = [(80, 24), (120, 40), (200, 60)]
PICTURE_SIZE = (120, 40)
NOW = 1_800_000_000.0


def lines_of(app):
    strips = app.screen._compositor.render_strips()
    return [strip.text.rstrip() for strip in strips]


@pytest.fixture
def frozen(monkeypatch):
    """Let the clock stand still, for ages and times on the screen."""
    monkeypatch.setattr("kplug_tui.formatting.time", Clock)
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()


class Clock:
    strftime = staticmethod(time.strftime)
    localtime = staticmethod(time.localtime)

    @staticmethod
    def time():
        return NOW


@pytest.fixture
def runs(make_run, frozen):
    """Four runs of fixed names and times."""
    states = (("completed", (3.0, 2.0, 1.4, 1.1)), ("running", (3.5, 2.5)), ("failed", (9.0,)), ("stopped", (4.0, 3.0)))
    return [
        make_run(state, losses, name=f"{state} run", run_id=f"20270115-08000{place}-vae-digits-000{place}", now=NOW)
        for place, (state, losses) in enumerate(states)
    ]


async def settled(pilot):
    """Wait until nothing on the screen changes any more."""
    before, same = None, 0
    for _ in range(200):
        await pilot.pause(0.05)
        now = lines_of(pilot.app)
        same = same + 1 if now == before else 0
        if same >= 12:
            return
        before = now
    raise AssertionError("the screen does not come to rest")


def compare(name, size, app):
    path = KEPT / f"{name}_{size[0]}x{size[1]}.txt"
    seen = "\n".join(lines_of(app)) + "\n"
    if os.environ.get("KPLUG_UPDATE_SNAPSHOTS"):
        path.parent.mkdir(exist_ok=True)
        path.write_text(seen, encoding="utf-8")
        if size == PICTURE_SIZE:
            PICTURES.mkdir(exist_ok=True)
            (PICTURES / f"{name}.svg").write_text(app.export_screenshot(title="kplug"), encoding="utf-8")
        return
    assert path.exists(), f"There is no {path.name}: run this test with KPLUG_UPDATE_SNAPSHOTS=1, and look at it."
    assert seen.splitlines() == path.read_text(encoding="utf-8").splitlines()


SCREENS = {
    "runs": ["down"],
    "filter": ["slash", *"state=completed", "enter"],
}


@pytest.mark.parametrize("size", SIZES, ids=lambda size: f"{size[0]}x{size[1]}")
@pytest.mark.parametrize("name", SCREENS)
def test_the_screen_looks_as_it_did(home, runs, drive, tmp_path, name, size):
    app = KplugApp(tmp_path / "runs", Settings())

    async def steps():
        async with app.run_test(size=size) as pilot:
            await settled(pilot)
            for key in SCREENS[name]:
                await pilot.press(key)
                if len(key) > 1:
                    await settled(pilot)
            await settled(pilot)
            compare(name, size, app)

    drive(steps)
