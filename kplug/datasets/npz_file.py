"""A person's own arrays, as NumPy saves them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np

from kplug.catalog.facts import component
from kplug.datasets.dataset import Dataset
from kplug.datasets.limits import LARGEST, Fraction, Seed, check_choice, check_fractions, check_seed
from kplug.datasets.paths import existing_file
from kplug.datasets.splits import split_three_ways, split_two_ways
from kplug.datasets.table_columns import TARGET_KINDS, TargetKind
from kplug.datasets.tables import standardize_by, table_info
from kplug.errors import DataError

_SUFFIXES = {
    "train": ("", "_train"),
    "validation": ("_validation", "_val", "_valid"),
    "test": ("_test",),
}


@component(
    tasks=[
        "image-classification",
        "image-generation",
        "tabular-classification",
        "tabular-regression",
        "density-estimation",
    ],
    provides=["input_shape", "num_features", "feature_names", "num_classes", "class_names"],
    references=["NumPy, numpy.savez, https://numpy.org/doc/stable/reference/generated/numpy.savez.html"],
)
def npz(
    path: str | Path,
    target_kind: TargetKind = "auto",
    standardize: bool = True,
    validation_fraction: Fraction = 0.1,
    test_fraction: Fraction = 0.2,
    seed: Seed = 0,
) -> Dataset:
    """Your own arrays from a file of `numpy.savez`: images or a table, with or without targets.

    The file has `x` and `y`, which are split here, or `x_train` and `y_train`, and where there are such splits
    `x_validation` (or `x_val`, `x_valid`) and `x_test` with their `y`; a split that is not there is cut off the
    training arrays. Upper case is the same; arrays of other names are left alone.

    `x` of shape `(samples, features)` is a table. `x` of shape `(samples, height, width)` or `(samples, height, width,
    channels)` is images, either bytes (uint8), which are divided by 255, or numbers between 0 and 1.

    Args:
        path: The file.
        target_kind: `"classification"`, `"regression"`, or `"auto"`: whole-number types, truth values, texts and
            one-hot rows of any type are classes, other floating-point targets numbers. The label of a one-hot row is
            the number of its column.
        standardize: Whether to subtract each column's mean and divide by its standard deviation, both of the training
            split; for a table only.
        validation_fraction: Share of the samples that are not for test that becomes the validation split.
        test_fraction: Share of the samples that becomes the test split, where the file has none.
        seed: Seed of the order in which the samples are split; classes are in proportion in every split.

    Returns:
        A `kplug.Dataset` with `x` float32, of shape `(samples, features)` or `(samples, height, width, channels)`, and
        either classes of shape `(samples,)`, int64, counted from 0 in the order of the file's labels, or numbers of
        shape `(samples, outputs)`, float32; without `y` in the file the splits are `(x,)`. Its info has `input_shape`;
        for classes `num_classes` and `class_names`; for a table `num_features` and `feature_names`.

    Raises:
        ValueError: If a parameter is out of range.
        DataError: If the file cannot be read, arrays are missing or do not fit each other, or values are not finite or
            not those of images.

    References:
        NumPy, numpy.savez, https://numpy.org/doc/stable/reference/generated/numpy.savez.html

    Example:

    ```python
    np.savez("spectra.npz", x=spectra, y=labels)
    spectra = kplug.datasets.npz("spectra.npz")
    ```
    """
    check_choice("target_kind", target_kind, TARGET_KINDS)
    check_fractions(validation_fraction=validation_fraction, test_fraction=test_fraction)
    check_seed(seed)
    file = existing_file(path)
    parts = _parts(_arrays(file), file)
    xs = {split: _features(part, file) for split, part in parts.items()}
    _check_shapes(xs, file)
    ys, class_names = _targets(parts, target_kind, file)
    labels = np.asarray(class_names)[ys["train"]] if class_names else None
    chosen = _chosen(xs, labels, validation_fraction, test_fraction, seed, str(file))
    if xs["train"].ndim == 2:
        mean, scale = standardize_by(xs["train"][chosen["train"][1]]) if standardize else (0.0, 1.0)
        xs = {split: (x - mean) / scale for split, x in xs.items()}
        info = table_info([f"x{number}" for number in range(1, xs["train"].shape[1] + 1)], class_names or None)
    else:
        info = {"input_shape": xs["train"].shape[1:]}
        if class_names:
            info |= {"num_classes": len(class_names), "class_names": tuple(class_names)}
    splits = {}
    for split, (origin, indices) in chosen.items():
        x = xs[origin][indices].astype("float32")
        splits[split] = (x, ys[origin][indices]) if ys else (x,)
    return Dataset(splits["train"], splits["validation"], splits["test"], info)


@dataclass(frozen=True)
class _Part:
    """The arrays of one split as the file has them."""

    x_name: str
    x: np.ndarray
    y_name: str
    y: np.ndarray | None


def _arrays(file: Path) -> dict[str, np.ndarray]:
    try:
        loaded: Any = np.load(file, allow_pickle=False)
        if isinstance(loaded, np.ndarray):
            raise DataError(f"{file} holds one array without a name. Save `x` and `y` with numpy.savez.")
        with loaded:
            return {name: loaded[name] for name in loaded.files}
    except DataError:
        raise
    except (OSError, ValueError, EOFError, BadZipFile, KeyError) as error:
        raise DataError(
            f"{file} cannot be read as arrays of numbers or texts: {error}. Save them anew with numpy.savez; lists of "
            "unequal length and other Python objects cannot be used."
        ) from error


def _parts(arrays: dict[str, np.ndarray], file: Path) -> dict[str, _Part]:
    """Return the file's splits; "train" is always among them."""
    names = {name.lower(): name for name in arrays}
    parts = {}
    for split, suffixes in _SUFFIXES.items():
        suffix = next((suffix for suffix in suffixes if f"x{suffix}" in names), None)
        if suffix is not None:
            x, y = names[f"x{suffix}"], names.get(f"y{suffix}")
            parts[split] = _Part(x, arrays[x], f"y{suffix}" if y is None else y, None if y is None else arrays[y])
    if "train" not in parts:
        raise DataError(
            f"{file} has no array `x` or `x_train`. Its arrays: {', '.join(arrays) or 'none'}. "
            "Save the samples under one of these names."
        )
    for part in parts.values():
        if (part.y is None) != (parts["train"].y is None):
            missing, present = (part, parts["train"]) if part.y is None else (parts["train"], part)
            raise DataError(
                f"{file} has {present.y_name} but no {missing.y_name}. Save targets for every split, or none."
            )
        if part.y is not None and (part.y.ndim == 0 or len(part.y) != len(part.x)):
            raise DataError(
                f"{file}: {part.x_name} has {len(part.x)} samples, {part.y_name} {_length(part.y)}. "
                "Save one target for each sample."
            )
    return parts


def _length(array: np.ndarray) -> int:
    return 1 if array.ndim == 0 else len(array)


def _features(part: _Part, file: Path) -> np.ndarray:
    """Return a table's numbers as they are, images between 0 and 1 with their channels."""
    place, x = f"{file}, {part.x_name}", part.x
    if x.dtype.kind not in "fiub":
        raise DataError(f"{place}, has the type {x.dtype}; numbers are needed. Convert it.")
    if x.ndim not in {2, 3, 4}:
        raise DataError(
            f"{place}, has the shape {x.shape}; (samples, features) or (samples, height, width, channels) are needed. "
            "Reshape it."
        )
    if 0 in x.shape:
        raise DataError(f"{place}, has the shape {x.shape}: no values. Save at least one sample.")
    bad = ~(np.abs(x) <= LARGEST) if x.dtype.kind == "f" else np.zeros(1, bool)
    if bad.any():
        raise DataError(
            f"{place}, has {'NaN' if np.isnan(x).any() else f'infinity or numbers above {LARGEST:g}'}, first in sample "
            f"{int(np.flatnonzero(bad.reshape(len(x), -1).any(axis=1))[0])}. Remove or fill such values."
        )
    if x.ndim == 2:
        return x.astype("float64")
    if x.dtype == np.uint8:
        x = x.astype("float32") / 255
    elif x.min() < 0 or x.max() > 1:
        raise DataError(
            f"{place}, has images with values from {x.min():g} to {x.max():g}. Save bytes from 0 to 255 (uint8), or "
            "bring the values between 0 and 1."
        )
    return x if x.ndim == 4 else x[..., np.newaxis]


def _check_shapes(xs: dict[str, np.ndarray], file: Path) -> None:
    shapes = {split: x.shape[1:] for split, x in xs.items()}
    if len(set(shapes.values())) > 1:
        listed = ", ".join(f"{split} {shape}" for split, shape in shapes.items())
        raise DataError(f"{file}: the samples' shapes differ between the splits: {listed}. Bring them to one shape.")


def _targets(parts: dict[str, _Part], kind: TargetKind, file: Path) -> tuple[dict[str, np.ndarray], list[str]]:
    """Return each split's targets, and the classes' names if they are classes."""
    given = {split: (part.y_name, part.y) for split, part in parts.items() if part.y is not None}
    if not given:
        return {}, []
    name, train = given["train"]
    classes = kind == "classification" or (kind == "auto" and (train.dtype.kind in "iubU" or _is_one_hot(train)))
    read = _labels if classes else _numbers
    targets = {split: read(f"{file}, {name}", y) for split, (name, y) in given.items()}
    if not classes:
        if len({y.shape[1:] for y in targets.values()}) > 1:
            raise DataError(f"{file}: the targets' shapes differ between the splits. Bring them to one shape.")
        return targets, []
    labels = np.unique(targets["train"])
    if len(labels) < 2:
        raise DataError(f"{file}, {name}: all samples are of the same class, {labels[0]}. Two or more are needed.")
    for split, y in targets.items():
        unknown = np.setdiff1d(y, labels)
        if len(unknown):
            raise DataError(
                f"{file}, {given[split][0]}: class {unknown[0]} is not among the {len(labels)} of {name}. "
                "Correct the labels, or add training samples of it."
            )
    return {split: np.searchsorted(labels, y) for split, y in targets.items()}, [str(label) for label in labels]


def _is_one_hot(y: np.ndarray) -> bool:
    if y.dtype.kind not in "fiub" or y.ndim != 2 or y.shape[1] < 2:
        return False
    return bool(((y == 0) | (y == 1)).all() and (y.sum(axis=1) == 1).all())


def _labels(place: str, y: np.ndarray) -> np.ndarray:
    if _is_one_hot(y):
        return y.argmax(axis=1)
    if y.ndim == 2 and y.shape[1] == 1:
        y = y[:, 0]
    if y.ndim != 1:
        raise DataError(
            f"{place}, has the shape {y.shape}; one class for each sample, or one-hot rows, are needed. Convert it."
        )
    if y.dtype.kind in "iubU":
        return y
    if y.dtype.kind != "f" or not (y == np.round(y)).all():
        raise DataError(f"{place}, has values that are no classes; whole numbers or texts are needed. Convert it.")
    return y.astype("int64")


def _numbers(place: str, y: np.ndarray) -> np.ndarray:
    if y.dtype.kind not in "fiub":
        raise DataError(f"{place}, has the type {y.dtype}; to predict numbers, numbers are needed. Convert it.")
    if y.ndim > 2:
        raise DataError(f"{place}, has the shape {y.shape}; (samples,) or (samples, outputs) is needed. Reshape it.")
    usable = (np.abs(y) <= LARGEST).reshape(len(y), -1).all(axis=1)
    if not usable.all():
        first = int(np.argmin(usable))
        raise DataError(
            f"{place}, has NaN, infinity or numbers above {LARGEST:g}, first in sample {first}. Remove them."
        )
    return y.reshape(len(y), -1).astype("float32")


def _chosen(
    xs: dict[str, np.ndarray],
    labels: np.ndarray | None,
    validation_fraction: float,
    test_fraction: float,
    seed: int,
    source: str,
) -> dict[str, tuple[str, np.ndarray]]:
    """Return for each split the part of the file that it comes from, and which samples of it."""
    size = len(xs["train"])
    given = {split: (split, np.arange(len(x))) for split, x in xs.items()}
    if len(xs) == 3:
        return given
    if "test" in xs:
        train, validation = split_two_ways(size, validation_fraction, seed, labels, source)
        return {**given, "train": ("train", train), "validation": ("train", validation)}
    if "validation" in xs:
        train, test = split_two_ways(size, test_fraction, seed, labels, source)
        return {**given, "train": ("train", train), "test": ("train", test)}
    cut = split_three_ways(size, validation_fraction, test_fraction, seed, labels, source)
    return {split: ("train", indices) for split, indices in zip(_SUFFIXES, cut, strict=True)}
