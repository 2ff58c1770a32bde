"""Readings of several sensors with planted anomalies."""

from __future__ import annotations

from typing import Annotated, Literal

import kplug
import numpy as np
from pydantic import Field

from kplug_bayes.checked_numbers import check_choice, check_number, check_seed, checked_count
from kplug_bayes.datasets.three_splits import Fraction, Seed, split_sizes, standardized

KINDS = ("normal", "spike", "drift", "stuck")
_SEGMENT = 40
"""Readings that a sensor drifts or is stuck for."""
_PERIOD = 288
"""Readings of a day, one in five minutes."""
_FACTORS = 2


@kplug.component(
    tasks=["anomaly-detection", "tabular-classification", "density-estimation"],
    provides=["input_shape", "num_features", "feature_names", "num_classes", "class_names"],
)
def sensor_readings(
    num_samples: Annotated[int, Field(ge=1000)] = 20000,
    num_sensors: Annotated[int, Field(ge=3)] = 6,
    contamination: Annotated[float, Field(gt=0, lt=0.3)] = 0.03,
    noise: Annotated[float, Field(gt=0)] = 0.15,
    labels: Literal["anomaly", "kind"] = "anomaly",
    standardize: bool = True,
    validation_fraction: Fraction = 0.1,
    test_fraction: Fraction = 0.2,
    seed: Seed = 0,
) -> kplug.Dataset:
    """Readings of sensors that measure one process, with planted faults; needs no download.

    Two hidden factors, a daily cycle and a slow random walk that returns to its mean, drive all sensors, each in
    another mixture, and each adds noise of its own. What is normal is therefore that sensors agree. Of the faulty
    readings about a third each are

    - `spike`: one sensor is 3 to 6 of its deviations off for one reading,
    - `drift`: one sensor wanders off for 40 readings, by 3 to 5 deviations at the end,
    - `stuck`: one sensor stays at one value, 1 to 2 deviations from its mean, for 40 readings.

    A drift begins with nothing to be seen, and the others may pass by where a sensor is stuck: no detector that looks
    at one reading at a time finds them all. All splits have faults. A detector learns without labels, so those of the
    training split are for supervised models and for curiosity.

    Args:
        num_samples: Number of readings; the splits follow each other in time.
        num_sensors: Number of sensors.
        contamination: Share of faulty readings, to within one segment of a split; at least one of each kind.
        noise: Deviation of the sensors' own noise, in deviations of what they measure.
        labels: What `y` is: `"anomaly"`, 0 or 1, or `"kind"`, the number of the kind.
        standardize: Whether to subtract each sensor's mean and divide by its standard deviation, both of the training
            split.
        validation_fraction: Share of the samples outside the test split that becomes the validation split.
        test_fraction: Share of the samples that becomes the test split.
        seed: Seed of the readings and the faults.

    Returns:
        A `kplug.Dataset` with `x` of shape `(samples, num_sensors)`, float32, and `y` of shape `(samples,)`, int64; its
        info has `input_shape`, `num_features`, `feature_names`, `num_classes` and `class_names`.

    Raises:
        ValueError: If a parameter is out of range, or a split is too short for a fault of each kind.

    Example:

    >>> readings = kplug_bayes.sensor_readings(num_samples=5000)
    >>> readings.train[0].shape, readings.info["class_names"]
    ((3600, 6), ('normal', 'anomaly'))
    """
    checked_count("num_samples", num_samples, least=1000)
    checked_count("num_sensors", num_sensors, least=3)
    check_number("contamination", contamination, 0, 0.3, ends="()")
    check_number("noise", noise, 0, ends="(]")
    check_choice("labels", labels, ("anomaly", "kind"))
    check_seed(seed)
    sizes = split_sizes(num_samples, validation_fraction, test_fraction)
    random = np.random.default_rng(seed)
    x = _process(num_samples, num_sensors, random)
    x += noise * random.standard_normal(x.shape)
    y = np.zeros(num_samples, "int64")
    for end, size in zip(np.cumsum(sizes), sizes, strict=True):
        _plant(x[end - size : end], y[end - size : end], contamination, random)
    if standardize:
        x = standardized(x, by=x[: sizes[0]])
    x = x.astype("float32")
    names = KINDS if labels == "kind" else ("normal", "anomaly")
    y = y if labels == "kind" else (y > 0).astype("int64")
    train, validation, test = zip(*(np.split(array, np.cumsum(sizes)[:2]) for array in (x, y)), strict=True)
    info = {
        "input_shape": (num_sensors,),
        "num_features": num_sensors,
        "feature_names": tuple(f"sensor {number}" for number in range(1, num_sensors + 1)),
        "num_classes": len(names),
        "class_names": names,
    }
    return kplug.Dataset(train, validation, test, info)


def _process(num_samples: int, num_sensors: int, random: np.random.Generator) -> np.ndarray:
    """Return what there is to measure, of shape `(num_samples, num_sensors)`, each column of deviation 1 or so."""
    cycle = np.sqrt(2) * np.sin(2 * np.pi * np.arange(num_samples) / _PERIOD)
    walk, kept = np.empty(num_samples), 0.99
    value = random.standard_normal()
    for step, shock in enumerate(random.standard_normal(num_samples)):
        walk[step] = value
        value = kept * value + np.sqrt(1 - kept**2) * shock
    mixture = random.normal(size=(_FACTORS, num_sensors))
    return np.asarray(np.stack([cycle, walk], axis=1) @ (mixture / np.linalg.norm(mixture, axis=0)))


def _plant(x: np.ndarray, y: np.ndarray, contamination: float, random: np.random.Generator) -> None:
    """Put faults into a split, and their kinds into its labels; no two touch."""
    slots = len(x) // (2 * _SEGMENT)
    each = contamination * len(x) / 3
    segments = max(1, round(each / _SEGMENT))
    if slots < 2 * segments + 1:
        raise ValueError(
            f"Each split must have {(2 * segments + 1) * 2 * _SEGMENT} readings or more for faults of each kind. "
            f"Received: a split of {len(x)}. Ask for more samples, or larger fractions"
        )
    order = random.permutation(slots)
    deviation = x.std(axis=0)
    for number, slot in enumerate(order[: 2 * segments]):
        begin = slot * 2 * _SEGMENT + int(random.integers(_SEGMENT))
        rows, sensor = slice(begin, begin + _SEGMENT), int(random.integers(x.shape[1]))
        sign = random.choice([-1.0, 1.0])
        if number % 2:
            x[rows, sensor] += sign * deviation[sensor] * random.uniform(3, 5) * np.linspace(0, 1, _SEGMENT)
            y[rows] = KINDS.index("drift")
        else:
            x[rows, sensor] = x[:, sensor].mean() + sign * deviation[sensor] * random.uniform(1, 2)
            y[rows] = KINDS.index("stuck")
    free = np.concatenate(
        [np.arange(slot * 2 * _SEGMENT, (slot + 1) * 2 * _SEGMENT, 2) for slot in order[2 * segments :]]
    )
    count = min(len(free), max(1, round(each)))
    spikes = random.choice(free, count, replace=False)
    sensors = random.integers(x.shape[1], size=count)
    x[spikes, sensors] += random.choice([-1.0, 1.0], count) * deviation[sensors] * random.uniform(3, 6, count)
    y[spikes] = KINDS.index("spike")
