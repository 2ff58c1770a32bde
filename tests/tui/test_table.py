"""The table that draws only what is on the screen."""

import pytest
from textual.app import App

from kplug_tui.widgets.table import Column, Table

pytestmark = pytest.mark.neutral

COLUMNS = [
    Column("name", "NAME", 10, lambda row: row["name"], grow=1),
    Column("value", "VALUE", 8, lambda row: f"{row['value']}", "right", priority=2),
    Column("note", "NOTE", 12, lambda row: (row["note"], "muted"), priority=3),
]


def rows(count, **changes):
    return [
        {"name": f"row {place}", "value": place, "note": "", **changes.get(f"row{place}", {})} for place in range(count)
    ]


class TableApp(App):
    def __init__(self):
        super().__init__()
        self.told = []

    def compose(self):
        yield Table(COLUMNS, lambda row: row["name"], "nothing here")

    def on_mount(self):
        self.table.focus()

    @property
    def table(self):
        return self.query_one(Table)

    def on_table_highlighted(self, message):
        self.told.append(message.row and message.row["name"])

    def on_table_opened(self, message):
        self.told.append(("opened", message.row["name"]))

    def on_table_header_clicked(self, message):
        self.told.append(("head", message.column))


def lines(app):
    table = app.table
    return [table.render_line(y).text.rstrip() for y in range(table.size.height)]


def test_rows_are_laid_out_and_narrow_tables_leave_out_what_matters_least(drive):
    async def steps():
        app = TableApp()
        async with app.run_test(size=(60, 8)) as pilot:
            app.table.show(rows(3, row1={"note": "a note"}))
            await pilot.pause()
            assert lines(app)[0].split() == ["NAME", "VALUE", "NOTE"]
            assert lines(app)[2].split() == ["row", "1", "1", "a", "note"]
            await pilot.resize_terminal(26, 8)
            await pilot.pause()
            assert lines(app)[0].split() == ["NAME", "VALUE"]
            await pilot.resize_terminal(14, 8)
            await pilot.pause()
            assert lines(app)[0].split() == ["NAME"]

    drive(steps)


def test_an_empty_table_says_so(drive):
    async def steps():
        app = TableApp()
        async with app.run_test(size=(60, 8)) as pilot:
            app.table.show([])
            await pilot.pause()
            assert "nothing here" in lines(app)[2]
            for key in ("down", "up", "end", "space", "enter", "pagedown"):
                await pilot.press(key)
            assert app.table.row is None

    drive(steps)


def test_keys_go_through_ten_thousand_rows(drive):
    async def steps():
        app = TableApp()
        async with app.run_test(size=(60, 12)) as pilot:
            app.table.show(rows(10_000))
            await pilot.press("down", "j", "k")
            assert app.table.cursor == 1
            await pilot.press("G")
            await pilot.pause()
            assert app.table.row["name"] == "row 9999"
            assert "row 9999" in lines(app)[-1]
            await pilot.press("pageup")
            await pilot.pause()
            assert app.table.cursor == 9989
            await pilot.press("g", "enter")
            await pilot.pause()
            assert app.told[-1] == ("opened", "row 0")

    drive(steps)


def test_the_cursor_stays_on_its_row_when_others_come_and_go(drive):
    async def steps():
        app = TableApp()
        async with app.run_test(size=(60, 12)) as pilot:
            app.table.show(rows(20))
            await pilot.press("down", "down", "down")
            app.table.show([{"name": "new", "value": 0, "note": ""}, *rows(20)])
            await pilot.pause()
            assert app.table.row["name"] == "row 3"
            app.table.show(rows(2))
            await pilot.pause()
            assert app.table.row["name"] == "row 1"

    drive(steps)


def test_at_the_top_too_the_cursor_stays_on_its_row(drive):
    async def steps():
        app = TableApp()
        async with app.run_test(size=(60, 12)) as pilot:
            app.table.show(rows(3))
            app.table.show([{"name": "new", "value": 0, "note": ""}, *rows(3)])
            await pilot.pause()
            assert app.table.row["name"] == "row 0"

    drive(steps)


def test_the_mouse_chooses_opens_and_sorts(drive):
    async def steps():
        app = TableApp()
        async with app.run_test(size=(60, 12)) as pilot:
            app.table.show(rows(5))
            await pilot.pause()
            await pilot.click(Table, offset=(5, 3))
            assert app.table.row["name"] == "row 2"
            await pilot.click(Table, offset=(5, 4), times=2)
            await pilot.pause()
            assert app.told[-1] == ("opened", "row 3")
            value = lines(app)[0].index("VALUE")
            await pilot.click(Table, offset=(value + 1, 0))
            await pilot.pause()
            assert app.told[-1] == ("head", "value")

    drive(steps)


def test_only_lines_that_have_changed_are_drawn_again(drive):
    async def steps():
        app = TableApp()
        async with app.run_test(size=(60, 12)) as pilot:
            app.table.show(rows(5))
            await pilot.pause()
            for y in range(12):
                app.table.render_line(y)
            drawn = []
            app.table._redraw_line = drawn.append
            app.table.show(rows(5))
            assert drawn == []
            app.table.show(rows(5, row3={"value": 33}))
            assert drawn == [4]

    drive(steps)


def test_marks_are_shown_and_taken_away(drive):
    async def steps():
        app = TableApp()
        async with app.run_test(size=(60, 12)) as pilot:
            app.table.show(rows(5))
            await pilot.press("space", "space")
            await pilot.pause()
            assert app.table.marked == {"row 0", "row 1"}
            assert [line.startswith("●") for line in lines(app)[1:4]] == [True, True, False]
            await pilot.press("g", "space")
            assert app.table.marked == {"row 1"}

    drive(steps)


def test_wide_and_hostile_text_stays_in_its_column(drive):
    async def steps():
        app = TableApp()
        async with app.run_test(size=(60, 12)) as pilot:
            nasty = "\x1b[31m[bold]漢字漢字漢字漢字漢字漢字漢字漢字漢字漢字\r\n\x07"
            app.table.show(rows(3, row1={"note": nasty, "name": nasty}))
            await pilot.pause()
            strips = [app.table.render_line(y) for y in range(4)]
            assert {strip.cell_length for strip in strips} == {app.table.size.width}
            assert not any(character in strips[2].text for character in "\x1b\r\n\x07")
            assert "[bold]" in strips[2].text

    drive(steps)
