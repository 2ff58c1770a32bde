"""Curves as dots of Braille characters, with axes: plain arrays, no widget."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

_DOTS = np.array([[0x01, 0x08], [0x02, 0x10], [0x04, 0x20], [0x40, 0x80]], dtype=np.uint8)
_BRAILLE = 0x2800
_NICE = (1.0, 2.0, 5.0, 10.0)
_NICE_SECONDS = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200, 86400)
_MARGIN = 0.04
_MOST_DOTS = 200_000
_MOST_POWER = 300
_LARGE = 1e100


@dataclass(frozen=True, eq=False)
class Curve:
    """A curve.

    Attributes:
        name: What it is called in the legend.
        x: Positions, ascending.
        y: Values, as many; those that are not finite are left out.
        colour: Number of its colour.
        faint: Whether it is drawn behind the others and does not stand in the legend.
    """

    name: str
    x: np.ndarray
    y: np.ndarray
    colour: int = 0
    faint: bool = False

    _thin: dict[tuple[float, float, bool, int], tuple[np.ndarray, np.ndarray]] = field(default_factory=dict, init=False)

    @cached_property
    def points(self) -> tuple[np.ndarray, np.ndarray]:
        """The positions and values that are finite."""
        return _finite(self.x, self.y)

    def thinned(self, view: View, points: int) -> tuple[np.ndarray, np.ndarray]:
        """Return about so many points of those in a view that look like all; those of the last view are kept."""
        key = (view.x_min, view.x_max, view.log, points)
        if key not in self._thin:
            self._thin.clear()
            self._thin[key] = _thinned(*_visible(self, (view.x_min, view.x_max), view.log), points)
        return self._thin[key]

    @cached_property
    def log_points(self) -> tuple[np.ndarray, np.ndarray]:
        """The positions of the positive values, and the values' logarithms to base 10."""
        x, y = self.points
        with np.errstate(divide="ignore", invalid="ignore"):
            return _finite(x, np.log10(y))


@dataclass(frozen=True)
class View:
    """The part of the plane that is drawn.

    Attributes:
        x_min: Left end.
        x_max: Right end, greater than the left.
        y_min: Lower end; its logarithm to base 10 where the axis is logarithmic.
        y_max: Upper end, likewise.
        log: Whether the y axis is logarithmic.
    """

    x_min: float
    x_max: float
    y_min: float
    y_max: float
    log: bool = False

    def zoomed(self, x_factor: float, y_factor: float = 1.0, x: float | None = None) -> View:
        """Return a view of another size around a position, or around the middle."""
        centre = (self.x_min + self.x_max) / 2 if x is None else x
        middle = (self.y_min + self.y_max) / 2
        return self._checked(
            centre + (self.x_min - centre) * x_factor,
            centre + (self.x_max - centre) * x_factor,
            middle + (self.y_min - middle) * y_factor,
            middle + (self.y_max - middle) * y_factor,
        )

    def moved(self, x_share: float, y_share: float = 0.0) -> View:
        """Return a view further to the right and up, by shares of its own size."""
        dx, dy = (self.x_max - self.x_min) * x_share, (self.y_max - self.y_min) * y_share
        return self._checked(self.x_min + dx, self.x_max + dx, self.y_min + dy, self.y_max + dy)

    def _checked(self, x_min: float, x_max: float, y_min: float, y_max: float) -> View:
        """Return the view, or this one where numbers do not reach so far."""
        fine = all(math.isfinite(one) for one in (x_min, x_max, y_min, y_max))
        # A view that is smaller than the numbers' own resolution has no inside.
        wide = x_max - x_min > 1e-9 * max(1e-9, abs(x_min), abs(x_max))
        high = y_max - y_min > 1e-9 * max(1e-9, abs(y_min), abs(y_max))
        return View(x_min, x_max, y_min, y_max, self.log) if fine and wide and high else self


def whole_view(curves: Sequence[Curve], log: bool = False, x: tuple[float, float] | None = None) -> View:
    """Return the view that holds all curves, or what they have between two positions."""
    low, high = [], []
    left, right = [], []
    for curve in curves:
        xs, ys = _visible(curve, x, log)
        if len(xs):
            left.append(xs[0])
            right.append(xs[-1])
            low.append(ys.min())
            high.append(ys.max())
    x_min, x_max = x if x is not None else (float(min(left, default=0.0)), float(max(right, default=1.0)))
    y_min, y_max = float(min(low, default=0.0)), float(max(high, default=1.0))
    if not x_max > x_min:
        x_min, x_max = x_min - 0.5, x_max + 0.5
    if not y_max > y_min:
        spread = abs(y_min) * 0.1 or 0.5
        y_min, y_max = y_min - spread, y_max + spread
    margin = (y_max - y_min) * _MARGIN
    return View(x_min, x_max, y_min - margin, y_max + margin, log)


def dots(curve: Curve, view: View, width: int, height: int) -> np.ndarray:
    """Return a curve's Braille bits, a uint8 array of shape `(height, width)` of cells; 0 where it is not."""
    cells = np.zeros((height, width), dtype=np.uint8)
    if width < 1 or height < 1:
        return cells
    x, y = curve.thinned(view, 4 * width)
    if not len(x):
        return cells
    with np.errstate(over="ignore", invalid="ignore"):
        columns = (x - view.x_min) / (view.x_max - view.x_min) * (2 * width - 1)
        rows = (view.y_max - y) / (view.y_max - view.y_min) * (4 * height - 1)
    columns, rows = _finite(columns, rows)
    if not len(rows):
        return cells
    # What lies far outside is drawn to the edge, not to where it is.
    columns, rows = _joined(np.clip(columns, -1.0, 2.0 * width), np.clip(rows, -1.0, 4.0 * height))
    inside = (columns >= 0) & (columns < 2 * width) & (rows >= 0) & (rows < 4 * height)
    column, row = columns[inside].astype(np.intp), rows[inside].astype(np.intp)
    np.bitwise_or.at(cells, (row // 4, column // 2), _DOTS[row % 4, column % 2])
    return cells


def overlaid(curves: Sequence[Curve], view: View, width: int, height: int) -> tuple[list[str], list[list[int]]]:
    """Return rows of characters, and for each of them the number of the curve whose colour it has, or -1.

    Where curves cross, a cell has the dots of both and the colour of the later one; faint ones lie behind all others.
    """
    front, back = (np.zeros((height, width), dtype=np.uint8) for _ in range(2))
    owners = np.full((height, width), -1, dtype=np.int16)
    for number in sorted(range(len(curves)), key=lambda number: not curves[number].faint):
        drawn = dots(curves[number], view, width, height)
        layer = back if curves[number].faint else front
        layer |= drawn
        owners[drawn > 0] = number
    return characters(np.where(front > 0, front, back)), owners.tolist()


def characters(cells: np.ndarray) -> list[str]:
    """Return rows of Braille characters; a blank where there are no dots."""
    return ["".join(chr(_BRAILLE + bits) if bits else " " for bits in row.tolist()) for row in cells]


def value_at(curve: Curve, x: float) -> float:
    """Return a curve's value at the point nearest to a position; NaN if it has none."""
    xs, ys = curve.points
    if not len(xs):
        return math.nan
    place = int(np.searchsorted(xs, x))
    if place == len(xs) or (place > 0 and x - xs[place - 1] <= xs[place] - x):
        place -= 1
    return float(ys[place])


def ticks(low: float, high: float, most: int) -> list[float]:
    """Return round numbers between two ends, about so many at most."""
    span = high - low
    if most < 1 or not span > 0 or not math.isfinite(span):
        return []
    rough = span / most
    power = 10.0 ** math.floor(math.log10(rough)) if rough > 0 else 0.0
    if power == 0.0 or not math.isfinite(power):
        return []
    step = next((nice * power for nice in _NICE if nice * power >= rough * (1 - 1e-9)), 10.0 * power)
    first = math.ceil(low / step - 1e-9)
    found = [(first + place) * step for place in range(most + 2)]
    return [tick for tick in found if tick <= high + step * 1e-9][: most + 1]


def time_ticks(low: float, high: float, most: int) -> list[float]:
    """Return round durations in seconds between two ends, about so many at most."""
    span = high - low
    if most < 1 or not span > 0 or not math.isfinite(span):
        return []
    step = next((nice for nice in _NICE_SECONDS if nice * most >= span), None)
    if step is None:
        return [day * 86400.0 for day in ticks(low / 86400, high / 86400, most)]
    if span < most:
        return ticks(low, high, most)
    first = math.ceil(low / step - 1e-9)
    return [float(place * step) for place in range(first, math.floor(high / step + 1e-9) + 1)]


def log_ticks(low: float, high: float, most: int) -> list[float]:
    """Return the logarithms to base 10 of round numbers between two ends that are logarithms as well."""
    span = high - low
    if most < 1 or not span > 0 or not math.isfinite(span):
        return []
    powers = range(math.floor(low), math.ceil(high) + 1)
    for digits in ((1, 2, 3, 4, 5, 6, 7, 8, 9), (1, 2, 5), (1, 3), (1,)):
        found = [power + math.log10(digit) for power in powers for digit in digits]
        found = [one for one in found if low <= one <= high]
        if len(found) <= most + 1:
            break
    if span < 1.0 and abs(high) < _MOST_POWER and abs(low) < _MOST_POWER:
        # Less than a decade: numbers that are round by themselves.
        found = [math.log10(one) for one in ticks(10.0**low, 10.0**high, most) if one > 0] or found
    if len(found) > most + 1:
        found = found[:: math.ceil(len(found) / most)]
    return found


def labels(values: Sequence[float], log: bool = False) -> list[str]:
    """Return the texts of ticks, with as many digits as tell them apart."""
    if log:
        return [_short(10.0**value) if abs(value) < _MOST_POWER else f"1e{value:.0f}" for value in values]
    if len(values) < 2:
        return [_short(value) for value in values]
    step = values[1] - values[0]
    largest = max(abs(value) for value in values)
    if largest >= 1e6 or (largest and largest < 1e-3):
        return [_short(value) for value in values]
    digits = max(0, -math.floor(math.log10(step) + 1e-9)) if step > 0 else 0
    return [f"{value:.{min(digits, 12)}f}" for value in values]


def smoothed(y: np.ndarray, weight: float) -> np.ndarray:
    """Return an exponential moving average without the bias of its beginning, as TensorBoard smooths.

    Args:
        y: Values; those that are not finite are passed over and stay what they are.
        weight: Of the past, from 0 to below 1.
    """
    if weight <= 0.0 or not len(y):
        return y
    finite = np.isfinite(y)
    values = y[finite]
    result = y.astype(np.float64, copy=True)
    # Of numbers near the largest there are, the sums would not be any.
    scale = max(1.0, float(np.abs(values).max(initial=0.0)) / _LARGE)
    result[finite] = _averaged(values.astype(np.float64) / scale, weight) * scale
    return result


def _averaged(values: np.ndarray, weight: float) -> np.ndarray:
    # In blocks so short that the powers of the weight stay numbers.
    block = max(1, min(len(values), int(200.0 / -math.log10(weight)) if weight < 1 else 1))
    powers = weight ** np.arange(1, block + 1, dtype=np.float64)
    result = np.empty_like(values)
    total, count = 0.0, 0.0
    for start in range(0, len(values), block):
        part = values[start : start + block]
        power = powers[: len(part)]
        sums = power * (total + np.cumsum(part / power) * (1.0 - weight))
        counts = power * (count + np.cumsum(1.0 / power) * (1.0 - weight))
        result[start : start + block] = sums / counts
        total, count = float(sums[-1]), float(counts[-1])
    return result


def _visible(curve: Curve, x: tuple[float, float] | None, log: bool) -> tuple[np.ndarray, np.ndarray]:
    """Return a curve's finite points between two positions, and one more on each side for the line to come from."""
    xs, ys = curve.log_points if log else curve.points
    if x is not None:
        first = max(0, int(np.searchsorted(xs, x[0])) - 1)
        last = int(np.searchsorted(xs, x[1], side="right")) + 1
        xs, ys = xs[first:last], ys[first:last]
    return xs, ys


def _finite(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    finite = np.isfinite(x) & np.isfinite(y)
    return (x, y) if finite.all() else (x[finite], y[finite])


def _thinned(x: np.ndarray, y: np.ndarray, points: int) -> tuple[np.ndarray, np.ndarray]:
    if len(x) <= points:
        return x, y
    from kplug.runs.series import decimated

    return decimated(x, y, max(8, points))


def _joined(columns: np.ndarray, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the dots on the lines from each point to the next."""
    if len(columns) == 1:
        return np.rint(columns), np.rint(rows)
    dx, dy = np.diff(columns), np.diff(rows)
    counts = np.ceil(np.maximum(np.abs(dx), np.abs(dy))).astype(np.int64) + 1
    if counts.sum() > _MOST_DOTS:
        counts = np.minimum(counts, max(2, _MOST_DOTS // len(counts)))
    starts = np.repeat(np.arange(len(counts)), counts)
    within = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
    share = within / np.maximum(1, np.repeat(counts, counts) - 1)
    return (
        np.rint(columns[starts] + dx[starts] * share),
        np.rint(rows[starts] + dy[starts] * share),
    )


def _short(value: float) -> str:
    text = f"{value:.3g}"
    return text.replace("e+0", "e").replace("e-0", "e-").replace("e+", "e")
