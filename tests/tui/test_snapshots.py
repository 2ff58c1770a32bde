"""What the screens look like, kept as text for three sizes of terminal, and as pictures for the documentation.

With `KPLUG_UPDATE_SNAPSHOTS=1` what is seen now is kept instead of being compared.
"""

import difflib
import os
import time
from dataclasses import replace
from pathlib import Path

import pytest

from kplug.catalog.description import describe_all
from kplug.catalog.discovery import components
from kplug_tui.app import KplugApp
from kplug_tui.machine import Machine, RunProcess
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
    for _ in range(300):
        await pilot.pause(0.04)
        now = lines_of(pilot.app)
        same = same + 1 if now == before else 0
        if same >= 6:
            return
        before = now
    raise AssertionError("the screen does not come to rest")


def compare(name, size, app):
    """Say how a screen differs from what is kept of it; keep it instead if that is wanted."""
    path = KEPT / f"{name}_{size[0]}x{size[1]}.txt"
    seen = lines_of(app)
    if os.environ.get("KPLUG_UPDATE_SNAPSHOTS"):
        path.parent.mkdir(exist_ok=True)
        path.write_text("\n".join(seen) + "\n", encoding="utf-8")
        if size == PICTURE_SIZE:
            (PICTURES / f"{name}.svg").write_text(app.export_screenshot(title="kplug"), encoding="utf-8")
        return []
    kept = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    return list(difflib.unified_diff(kept, seen, f"{path.name} as kept", "as it is", lineterm="", n=0))


SCREENS = {
    "runs": ["down"],
    "filter": ["slash", *"state=completed", "enter"],
    "help": ["escape", "question_mark"],
    "settings": ["escape", "comma"],
    "run": ["escape", "G", "enter"],
    "log": ["6"],
    "compare": ["escape", "g", "space", "G", "space", "v"],
    "new_run": ["escape", "escape", "c"],
    "devices": ["escape", "y", "3"],
    "catalog": ["2", "slash", *"focal", "enter"],
}
"""The screens in the order in which they are gone through, with the keys that lead from each to the next."""


@pytest.fixture
def still(monkeypatch, runs):
    """Let nothing of this machine show: its processors, its paths, its processes."""
    taken = {run.id: RunProcess(4711, 180.0, 900 * 2**20) for run in runs}
    machine = Machine((91.0, 12.0), (1.5, 1.2, 0.9), 16 * 2**30, 6 * 2**30, (), taken)
    monkeypatch.setattr("kplug_tui.machine.MachineReader.read", lambda self, run_ids: machine)
    # One sample of history: how many a screen has taken when it comes to rest depends on how busy the machine is.
    monkeypatch.setattr("kplug_tui.screens.devices._HISTORY", 1)
    monkeypatch.setattr("kplug_tui.screens.new_run.gpus", list)
    monkeypatch.setattr("kplug_tui.settings.settings_root", lambda: Path("/home/me/.config/kplug"))
    described = [replace(one, source="kplug/…") for one in describe_all(components()).values()]
    by_component = {one.component: one for one in described}
    monkeypatch.setattr("kplug.catalog.description.known", lambda asked: {one: by_component[one] for one in asked})
    monkeypatch.setattr(
        "kplug.catalog.description.describe_all", lambda asked: {one: by_component[one] for one in asked}
    )


@pytest.mark.slow
@pytest.mark.parametrize("size", SIZES, ids=lambda size: f"{size[0]}x{size[1]}")
def test_every_screen_looks_as_it_did(still, drive, tmp_path, monkeypatch, size):
    monkeypatch.setenv("KPLUG_HOME", str(tmp_path))
    app = KplugApp(settings=Settings())
    differences = []

    async def steps():
        async with app.run_test(size=size) as pilot:
            await settled(pilot)
            for name, keys in SCREENS.items():
                for key in keys:
                    await pilot.press(key)
                    if len(key) > 1:
                        await settled(pilot)
                await settled(pilot)
                differences.extend(compare(name, size, app))

    drive(steps)
    assert not differences, "Look at it; KPLUG_UPDATE_SNAPSHOTS=1 keeps what is seen now.\n" + "\n".join(differences)
