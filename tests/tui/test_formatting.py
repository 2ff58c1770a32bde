"""Numbers, times and states in few characters."""

import math

import pytest

from kplug_tui.formatting import age, bare, duration, number, plain, progress, seconds_left, size

pytestmark = pytest.mark.neutral


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.123456, "0.1235"),
        (0.0, "0"),
        (1e-7, "1.00e-07"),
        (123456.0, "1.23e+05"),
        (12, "12"),
        (None, "nan"),
        (math.nan, "nan"),
        (-math.inf, "-inf"),
        ("\x1b[31mred", "red"),
    ],
)
def test_numbers(value, text):
    assert number(value) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0s"), (59.9, "59s"), (61, "1m 1s"), (3600, "1h"), (90061, "1d 1h"), (None, ""), (-1, ""), (math.inf, "")],
)
def test_durations(seconds, text):
    assert duration(seconds) == text


def test_ages_and_sizes():
    assert age(1000.0, now=1000.0 + 7300) == "2h"
    assert age(2000.0, now=1000.0) == "0s"
    assert age("yesterday") == ""
    assert [size(count) for count in (0, 1023, 1536, 3 * 2**30, None)] == ["0 B", "1023 B", "1.5 KiB", "3.0 GiB", ""]


def test_text_is_no_markup():
    assert plain("[red]x[/red]\x1b[0m").plain == "[red]x[/red]"
    assert [bare(name) for name in ("kplug/vae", "acme/wavelet", None)] == ["vae", "acme/wavelet", "?"]


def test_progress_and_the_time_that_is_left():
    run = {"state": "running", "step": 50, "epochs": 10, "steps_per_epoch": 20, "first_batch": 1000.0, "first_step": 0}
    assert progress(run) == 0.25
    assert seconds_left(run, now=1010.0) == pytest.approx(30.0)
    resumed = {**run, "first_step": 40}
    assert seconds_left(resumed, now=1010.0) == pytest.approx(150.0)
    assert progress({"state": "completed"}) == 1.0
    assert progress({"state": "running", "epoch": 3, "epochs": 4}) == 0.75
    assert progress({"state": "queued"}) is None
    assert seconds_left({**run, "state": "stopped"}) is None
