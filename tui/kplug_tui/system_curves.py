"""From samples of the machine to curves: processor, memory, and what each GPU does."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from kplug_tui.drawing import Curve

Samples = Sequence[Mapping[str, Any]]
_GIB = 2.0**30
_GPU = (
    ("GPU utilisation %", "utilization_percent", 1.0),
    ("GPU memory GiB", "memory_bytes", _GIB),
    ("GPU power W", "power_watts", 1.0),
    ("GPU temperature °C", "temperature_celsius", 1.0),
)


def system_plots(samples: Samples) -> list[str]:
    """Return the names of the plots that there is something for."""
    if not samples:
        return []
    gpus = max((len(_gpus(sample)) for sample in (samples[0], samples[-1])), default=0)
    return ["CPU %", "memory GiB", "host memory %", *(name for name, _, _ in _GPU if gpus)]


def system_curves(samples: Samples, plot: str) -> list[Curve]:
    """Return the curves of a plot over the seconds since the first sample.

    Args:
        samples: Samples of the machine, oldest first.
        plot: One of the names that `system_plots` gives.
    """
    times = np.array([_number(sample.get("time")) for sample in samples])
    x = times - (times[0] if len(times) else 0.0)

    def curve(name: str, key: str, unit: float = 1.0, colour: int = 0) -> Curve:
        return Curve(name, x, np.array([_number(sample.get(key)) for sample in samples]) / unit, colour)

    if plot == "CPU %":
        return [curve("host", "host_cpu_percent", colour=1), curve("run, of one core", "cpu_percent")]
    if plot == "memory GiB":
        return [curve("run", "memory_bytes", _GIB)]
    if plot == "host memory %":
        return [curve("host", "host_memory_percent", colour=1)]
    key, unit = next((key, unit) for name, key, unit in _GPU if name == plot)
    count = max((len(_gpus(sample)) for sample in samples), default=0)
    return [
        Curve(f"{place}", x, np.array([_of_gpu(sample, place, key) for sample in samples]) / unit, place)
        for place in range(count)
    ]


def _gpus(sample: Mapping[str, Any]) -> Sequence[Any]:
    gpus = sample.get("gpus")
    return gpus if isinstance(gpus, list) else ()


def _of_gpu(sample: Mapping[str, Any], place: int, key: str) -> float:
    gpus = _gpus(sample)
    gpu = gpus[place] if place < len(gpus) else None
    return _number(gpu.get(key)) if isinstance(gpu, Mapping) else math.nan


def _number(value: Any) -> float:
    return float(value) if isinstance(value, int | float) else math.nan
