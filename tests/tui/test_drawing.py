"""Curves as dots: against slow loops and pictures drawn by hand."""

import math

import numpy as np
import pytest

from kplug_tui.drawing import (
    Curve,
    View,
    characters,
    dots,
    labels,
    log_ticks,
    overlaid,
    smoothed,
    ticks,
    time_ticks,
    value_at,
    whole_view,
)

pytestmark = pytest.mark.neutral


def curve(x, y, **more):
    return Curve("c", np.asarray(x, float), np.asarray(y, float), **more)


def drawn(one, view, width, height):
    return characters(dots(one, view, width, height))


def slowly_smoothed(values, weight):
    """TensorBoard's smoothing, one value at a time; what is not finite is passed over."""
    result, last, count = [], 0.0, 0
    for value in values:
        if not math.isfinite(value):
            result.append(value)
            continue
        last = last * weight + (1 - weight) * value
        count += 1
        result.append(last / (1 - weight**count))
    return np.array(result)


@pytest.mark.parametrize("weight", [0.3, 0.6, 0.9, 0.99, 0.999])
@pytest.mark.parametrize("length", [1, 2, 7, 5000])
def test_smoothing_is_that_of_a_loop(weight, length):
    y = np.random.default_rng(0).normal(3.0, 10.0, length)
    np.testing.assert_allclose(smoothed(y, weight), slowly_smoothed(y, weight), rtol=1e-9)


def test_smoothing_passes_over_what_is_not_finite():
    y = np.array([math.nan, 1.0, 2.0, math.inf, 3.0, math.nan, 4.0])
    np.testing.assert_allclose(smoothed(y, 0.5), slowly_smoothed(y, 0.5), rtol=1e-12)


def test_smoothing_holds_the_largest_numbers():
    y = np.array([1e308, 1.0, -1e308, *[1e308] * 2000])
    found = smoothed(y, 0.9)
    assert np.isfinite(found).all()
    np.testing.assert_allclose(found, slowly_smoothed(y / 1e10, 0.9) * 1e10, rtol=1e-9)


def test_without_smoothing_a_curve_stays_what_it_is():
    y = np.array([3.0, 1.0])
    assert smoothed(y, 0.0) is y


def test_a_rising_line_is_drawn_dot_by_dot():
    # Two cells of 2 x 4 dots each: from the lower left to the upper right.
    assert drawn(curve([0, 1], [0, 1]), View(0, 1, 0, 1), 2, 1) == ["⡠⠊"]


def test_a_horizontal_line_in_the_middle():
    assert drawn(curve([0, 1], [1, 1]), View(0, 1, 0, 3), 3, 1) == ["⠤⠤⠤"]


def test_a_single_point_is_a_single_dot():
    cells = dots(curve([0.5], [0.5]), View(0, 1, 0, 1), 10, 5)
    assert sum(bits.bit_count() for bits in cells.ravel().tolist()) == 1


def test_what_lies_outside_is_cut_off():
    # It enters and leaves the view: only the middle row of cells is crossed.
    view = View(0, 1, 0, 1)
    cells = dots(curve([-1, 2], [0.5, 0.5]), view, 4, 3)
    assert cells.any(axis=1).tolist() == [False, True, False]
    assert cells[1].all()
    assert not dots(curve([5, 6], [0.5, 0.5]), view, 4, 3).any()
    assert not dots(curve([0, 1], [7, 7]), view, 4, 3).any()


@pytest.mark.parametrize("size", [(1, 1), (1, 5), (5, 1), (0, 3), (3, 0)])
def test_every_size_can_be_drawn(size):
    width, height = size
    assert dots(curve([0, 1, 2], [0, 5, 1]), View(0, 2, 0, 5), width, height).shape == (height, width)


@pytest.mark.parametrize(
    "y",
    [
        [math.nan, math.nan, math.nan],
        [1.0, math.nan, 2.0],
        [1.0, math.inf, -math.inf],
        [-1.7e308, 0.0, 1.7e308],
        [1e-320, 1e-320, 1e-320],
        [0.0, 0.0, 0.0],
        [-5.0, -5.0, -5.0],
    ],
)
@pytest.mark.parametrize("log", [False, True])
def test_odd_values_can_be_drawn(y, log):
    one = curve([0, 1, 2], y)
    view = whole_view([one], log)
    assert view.x_max > view.x_min and view.y_max > view.y_min
    dots(one, view, 10, 4)
    marks = (log_ticks if log else ticks)(view.y_min, view.y_max, 4)
    assert len(labels(marks, log)) == len(marks)


def test_a_constant_curve_is_in_the_middle():
    view = whole_view([curve([0, 1], [7, 7])])
    assert view.y_min < 7 < view.y_max
    assert (view.y_min + view.y_max) / 2 == pytest.approx(7)


def test_no_curve_has_a_view_too():
    view = whole_view([])
    assert (view.x_min, view.x_max) == (0.0, 1.0)


def test_a_logarithmic_view_leaves_out_what_has_no_logarithm():
    view = whole_view([curve([0, 1, 2, 3], [0.0, -1.0, 10.0, 1000.0])], log=True)
    assert (view.x_min, view.x_max) == (2.0, 3.0)
    assert view.y_min == pytest.approx(1 - 0.08) and view.y_max == pytest.approx(3 + 0.08)


def test_a_part_of_x_is_as_high_as_what_is_in_it():
    view = whole_view([curve(range(10), [100, 5, 5, 5, 5, 5, 5, 6, 5, 100])], x=(3, 7))
    assert 4.5 < view.y_min < 5 and 6 < view.y_max < 6.5


def test_where_curves_cross_the_later_one_gives_the_colour_and_no_dot_is_lost():
    rising, falling = curve([0, 1], [0, 1]), curve([0, 1], [1, 0])
    texts, owners = overlaid([rising, falling], View(0, 1, 0, 1), 2, 1)
    alone = dots(rising, View(0, 1, 0, 1), 2, 1) | dots(falling, View(0, 1, 0, 1), 2, 1)
    assert texts == characters(alone)
    assert owners == [[1, 1]]


def test_a_faint_curve_lies_behind():
    behind, front = curve([0, 1], [1, 1], faint=True), curve([0, 1], [1, 1.1])
    view = View(0, 1, 0, 2)
    texts, owners = overlaid([front, behind], view, 4, 1)
    assert texts == characters(dots(front, view, 4, 1))
    assert owners == [[0, 0, 0, 0]]


def test_a_million_points_keep_their_extremes():
    y = np.zeros(1_000_000)
    y[654_321] = 1.0
    one = curve(np.arange(1_000_000), y)
    cells = dots(one, whole_view([one]), 100, 20)
    assert cells[0, 65]


@pytest.mark.parametrize(
    ("x", "expected"), [(-5, 10.0), (0, 10.0), (0.4, 10.0), (1.6, 30.0), (3, 40.0), (math.inf, 40.0)]
)
def test_the_value_at_a_position_is_that_of_the_nearest_point(x, expected):
    assert value_at(curve([0, 1, 2, 3], [10, math.nan, 30, 40]), x) == expected


def test_a_curve_without_values_has_none_anywhere():
    assert math.isnan(value_at(curve([], []), 1.0))
    assert math.isnan(value_at(curve([1], [math.nan]), 1.0))


@pytest.mark.parametrize(
    ("low", "high", "most", "expected"),
    [
        (0, 10, 5, [0, 2, 4, 6, 8, 10]),
        (0.03, 0.31, 3, [0.1, 0.2, 0.3]),
        (-1, 1, 2, [-1, 0, 1]),
        (99.5, 100.5, 2, [99.5, 100, 100.5]),
        (1, 1, 3, []),
        (0, math.inf, 3, []),
    ],
)
def test_ticks_are_round(low, high, most, expected):
    assert ticks(low, high, most) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("low", "high", "most", "expected"),
    [
        (0, 60, 4, [0, 15, 30, 45, 60]),
        (0, 3600, 4, [0, 900, 1800, 2700, 3600]),
        (100, 8000, 3, [3600, 7200]),
        (0, 2.5, 5, [0, 0.5, 1, 1.5, 2, 2.5]),
        (0, 86400 * 30, 3, [0, 864000, 1728000, 2592000]),
    ],
)
def test_ticks_of_time_are_round_durations(low, high, most, expected):
    assert time_ticks(low, high, most) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("low", "high", "most", "expected"),
    [
        (0.001, 1000, 6, [0.001, 0.01, 0.1, 1, 10, 100, 1000]),
        (1, 100, 6, [1, 2, 5, 10, 20, 50, 100]),
        (1, 100, 4, [1, 3, 10, 30, 100]),
        (30, 44, 3, [30, 35, 40]),
        (1e-30, 1, 4, [1e-30, 1e-22, 1e-14, 1e-6]),
    ],
)
def test_ticks_of_logarithms_are_round_numbers(low, high, most, expected):
    found = log_ticks(math.log10(low) - 1e-9, math.log10(high) + 1e-9, most)
    assert [10**one for one in found] == pytest.approx(expected, rel=1e-6)


def test_labels_have_as_many_digits_as_tell_them_apart():
    assert labels([0.0, 0.5, 1.0]) == ["0.0", "0.5", "1.0"]
    assert labels([10.0, 20.0]) == ["10", "20"]
    assert labels([1e7, 2e7]) == ["1e7", "2e7"]
    assert labels([-3.0, 0.0], log=True) == ["0.001", "1"]


def test_a_view_is_zoomed_around_a_position_and_never_beyond_what_numbers_tell_apart():
    view = View(0, 10, 0, 1)
    assert view.zoomed(0.5, x=2.0) == View(1.0, 6.0, 0, 1)
    for _ in range(200):
        view = view.zoomed(0.5)
    assert view.x_max > view.x_min
    for _ in range(3000):
        view = view.zoomed(2.0, 2.0)
    assert math.isfinite(view.x_max - view.x_min)


def test_a_view_is_moved_by_shares_of_its_size():
    assert View(0, 10, 0, 2).moved(0.2, -0.5) == View(2, 12, -1, 1)
