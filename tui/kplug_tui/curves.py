"""From a run's records to curves: which metrics belong together, what x is, how much is smoothed."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

import numpy as np

from kplug.runs.direction import chief_first
from kplug_tui.drawing import Curve, smoothed, ticks, time_ticks
from kplug_tui.formatting import duration

if TYPE_CHECKING:
    from kplug.runs.metric_arrays import MetricArrays

AXES = ("step", "epoch", "time")
_VALIDATION = "val_"
_ENVIRONMENT_STEPS = "environment_steps"
_FEW = 3


def metric_groups(names: Iterable[str]) -> list[str]:
    """Return metrics without `val_`, each once: what training and validation share a chart for.

    The loss is first, and the return; `environment_steps` is none of them, since it is what the others are drawn over.
    """
    bare = dict.fromkeys(name.removeprefix(_VALIDATION) for name in names if name != _ENVIRONMENT_STEPS)
    return chief_first(bare)


def metric_curves(
    metrics: MetricArrays, group: str, axis: str = "step", smoothing: float = 0.0, name: str = "", colour: int = 0
) -> list[Curve]:
    """Return the curves of a metric in training and in validation.

    Training is drawn by step where steps were recorded, else by epoch; validation has a point an epoch.

    Args:
        metrics: A run's records.
        group: The metric's name without `val_`.
        axis: What x is: `step` (of the environment, where the records have `environment_steps`), `epoch` (fractions of
            it, where steps were recorded) or `time` in seconds.
        smoothing: The weight of the past, from 0 to below 1. What is smoothed is drawn faintly behind.
        name: What to call the curves instead of by the metric.
        colour: Number of the first one's colour.
    """
    positions = _positions(metrics, axis)
    curves: list[Curve] = []
    for offset, key in enumerate((group, _VALIDATION + group)):
        if key not in metrics.metrics:
            continue
        values = metrics.metrics[key]
        there = np.isfinite(values) & np.isfinite(positions)
        if key == group:
            by_step = there & ~metrics.epoch_end
            there = by_step if by_step.sum() > _FEW else there & metrics.epoch_end
        x, y = positions[there], values[there]
        label = (f"{name} {_VALIDATION}" if offset else name) if name else key
        if smoothing > 0.0 and len(y) > _FEW:
            curves.append(Curve(label, x, y, colour + offset, faint=True))
            y = smoothed(y, smoothing)
        curves.append(Curve(label.strip("_ ") if name else label, x, y, colour + offset))
    return curves


def position_label(axis: str) -> Callable[[float], str]:
    """Return what puts a position on an axis into words."""
    return {"step": _step, "epoch": _epoch, "time": moment}[axis]


def position_ticks(axis: str) -> Callable[[float, float, int], list[float]]:
    """Return what finds the marks of an axis."""
    return {"step": _whole_ticks, "epoch": ticks, "time": time_ticks}[axis]


def moment(seconds: float) -> str:
    """Return a time since the beginning: `1h 30m`, and fractions of the first seconds."""
    if abs(seconds) < 10 and round(seconds, 6) != round(seconds):
        return f"{seconds:.2g}s"
    return duration(seconds) if seconds >= 0 else f"-{duration(-seconds)}"


def _step(position: float) -> str:
    step = round(position)
    for least, unit_size, unit in ((10**9, 10**9, "G"), (10**6, 10**6, "M"), (10**4, 10**3, "k")):
        if abs(step) >= least:
            return f"{step / unit_size:.6g}{unit}"
    return str(step)


def _epoch(position: float) -> str:
    return f"{position:.3f}".rstrip("0").rstrip(".")


def _whole_ticks(low: float, high: float, most: int) -> list[float]:
    return [tick for tick in ticks(low, high, most) if abs(tick - round(tick)) < 1e-6]


def _positions(metrics: MetricArrays, axis: str) -> np.ndarray:
    if axis == "time":
        return metrics.times - (metrics.times[0] if len(metrics.times) else 0.0)
    if axis == "step" and _ENVIRONMENT_STEPS in metrics.metrics:
        return metrics.metrics[_ENVIRONMENT_STEPS]
    if axis == "step" or not len(metrics.steps):
        return metrics.steps.astype(np.float64)
    return _epochs(metrics.steps, metrics.epochs, metrics.epoch_end)


def _epochs(steps: np.ndarray, epochs: np.ndarray, ends: np.ndarray) -> np.ndarray:
    """Return how many epochs were over at each record, with fractions where the length of an epoch is known."""
    if not ends.any():
        return epochs.astype(np.float64)
    lengths = np.diff(np.concatenate(([0], steps[ends])))
    length = float(np.median(lengths)) or 1.0
    return steps / length
