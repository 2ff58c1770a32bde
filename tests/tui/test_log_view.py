"""Logs of any size: where their lines are, following, searching, and files that are cut or go away."""

import tracemalloc

import pytest
from textual.app import App
from textual.widgets import Input

from kplug_tui.log_index import LogIndex, shown
from kplug_tui.widgets.log_page import LogPage
from kplug_tui.widgets.log_view import LogView

pytestmark = pytest.mark.neutral

EVERYTHING = 1 << 40


@pytest.fixture
def path(tmp_path):
    return tmp_path / "output.log"


def indexed(path):
    index = LogIndex(path)
    assert not index.update(EVERYTHING)
    return index


def test_lines_are_those_of_the_file(path):
    lines = [f"line {number} " + "x" * (number % 300) for number in range(5000)]
    path.write_text("\n".join(lines) + "\n")
    index = indexed(path)
    assert index.lines == 5000
    for first in (0, 1, 499, 2500, 4990):
        assert index.read(first, 20) == lines[first : first + 20]
    assert index.read(5000, 5) == [] == index.read(0, 0)


def test_a_last_line_without_an_end_counts_and_goes_on(path):
    path.write_text("one\ntw")
    index = indexed(path)
    assert (index.lines, index.read(0, 9)) == (2, ["one", "tw"])
    with path.open("a") as file:
        file.write("o\nthree\n")
    index.update(EVERYTHING)
    assert (index.lines, index.read(0, 9)) == (3, ["one", "two", "three"])


def test_a_file_is_gone_through_in_parts(path):
    path.write_bytes(b"0123456789abcde\n" * 20_000)
    index = LogIndex(path)
    assert index.update(100_000)
    assert 0 < index.lines < 20_000
    while index.update(100_000):
        pass
    assert index.lines == 20_000


def test_a_file_that_was_cut_or_replaced_is_read_anew(path):
    path.write_text("old\n" * 1000)
    index = indexed(path)
    path.write_text("new\n" * 3)
    index.update(EVERYTHING)
    assert (index.lines, index.read(0, 9)) == (3, ["new"] * 3)
    other = path.with_name("other")
    other.write_text("new\n" * 3 + "more\n")
    other.replace(path)
    index.update(EVERYTHING)
    assert index.lines == 4
    path.unlink()
    assert not index.update(EVERYTHING)
    assert (index.there, index.lines, index.read(0, 1)) == (False, 0, [])


def test_a_line_without_end_is_cut_and_the_next_one_is_found(path):
    path.write_bytes(b"a" * 1_000_000 + b"\nnext\n")
    first, second = indexed(path).read(0, 2)
    assert set(first) == {"a"} and len(first) < 20_000
    assert second == "next"


def test_memory_stays_small(path):
    path.write_bytes(b"\n" * 5_000_000 + b"some words\n" * 1_000_000)
    index = LogIndex(path)
    index.update(1)
    tracemalloc.start()
    while index.update(1 << 24):
        pass
    used = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    assert index.lines == 6_000_000
    assert used < 200_000


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (b"plain\n", "plain"),
        (b"windows\r\n", "windows"),
        (b" 10%\r 50%\r100%\n", "100%"),
        (b"a\tb\n", "a       b"),
        (b"\x1b[31mred\x1b[0m\n", "red"),
        (b"\x1b]0;title\x07\n", "\N{REPLACEMENT CHARACTER}]0;title\N{REPLACEMENT CHARACTER}"),
        (b"\xff\xfe[bold]\n", "\N{REPLACEMENT CHARACTER}" * 2 + "[bold]"),
    ],
)
def test_lines_are_shown_as_plain_text(line, expected):
    assert shown(line) == expected


@pytest.mark.parametrize("count", [10, 40_000])
def test_a_text_is_found_forwards_backwards_and_around_the_end(path, count):
    lines = [f"line {number}" for number in range(count)]
    for number in (3, count // 2, count - 2):
        lines[number] += " NEEDLE, needle"
    path.write_text("\n".join(lines))
    index = indexed(path)
    assert index.find("needle", 0) == 3
    assert index.find("Needle", 3) == 3
    assert index.find("needle", 4) == count // 2
    assert index.find("needle", count // 2 + 1) == count - 2
    assert index.find("needle", count - 1) == 3
    assert index.find("needle", count - 3, backwards=True) == count // 2
    assert index.find("needle", 2, backwards=True) == count - 2
    assert index.find("nowhere", 0) is None is index.find("", 0)


class Log(App):
    def __init__(self, path):
        super().__init__()
        self.path = path

    def compose(self):
        yield LogPage()

    @property
    def view(self):
        return self.query_one(LogView)


def on_a_log(drive, path, steps, size=(80, 24)):
    async def run():
        app = Log(path)
        async with app.run_test(size=size) as pilot:
            app.query_one(LogPage).open(path)
            app.view.focus()
            await steps(app, app.view, pilot)

    drive(run)


def add(path, *lines):
    with path.open("a") as file:
        file.write("".join(f"{line}\n" for line in lines))


@pytest.mark.parametrize("size", [(80, 24), (20, 5)])
def test_the_end_is_followed_until_one_scrolls_up(drive, until, text_on, path, size):
    add(path, *(f"line {number}." for number in range(1000)))

    async def steps(app, view, pilot):
        await until(pilot, lambda: "line 999." in text_on(app))
        add(path, "line 1000.")
        view.reread()
        await until(pilot, lambda: "line 1000." in text_on(app))
        await pilot.press("up")
        await until(pilot, lambda: not view.following)
        add(path, "line 1001.")
        view.reread()
        await until(pilot, lambda: view.total == 1002)
        assert "line 1001." not in text_on(app)
        await pilot.press("G")
        await until(pilot, lambda: "line 1001." in text_on(app))
        assert view.following
        await pilot.press("g")
        await until(pilot, lambda: "line 0." in text_on(app) and not view.following)
        await pilot.press("pagedown", "pageup", "j", "end")
        await until(pilot, lambda: "line 1001." in text_on(app) and view.following)

    on_a_log(drive, path, steps, size)


def test_a_search_goes_from_match_to_match(drive, until, text_on, path):
    add(path, *(f"line {number}" + (" Warning: odd" if number % 1000 == 7 else "") for number in range(3000)))

    async def steps(app, view, pilot):
        await until(pilot, lambda: view.total == 3000)
        await pilot.press("g", "slash", *"warning", "enter")
        await until(pilot, lambda: view.found == 7)
        assert app.focused is view
        await pilot.press("n")
        await until(pilot, lambda: view.found == 1007 and "line 1007" in text_on(app))
        assert not view.following
        await pilot.press("n")
        await until(pilot, lambda: view.found == 2007)
        await pilot.press("n")
        await until(pilot, lambda: view.found == 7 and "around the end" in text_on(app))
        await pilot.press("N")
        await until(pilot, lambda: view.found == 2007)
        await pilot.press("slash")
        app.query_one(Input).value = "nowhere"
        await pilot.press("enter")
        await until(pilot, lambda: "not found: nowhere" in text_on(app))

    on_a_log(drive, path, steps)


def test_long_lines_are_seen_by_going_sideways(drive, until, text_on, path):
    add(path, "begin" + "." * 200 + "end")

    async def steps(app, view, pilot):
        await until(pilot, lambda: "begin" in text_on(app))
        for _ in range(20):
            await pilot.press("right")
        await until(pilot, lambda: "end" in text_on(app) and "begin" not in text_on(app))
        for _ in range(20):
            await pilot.press("left")
        await until(pilot, lambda: "begin" in text_on(app))

    on_a_log(drive, path, steps)


def test_a_log_that_is_cut_or_goes_away_is_shown_as_it_is(drive, until, text_on, path):
    add(path, *(f"old {number}" for number in range(500)))

    async def steps(app, view, pilot):
        await until(pilot, lambda: "old 499" in text_on(app))
        path.write_text("fresh\n")
        view.reread()
        await until(pilot, lambda: "fresh" in text_on(app) and "old" not in text_on(app))
        path.unlink()
        view.reread()
        await until(pilot, lambda: "there is no such file" in text_on(app))
        add(path, "again")
        view.reread()
        await until(pilot, lambda: "again" in text_on(app))
        path.write_text("")
        view.reread()
        await until(pilot, lambda: "nothing was printed yet" in text_on(app))

    on_a_log(drive, path, steps)


def test_another_file_takes_its_place(drive, until, text_on, path):
    add(path, *(f"one {number}" for number in range(500)))
    other = path.with_name("other.log")
    add(other, "another")

    async def steps(app, view, pilot):
        await until(pilot, lambda: "one 499" in text_on(app))
        app.query_one(LogPage).open(other)
        await until(pilot, lambda: "another" in text_on(app) and "one" not in text_on(app))

    on_a_log(drive, path, steps)


def test_a_hundred_megabytes_open_at_their_end(drive, until, text_on, path):
    block = "".join(
        f"epoch {number:6d}  loss 0.12345  val_loss 0.54321  and some more words\n" for number in range(10_000)
    )
    with path.open("w") as file:
        for _ in range(150):
            file.write(block)
        file.write("the last line\n")

    async def steps(app, view, pilot):
        await until(pilot, lambda: "the last line" in text_on(app))
        assert view.total == 1_500_001
        await pilot.press("g", "slash", *"the last", "enter")
        await until(pilot, lambda: view.found == 1_500_000)
        await pilot.press("g")
        await until(pilot, lambda: "epoch      0" in text_on(app))

    on_a_log(drive, path, steps)
