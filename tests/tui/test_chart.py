"""A chart: its axes, its legend, its cursor, zoom and pan; several that are looked at together."""

import math
import threading

import numpy as np
import pytest
from textual.app import App

from kplug_tui.curves import moment
from kplug_tui.drawing import Curve, time_ticks
from kplug_tui.themes import THEMES
from kplug_tui.widgets.chart import Chart
from kplug_tui.widgets.chart_grid import ChartGrid, Plot

pytestmark = pytest.mark.neutral

STEPS = np.arange(101.0)
CURVES = (Curve("training", STEPS, 100 - STEPS), Curve("validation", STEPS, 200 - STEPS, 1))


def lines(app, chart):
    strips = app.screen._compositor.render_strips()
    region = chart.region
    return ["".join(one.text for one in strip)[region.x : region.right] for strip in strips[region.y : region.bottom]]


class Themed(App):
    """An app with the colours of curves."""

    def get_theme_variable_defaults(self):
        return dict(THEMES[0].variables)


class OneChart(Themed):
    def compose(self):
        yield Chart("loss", empty="no values")

    @property
    def chart(self):
        return self.query_one(Chart)


def on_a_chart(drive, steps, size=(80, 20), curves=CURVES, **shown):
    async def run():
        app = OneChart()
        async with app.run_test(size=size) as pilot:
            app.chart.show(curves, **shown)
            app.chart.focus()
            await pilot.pause()
            await steps(app, app.chart, pilot)

    drive(run)


def test_a_chart_has_a_legend_with_the_last_values_marks_and_curves(drive):
    async def steps(app, chart, pilot):
        shown = lines(app, chart)
        assert shown[0].split() == ["loss", "●", "training", "0", "●", "validation", "100"]
        assert any("100┤" in line for line in shown) and any("150┤" in line for line in shown)
        assert shown[-1].split("└")[1].split() == ["0", "20", "40", "60", "80", "100"]
        assert sum(character > "⠀" for character in "".join(shown)) > 100

    on_a_chart(drive, steps)


def test_the_cursor_shows_the_values_where_it_stands(drive):
    async def steps(app, chart, pilot):
        await pilot.press("l")
        assert chart.cursor == 100.0
        await pilot.press("h")
        assert chart.cursor == pytest.approx(100 - 100 / 71)
        await pilot.click(Chart, offset=(9, 5))
        assert chart.cursor == 0.0
        assert lines(app, chart)[0].split()[1:] == ["at", "0", "●", "training", "100", "●", "validation", "200"]
        assert sum("┊" in line for line in lines(app, chart)) > 5
        await pilot.press("h")
        assert chart.cursor == 0.0

    on_a_chart(drive, steps)


def test_zoom_is_around_the_cursor_and_y_follows(drive):
    async def steps(app, chart, pilot):
        await pilot.press("plus")
        assert (chart.view.x_min, chart.view.x_max) == pytest.approx((15, 85))
        assert chart.view.y_max < 195
        await pilot.press("minus")
        assert (chart.view.x_min, chart.view.x_max) == pytest.approx((0, 100))
        await pilot.click(Chart, offset=(9, 5))
        await pilot.press("plus")
        assert (chart.view.x_min, chart.view.x_max) == pytest.approx((0, 70))
        await pilot.press("0")
        assert (chart.view.x_min, chart.view.x_max) == (0, 100)
        assert chart.cursor is None

    on_a_chart(drive, steps)


def test_pan_goes_along_x_and_y(drive):
    async def steps(app, chart, pilot):
        await pilot.press("plus", "L")
        assert chart.view.x_min == pytest.approx(15 + 14)
        await pilot.press("H", "H")
        assert chart.view.x_min == pytest.approx(1)
        before = chart.view
        await pilot.press("shift+up")
        assert chart.view.y_min > before.y_min and chart.view.x_min == before.x_min
        await pilot.press("shift+down")
        assert chart.view.y_min == pytest.approx(before.y_min)

    on_a_chart(drive, steps)


def test_a_legend_that_is_too_long_says_that_it_goes_on(drive):
    curves = [Curve("a name as long as the room", STEPS, STEPS + 0.38), Curve("another", STEPS, STEPS)]

    async def steps(app, chart, pilot):
        legend = lines(app, chart)[0]
        assert legend.endswith("…") and "100.4" in legend

    on_a_chart(drive, steps, size=(50, 10), curves=curves)


def test_what_was_zoomed_stays_so_when_more_values_come(drive):
    async def steps(app, chart, pilot):
        await pilot.press("plus")
        before = chart.view.x_min, chart.view.x_max
        longer = np.arange(1001.0)
        chart.show([Curve("training", longer, longer)])
        assert (chart.view.x_min, chart.view.x_max) == before
        chart.show([Curve("training", longer, longer + 1)], log=True)
        assert (chart.view.x_min, chart.view.x_max) == before
        assert 1.0 < chart.view.y_min < chart.view.y_max < 2.0

    on_a_chart(drive, steps)


def test_a_chart_that_was_not_zoomed_shows_all_that_comes(drive):
    async def steps(app, chart, pilot):
        assert chart.view.x_max == 100
        chart.show([Curve("training", np.arange(11.0), np.arange(11.0))])
        assert chart.view.x_max == 10

    on_a_chart(drive, steps)


def test_time_is_marked_by_durations(drive):
    async def steps(app, chart, pilot):
        chart.x_label, chart.x_ticks = moment, time_ticks
        chart.show([Curve("training", STEPS * 72, STEPS)])
        await pilot.pause()
        assert lines(app, chart)[-1].split("└")[1].split("  ") != []
        assert "30m" in lines(app, chart)[-1] and "1h 30m" in lines(app, chart)[-1]

    on_a_chart(drive, steps)


def test_a_logarithmic_axis_is_marked_by_round_numbers(drive):
    async def steps(app, chart, pilot):
        marks = [line.split("┤")[0].strip() for line in lines(app, chart) if "┤" in line]
        assert marks == ["100", "10", "1", "0.1", "0.01"]

    on_a_chart(drive, steps, curves=[Curve("a", STEPS, 10 ** (2 - STEPS / 25))], log=True, size=(60, 14))


def test_every_size_is_drawn(drive):
    async def steps(app, chart, pilot):
        for width, height in [(1, 1), (2, 2), (9, 3), (12, 3), (13, 4), (80, 2), (3, 40), (200, 60)]:
            await pilot.resize_terminal(width, height)
            await pilot.press("l", "plus", "L", "h", "0")
            assert len(app.screen._compositor.render_strips()) == height

    on_a_chart(drive, steps)


def test_odd_curves_are_drawn(drive):
    odd = ([], [math.nan] * 101, [5.0] * 101, [math.inf] * 101, [-1e308, 1e308] * 50 + [0.0], [1e-300] * 101)

    async def steps(app, chart, pilot):
        for log in (False, True):
            for y in odd:
                chart.show([Curve("odd", STEPS[: len(y)], np.array(y))], log)
                await pilot.press("l", "plus", "h", "minus", "H", "0")
                assert lines(app, chart)[0].startswith("loss")

    on_a_chart(drive, steps)


def test_without_values_it_says_so(drive):
    async def steps(app, chart, pilot):
        assert lines(app, chart)[1].strip() == "no values"

    on_a_chart(drive, steps, curves=())


def test_names_from_runs_are_text(drive):
    async def steps(app, chart, pilot):
        assert "\x1b" not in lines(app, chart)[0] and "[red]" in lines(app, chart)[0]

    on_a_chart(drive, steps, curves=[Curve("[red]\x1b]0;x\x07", STEPS, STEPS)])


LONG = 100_000


def test_curves_of_many_records_are_made_in_a_thread_while_the_chart_stays(drive, until):
    go_on = threading.Event()
    made_in = []

    def make():
        go_on.wait(20)
        made_in.append(threading.current_thread())
        return [Curve("longer", STEPS, STEPS)]

    async def steps(app, chart, pilot):
        chart.show_made(make, LONG)
        await pilot.press("right")
        assert [curve.name for curve in chart.curves] == ["training", "validation"] and chart.cursor == 100
        go_on.set()
        await until(pilot, lambda: [curve.name for curve in chart.curves] == ["longer"])
        assert made_in != [threading.main_thread()]

    on_a_chart(drive, steps)


def test_of_what_is_asked_for_while_curves_are_made_only_the_newest_is_made(drive, until):
    go_on = threading.Event()
    asked = []

    def makes(name):
        def make():
            asked.append(name)
            go_on.wait(20)
            return [Curve(name, STEPS, STEPS)]

        return make

    async def steps(app, chart, pilot):
        for name in ("first", "second", "third"):
            chart.show_made(makes(name), LONG)
        go_on.set()
        await until(pilot, lambda: [curve.name for curve in chart.curves] == ["third"])
        assert asked == ["first", "third"]

    on_a_chart(drive, steps)


def test_curves_of_what_the_chart_no_longer_shows_do_not_appear(drive, until):
    begun, go_on, ended = threading.Event(), threading.Event(), threading.Event()

    def make():
        begun.set()
        go_on.wait(20)
        ended.set()
        return [Curve("of another run", STEPS, STEPS)]

    async def steps(app, chart, pilot):
        chart.show_made(make, LONG)
        await until(pilot, begun.is_set)
        chart.show(())
        go_on.set()
        await until(pilot, ended.is_set)
        chart.show_made(lambda: [Curve("of this run", STEPS, STEPS)], LONG)
        await until(pilot, lambda: chart.curves)
        assert [curve.name for curve in chart.curves] == ["of this run"]

    on_a_chart(drive, steps)


def test_a_failure_to_make_curves_is_told(drive, until):
    def make():
        raise ValueError("[b]nothing fits")

    async def steps(app, chart, pilot):
        chart.show_made(make, LONG)
        await until(pilot, lambda: app._notifications)
        assert [one.message for one in app._notifications] == ["ValueError: [b]nothing fits"]
        assert [curve.name for curve in chart.curves] == ["training", "validation"]

    on_a_chart(drive, steps)


def test_what_is_looked_at_holds_for_curves_that_come_later(drive):
    async def steps(app, chart, pilot):
        chart.look_at((20.0, 40.0))
        chart.show(CURVES)
        assert (chart.view.x_min, chart.view.x_max) == (20.0, 40.0)
        assert 50 < chart.view.y_min < 65

    on_a_chart(drive, steps, curves=())


def test_only_lines_that_have_become_others_are_drawn_again(drive, monkeypatch):
    drawn = []

    async def steps(app, chart, pilot):
        monkeypatch.setattr(chart, "render_line", lambda y: drawn.append(y) or Chart.render_line(chart, y))
        chart.show((Curve("training", STEPS, 100 - STEPS), Curve("validations", STEPS, 200 - STEPS, 1)))
        await pilot.pause()
        assert drawn == [0]

    on_a_chart(drive, steps)


class Grid(Themed):
    def __init__(self, count):
        super().__init__()
        self.count = count
        self.asked = []

    def compose(self):
        yield ChartGrid("nothing yet")

    @property
    def grid(self):
        return self.query_one(ChartGrid)

    def show(self, **more):
        def plot(name):
            def curves():
                self.asked.append(name)
                return CURVES

            return Plot(name, curves)

        self.grid.show([plot(f"metric{number}") for number in range(self.count)], **more)


def on_a_grid(drive, count, size, steps):
    async def run():
        app = Grid(count)
        async with app.run_test(size=size) as pilot:
            app.show()
            await pilot.pause()
            app.grid.focus_first()
            await pilot.pause()
            await steps(app, app.grid, pilot)

    drive(run)


@pytest.mark.parametrize(("width", "columns"), [(80, 1), (109, 1), (110, 2), (180, 3), (240, 3)])
def test_wide_terminals_have_more_columns(drive, width, columns):
    async def steps(app, grid, pilot):
        assert len({chart.region.x for chart in grid.charts}) == columns
        assert all(chart.size.height >= 8 for chart in grid.charts)

    on_a_grid(drive, 9, (width, 30), steps)


def test_few_charts_share_the_height(drive):
    async def steps(app, grid, pilot):
        assert [chart.size.height for chart in grid.charts] == [15, 15]

    on_a_grid(drive, 2, (80, 30), steps)


def test_only_charts_in_sight_are_drawn(drive):
    async def steps(app, grid, pilot):
        assert set(app.asked) == {"metric0", "metric1", "metric2"}
        await pilot.press("down", "down", "down")
        await pilot.pause()
        assert "metric3" in app.asked and "metric9" not in app.asked
        app.asked.clear()
        app.show()
        await pilot.pause()
        assert "metric0" not in app.asked and "metric3" in app.asked

    on_a_grid(drive, 10, (80, 24), steps)


def test_cursor_and_zoom_are_shared(drive):
    async def steps(app, grid, pilot):
        await pilot.press("l", "h", "plus", "L")
        await pilot.pause()
        first, second = grid.charts
        assert second.cursor == first.cursor is not None
        assert (second.view.x_min, second.view.x_max) == (first.view.x_min, first.view.x_max)
        assert first.view.x_max - first.view.x_min == pytest.approx(70)
        await pilot.press("0")
        await pilot.pause()
        assert second.cursor is None and second.view.x_max == 100

    on_a_grid(drive, 2, (80, 24), steps)


def test_a_chart_that_comes_into_sight_later_has_the_same_cursor_and_zoom(drive):
    async def steps(app, grid, pilot):
        await pilot.press("l", "plus")
        for _ in range(9):
            await pilot.press("down")
        await pilot.pause()
        first, last = grid.charts[0], grid.charts[-1]
        assert app.focused is last
        assert last.cursor == first.cursor
        assert (last.view.x_min, last.view.x_max) == (first.view.x_min, first.view.x_max)

    on_a_grid(drive, 10, (80, 24), steps)


def test_a_chart_is_enlarged_and_its_neighbours_take_its_place(drive):
    async def steps(app, grid, pilot):
        await pilot.press("f")
        await pilot.pause()
        assert [chart.display for chart in grid.charts] == [True, False, False, False]
        assert grid.charts[0].size.height == 24
        await pilot.press("j")
        await pilot.pause()
        assert [chart.display for chart in grid.charts] == [False, True, False, False]
        assert app.focused is grid.charts[1]
        await pilot.press("enter")
        await pilot.pause()
        assert all(chart.display for chart in grid.charts)
        assert grid.charts[1].size.height == 8

    on_a_grid(drive, 4, (80, 24), steps)


def test_charts_come_and_go_in_their_order(drive):
    async def steps(app, grid, pilot):
        grid.show([Plot(name, lambda: CURVES) for name in ("metric1", "new", "metric0")])
        await pilot.pause()
        tops = {chart.title: chart.region.y for chart in grid.charts}
        assert tops["metric1"] < tops["new"] < tops["metric0"]
        grid.show([])
        await pilot.pause()
        assert not grid.charts and grid.query_one("#empty").display

    on_a_grid(drive, 3, (80, 40), steps)
