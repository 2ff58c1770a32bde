"""Only cells that have changed are sent to a thin connection, and what it shows is the same."""

import io
import random

import pytest
from rich.cells import get_character_cell_size
from rich.console import Console
from rich.segment import Segment
from rich.style import Style
from textual._compositor import ChopsUpdate, InlineUpdate, LayoutUpdate
from textual.geometry import Region
from textual.strip import Strip

from kplug_tui.app import KplugApp
from kplug_tui.changed_cells import ShownCells
from kplug_tui.settings import Settings

pytestmark = pytest.mark.neutral

WIDTH, HEIGHT = 24, 6
STYLES = (None, Style(bold=True), Style.parse("red on blue"))


class Grid:
    """A terminal that keeps what it is sent."""

    def __init__(self):
        self.cells = {}

    def take(self, update):
        sent = 0
        for start, y, strip in update._runs:
            at = start
            for text, style, _ in strip:
                for character in text:
                    self.cells[at, y] = (character, style)
                    if get_character_cell_size(character) == 2:
                        self.cells[at + 1, y] = ("", style)
                    at += get_character_cell_size(character)
                    sent += 1
        return sent


def line(source):
    """A line of the width: narrow and wide characters, in runs of styles."""
    segments, room = [], WIDTH
    while room:
        character = source.choice("ab 漢")
        if get_character_cell_size(character) > room:
            character = "a"
        count = source.randint(1, max(1, room // get_character_cell_size(character) // 2))
        segments.append(Segment(character * count, source.choice(STYLES)))
        room -= count * get_character_cell_size(character)
    return Strip(segments, WIDTH)


def whole(lines):
    return LayoutUpdate([[one] for one in lines], Region(0, 0, WIDTH, HEIGHT))


def grid_of(lines):
    fresh = Grid()
    fresh.take(ShownCells().changed(whole(lines)))
    return fresh.cells


def test_the_terminal_shows_what_was_drawn_last_whatever_it_was():
    source = random.Random(0)
    shown, terminal = ShownCells(), Grid()
    lines = [line(source) for _ in range(HEIGHT)]
    terminal.take(shown.changed(whole(lines)))
    for _ in range(200):
        y = source.randrange(HEIGHT)
        lines[y] = line(source)
        if source.random() < 0.5:
            update = whole(lines)
        else:
            left, right = sorted(source.sample(range(1, WIDTH), 2))
            parts = {0: lines[y].crop(0, left), left: lines[y].crop(left, right), right: lines[y].crop(right)}
            lines[y] = Strip.join(parts.values())  # a wide character that is cut through is drawn as blanks
            update = ChopsUpdate([parts] * HEIGHT, [(y, 0, WIDTH)], [[left, right, WIDTH]] * HEIGHT)
        terminal.take(shown.changed(update))
        assert terminal.cells == grid_of(lines)


def test_what_is_there_already_is_not_sent_again():
    source = random.Random(1)
    lines = [line(source) for _ in range(HEIGHT)]
    shown, terminal = ShownCells(), Grid()
    assert terminal.take(shown.changed(whole(lines))) > 0
    assert terminal.take(shown.changed(whole(lines))) == 0
    lines[2] = Strip([Segment("a" * WIDTH)])
    shown.changed(whole(lines))
    lines[2] = Strip([Segment("a" * 10 + "b" + "a" * (WIDTH - 11))])
    assert terminal.take(shown.changed(whole(lines))) == 1


def test_all_is_sent_again_after_it_was_forgotten():
    lines = [Strip([Segment("a" * WIDTH)])] * HEIGHT
    shown, terminal = ShownCells(), Grid()
    shown.changed(whole(lines))
    shown.forget()
    assert terminal.take(shown.changed(whole(lines))) == WIDTH * HEIGHT


def test_an_update_of_another_sort_passes_and_nothing_is_known_after_it():
    lines = [Strip([Segment("a" * WIDTH)])] * HEIGHT
    shown, terminal = ShownCells(), Grid()
    shown.changed(whole(lines))
    inline = InlineUpdate(lines)
    assert shown.changed(inline) is inline
    assert terminal.take(shown.changed(whole(lines))) == WIDTH * HEIGHT


def test_what_is_sent_puts_each_run_in_its_place():
    shown = ShownCells()
    shown.changed(whole([Strip([Segment("a" * WIDTH)])] * HEIGHT))
    changed = [Strip([Segment("a" * WIDTH)])] * 2 + [Strip([Segment("aab" + "a" * (WIDTH - 4) + "c")])]
    sent = shown.changed(LayoutUpdate([[one] for one in changed], Region(0, 0, WIDTH, 3)))
    assert sent.render_segments(Console(file=io.StringIO())) == "\x1b[3;3Hb\x1b[3;24Hc"


@pytest.mark.parametrize("thin", [True, False])
def test_only_a_thin_connection_gets_the_changed_cells_alone(tmp_path, drive, make_run, until, monkeypatch, thin):
    make_run()
    app = KplugApp(tmp_path / "runs", Settings(low_bandwidth=thin))
    taken = []
    changed = ShownCells.changed
    monkeypatch.setattr(ShownCells, "changed", lambda shown, update: taken.append(update) or changed(shown, update))

    async def steps():
        async with app.run_test(size=(80, 24)) as pilot:
            await until(pilot, lambda: app.snapshot is not None)
            await pilot.pause()

    drive(steps)
    assert bool(taken) == thin
