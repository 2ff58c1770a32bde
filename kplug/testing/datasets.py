"""Checks of a data set."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
from keras import tree

from kplug.catalog.facts import INFO_FIELDS, facts_of
from kplug.catalog.inspection import parameters_of
from kplug.catalog.parameters import check_parameters
from kplug.errors import DataError, ParameterError
from kplug.training.data_checks import check_splits
from kplug.training.pipeline import first_batch

_SPLITS = ("train", "validation", "test")
_OTHER_SEED = 1_234_567


def check_dataset(make: Callable[..., Any], parameters: Mapping[str, Any] | None = None) -> None:
    """Check that a data set is one as kplug uses them.

    Parameters and defaults that JSON can hold; splits of `(x, y)` that hold numbers, of one shape and dtype, none of
    them float64 (which Keras makes float32, at twice the memory); nothing empty, NaN, infinite or out of the range of
    the classes; an info record that is true, can be JSON, and has what the component says that it provides; the same
    data when it is made again, whatever the shared random generators did before, which it leaves as they are; other
    data from another `seed`, if it has one; validation and test splits that are not among what is trained on.

    Args:
        make: The component: what returns a `kplug.Dataset`.
        parameters: What to call it with: values that JSON can hold.

    Raises:
        AssertionError: With what went wrong.

    Example:

    ```python
    def test_my_data():
        kplug.testing.check_dataset(spirals, {"num_samples": 200})
    ```
    """
    name = getattr(make, "__name__", type(make).__name__)
    given = dict(parameters or {})
    known = _check_parameters(make, name, given)
    dataset = _made(make, given)
    _check_record(make, name, dataset)
    for split in _SPLITS:
        if getattr(dataset, split) is not None:
            _check_split(name, split, getattr(dataset, split))
    _check_alike(name, dataset)
    _check_info(name, dataset)
    _check_made_again(make, name, given, dataset)
    if "seed" in known:
        other = _made(make, {**given, "seed": _OTHER_SEED if given.get("seed") != _OTHER_SEED else 0})
        assert not _equal(dataset, other), f"{name} gives the same data for another `seed`"
    _check_apart(name, dataset)


def _check_parameters(make: Callable[..., Any], name: str, given: dict[str, Any]) -> set[str]:
    """Check what the component takes, and return the names."""
    known = parameters_of("dataset", make, {})
    for one in known:
        assert one.schema is not None, (
            f"`{one.name}` of {name} takes a Python object, which no run spec can hold. Take a text or a number instead"
        )
    try:
        json.dumps(given, allow_nan=False)
        check_parameters(f"data set {name}", "dataset", known, given)
        defaults = {one.name: one.default for one in known if not one.required and one.default is not None}
        check_parameters(f"data set {name} by default", "dataset", known, defaults)
    except (TypeError, ValueError, ParameterError) as error:
        raise AssertionError(f"a run spec cannot hold these parameters of {name}: {error}") from error
    return {one.name for one in known}


def _made(make: Callable[..., Any], given: dict[str, Any]) -> Any:
    return make(**given)


def _check_record(make: Callable[..., Any], name: str, dataset: Any) -> None:
    assert getattr(dataset, "train", None) is not None and isinstance(getattr(dataset, "info", None), Mapping), (
        f"{name} must return a kplug.Dataset with a training split. It returned {type(dataset).__name__}"
    )
    facts = facts_of(make)
    try:
        check_splits(dataset, facts)
    except DataError as error:
        raise AssertionError(f"{name}: {error}") from error
    lacking = [field for field in facts.provides if field not in dataset.info]
    assert not lacking, f"{name} says that it provides {', '.join(lacking)}, and its info record does not have that"
    unsaid = [field for field in dataset.info if field not in facts.provides]
    assert not facts.provides or not unsaid, (
        f"{name} has {', '.join(unsaid)} in its info record. Say so with @kplug.component(provides=[…])"
    )


def _check_split(name: str, split: str, data: Any) -> None:
    batch = data if isinstance(data, tuple) else first_batch({"x": data})
    assert isinstance(batch, tuple) and len(batch) in {2, 3}, (
        f"the {split} split of {name} must be (x, y), or yield that, with sample weights behind if there are some. "
        f"It is {type(batch).__name__}{f' of {len(batch)}' if isinstance(batch, tuple) else ''}"
    )
    for part, array in zip(("x", "y"), batch, strict=False):
        for leaf in tree.flatten(array):
            dtype = np.asarray(leaf).dtype
            assert dtype.kind in "fiub", f"{part} of the {split} split of {name} has dtype {dtype}; models take numbers"
            assert dtype != np.float64, (
                f"{part} of the {split} split of {name} is float64, at twice the memory of what Keras makes of it. "
                'Return it as float32: `.astype("float32")`'
            )


def _check_alike(name: str, dataset: Any) -> None:
    """Check that the splits have samples of one shape and dtype."""
    described = {split: _described(getattr(dataset, split)) for split in _SPLITS if _is_arrays(dataset, split)}
    for split, description in described.items():
        assert description == described.get("train", description), (
            f"samples of the {split} split of {name} are {description}, of the training split {described['train']}"
        )


def _described(data: tuple) -> list[str]:
    return [f"{leaf.dtype}{list(leaf.shape[1:])}" for leaf in tree.flatten(data[:2])]


def _is_arrays(dataset: Any, split: str) -> bool:
    data = getattr(dataset, split)
    return isinstance(data, tuple) and all(hasattr(leaf, "shape") for leaf in tree.flatten(data))


def _check_info(name: str, dataset: Any) -> None:
    info = dataset.info
    unknown = sorted(set(info) - set(INFO_FIELDS))
    assert not unknown, f"the info record of {name} has {', '.join(unknown)}; known are: {', '.join(INFO_FIELDS)}"
    try:
        json.dumps(dict(info), allow_nan=False)
    except (TypeError, ValueError) as error:
        raise AssertionError(f"the info record of {name} cannot be JSON: {error}. Use Python's own types") from error
    for count, listed in (
        ("num_classes", "class_names"),
        ("num_features", "feature_names"),
        ("vocabulary_size", "vocabulary"),
    ):
        assert not {count, listed} <= set(info) or info[count] == len(info[listed]), (
            f"the info record of {name} has {count} {info[count]} and {len(info[listed])} {listed}"
        )
    if not _is_arrays(dataset, "train") or not hasattr(dataset.train[0], "shape"):
        return
    shape = tuple(dataset.train[0].shape[1:])
    for field, expected in (
        ("input_shape", shape),
        ("num_features", shape[-1] if shape else None),
        ("sequence_length", shape[0] if shape else None),
    ):
        stated = info.get(field, expected)
        stated = tuple(stated) if isinstance(stated, list | tuple) else stated
        assert stated == expected, f"the info record of {name} has {field} {stated}; x has samples of shape {shape}"


def _check_made_again(make: Callable[..., Any], name: str, given: dict[str, Any], dataset: Any) -> None:
    # As another process would find them.
    states = random.getstate(), np.random.get_state()
    random.seed(_OTHER_SEED)
    np.random.seed(_OTHER_SEED)
    try:
        before = random.getstate(), np.random.get_state()
        again = _made(make, given)
        after = random.getstate(), np.random.get_state()
    finally:
        random.setstate(states[0])
        np.random.set_state(states[1])
    assert _equal(dataset, again), (
        f"{name} gives other data when it is made again: a run could not be resumed. "
        "Draw from a generator of its own: `np.random.default_rng(seed)`"
    )
    assert before[0] == after[0] and all(np.array_equal(a, b) for a, b in zip(before[1], after[1], strict=True)), (
        f"{name} draws from the random generators that all code shares. Use `np.random.default_rng(seed)`"
    )


def _leaves(dataset: Any) -> Iterator[np.ndarray]:
    for split in _SPLITS:
        data = getattr(dataset, split)
        if data is not None:
            batch = data if isinstance(data, tuple) else first_batch({"x": data})
            yield from map(np.asarray, tree.flatten(batch))


def _equal(one: Any, other: Any) -> bool:
    first, second = list(_leaves(one)), list(_leaves(other))
    return len(first) == len(second) and all(map(np.array_equal, first, second))


def _check_apart(name: str, dataset: Any) -> None:
    """Check that what is tested on is not what was trained on; single samples may recur."""
    if not _is_arrays(dataset, "train"):
        return
    trained = set(_samples(dataset.train))
    for split in ("validation", "test"):
        if getattr(dataset, split) is None or not _is_arrays(dataset, split):
            continue
        samples = _samples(getattr(dataset, split))
        known = sum(sample in trained for sample in samples)
        assert known <= len(samples) / 2, (
            f"{known} of the {len(samples)} samples of the {split} split of {name} are in the training split too"
        )


def _samples(data: tuple) -> list[int]:
    leaves = [np.ascontiguousarray(leaf) for leaf in tree.flatten(data[:2])]
    return [hash(tuple(leaf[index].tobytes() for leaf in leaves)) for index in range(len(leaves[0]))]
