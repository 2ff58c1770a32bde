"""Trying a component as it is by default, on data of the usual kinds."""

from __future__ import annotations

import inspect
import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from types import SimpleNamespace
from typing import Any

import keras
import numpy as np
from keras import ops, tree

import kplug
from kplug.catalog.facts import INFO_FIELDS, facts_of
from kplug.errors import KplugError
from kplug.testing.datasets import check_dataset
from kplug.testing.launchers import check_launcher_methods
from kplug.testing.layers import check_layer
from kplug.testing.losses import check_loss
from kplug.testing.metrics import check_metric
from kplug.testing.models import check_model

_BATCH, _CLASSES = 12, 4
_SAMPLES = 24
_DATA_SETS = ("digits", "moons", "diabetes", "synthetic_topics", "imbalanced", "python_docs")

_Ways = Iterable[dict[str, Any]]
"""What a check is to make allowances for, the least first."""


class NotTriedError(Exception):
    """There is nothing that the component could be tried on; the text says why."""


def tried(kind: str, component: Callable[..., Any], example: Mapping[str, Any] | None = None) -> str:
    """Put a component through the check of its kind.

    Args:
        kind: Its kind.
        component: The class or function.
        example: The parameters that it is called with, besides those of a model that a data set gives.

    Returns:
        What is to be said although it passed, or `""`.

    Raises:
        AssertionError: With what went wrong.
        NotTriedError: If there are no data that it takes.
    """
    if kind == "model":
        return _model(component, example or {})
    if kind in _TRIALS:
        return _TRIALS[kind](partial(component, **example) if example else component)
    raise NotTriedError(f"there is no check of the kind {kind}")


def _pairs() -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield targets and predictions of the usual kinds."""
    rng = np.random.default_rng(0)
    labels = np.arange(_BATCH) % _CLASSES
    logits = rng.normal(size=(_BATCH, _CLASSES)).astype("float32")
    probabilities = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    yield labels, probabilities
    yield np.eye(_CLASSES, dtype="float32")[labels], probabilities
    yield rng.normal(size=(_BATCH, 3)).astype("float32"), rng.normal(size=(_BATCH, 3)).astype("float32")
    yield (labels % 2)[:, None], 1 / (1 + np.exp(-logits[:, :1]))
    yield labels, rng.normal(size=(_BATCH, 5)).astype("float32")
    yield labels % 2, rng.normal(size=(_BATCH, 2, 5)).astype("float32")


def _loss(component: Callable[..., Any]) -> str:
    def takes(pair: tuple[np.ndarray, np.ndarray]) -> bool:
        values = ops.convert_to_numpy(component().call(*map(ops.convert_to_tensor, pair)))
        return values.shape[:1] == (_BATCH,) and bool(np.isfinite(values).all())

    ways: _Ways = ({}, {"smooth": False}, {"masked": False}, {"smooth": False, "masked": False})
    return _first(_usable(_pairs(), takes), ways, lambda pair, way: check_loss(component(), *pair, **way))


def _metric(component: Callable[..., Any]) -> str:
    def takes(pair: tuple[np.ndarray, np.ndarray]) -> bool:
        metric = component()
        metric.update_state(*pair)
        return bool(np.isfinite(ops.convert_to_numpy(metric.result())).all())

    switches = ("by_parts", "weighted", "compiled")
    ways: _Ways = [dict.fromkeys(off, False) for count in range(4) for off in itertools.combinations(switches, count)]
    return _first(_usable(_pairs(), takes), ways, lambda pair, way: check_metric(component(), *pair, **way))


def _layer(component: Callable[..., Any]) -> str:
    rng = np.random.default_rng(0)
    shapes = ((6, 4), (6, 5, 4), (6, 8, 8, 3), (4, 4, 5, 5, 2))
    inputs: list[Any] = [rng.normal(size=shape).astype("float32") for shape in shapes]
    inputs.append([rng.normal(size=(6, 3)).astype("float32") for _ in range(2)])
    tokens = rng.integers(0, 4, size=(6, 5))

    def takes(batch: Any) -> bool:
        component()(tree.map_structure(ops.convert_to_tensor, batch))
        return True

    def check(batch: Any, way: dict[str, Any]) -> None:
        layer = component()
        tensors = tree.map_structure(ops.convert_to_tensor, batch)
        outputs = [_arrays(layer(tensors, training=True)) for _ in range(2)]
        random = not all(map(np.array_equal, *outputs)) and any("seed" in one.path for one in layer.variables)
        check_layer(component(), batch, random=random, **way)

    try:
        usable = _usable(inputs, takes)
    except NotTriedError:
        check(_usable([tokens], takes)[0], {"differentiable": False})
        return ""
    return _first(usable, ({}, {"smooth": False}, {"differentiable": False}), check)


def _arrays(outputs: Any) -> list[np.ndarray]:
    return [ops.convert_to_numpy(leaf) for leaf in tree.flatten(outputs)]


def _model(component: Callable[..., Any], example: Mapping[str, Any]) -> str:
    facts = facts_of(component)
    if facts.loss is None and not facts.own_loss:
        raise NotTriedError("it states no loss. Say which it is trained with: @kplug.component(loss=…)")
    data = next(_data_sets(component, example), None)
    if data is None:
        needed = ", ".join(_needed(component, example)) or "other data"
        raise NotTriedError(
            f"no data set of kplug's shares a task with it and gives {needed}. Use check_model in its own tests"
        )
    given = _given(component, data, example)
    model = component(**given)
    model.compile("sgd", None if facts.own_loss else "mse")
    predictions = [_arrays(model.predict(data.train[0], verbose=0)) for _ in range(2)]
    random = not all(map(np.array_equal, *predictions))
    check_model(lambda: component(**given), data, random=random)
    return ""


def _given(component: Callable[..., Any], data: Any, example: Mapping[str, Any]) -> dict[str, Any]:
    parameters = inspect.signature(component).parameters
    return {**{name: value for name, value in data.info.items() if name in parameters}, **example}


def _needed(component: Callable[..., Any], example: Mapping[str, Any]) -> list[str]:
    parameters = inspect.signature(component).parameters.values()
    needed = [one.name for one in parameters if one.default is one.empty and one.kind is one.POSITIONAL_OR_KEYWORD]
    return [name for name in needed if name not in example]


def _data_sets(component: Callable[..., Any], example: Mapping[str, Any]) -> Iterator[Any]:
    """Yield the first samples of each data set of kplug's that a model can be trained on."""
    tasks, needed = set(facts_of(component).tasks), set(_needed(component, example))
    for name in _DATA_SETS:
        make = kplug.get(f"kplug/{name}", "dataset")
        facts = facts_of(make)
        if (tasks and not tasks & set(facts.tasks)) or not needed & set(INFO_FIELDS) <= set(facts.provides) >= needed:
            continue
        dataset = make()
        cut = tuple(part[:_SAMPLES] for part in dataset.train)
        try:
            component(**_given(component, dataset, example)).predict(cut[0][:2], verbose=0)
        except Exception:  # noqa: BLE001 - a model may refuse data in any way
            continue
        yield SimpleNamespace(train=cut, validation=None, test=cut, info=dataset.info)


def _dataset(component: Callable[..., Any]) -> str:
    check_dataset(component)
    return ""


def _callback(component: Callable[..., Any]) -> str:
    callback = component()
    assert isinstance(callback, keras.callbacks.Callback), f"it is a {type(callback).__name__}, not a Keras callback"
    _fit("sgd", [callback])
    return ""


def _optimizer(component: Callable[..., Any]) -> str:
    _fit(component(), [])
    return ""


def _schedule(component: Callable[..., Any]) -> str:
    rate = float(component()(0))
    assert np.isfinite(rate) and rate >= 0, f"it begins at a learning rate of {rate}"
    return ""


def _launcher(component: Callable[..., Any]) -> str:
    check_launcher_methods(component())
    return ""


def _fit(optimizer: Any, callbacks: list[Any]) -> None:
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
    model.compile(optimizer, "mse", metrics=["accuracy"], jit_compile=False)
    x = np.ones((8, 1), "float32")
    model.fit(x, x, epochs=2, batch_size=4, validation_data=(x, x), callbacks=callbacks, verbose=0)
    weights = [ops.convert_to_numpy(weight) for weight in model.weights]
    assert all(np.isfinite(weight).all() for weight in weights), "it leaves weights that are not finite"


_TRIALS = {
    "loss": _loss,
    "layer": _layer,
    "metric": _metric,
    "dataset": _dataset,
    "callback": _callback,
    "optimizer": _optimizer,
    "schedule": _schedule,
    "launcher": _launcher,
}


def _usable(candidates: Iterable[Any], takes: Callable[[Any], bool]) -> list[Any]:
    """Return the data that a component takes.

    Raises:
        NotTriedError: If it takes none.
        KplugError: If kplug itself is at fault.
    """
    usable, last = [], ""
    for candidate in candidates:
        try:
            if takes(candidate):
                usable.append(candidate)
        except KplugError:
            raise
        except Exception as error:  # noqa: BLE001 - it may refuse data in any way
            last = f" (last: {type(error).__name__}: {' '.join(str(error).split())[:200]})"
    if not usable:
        raise NotTriedError(f"it takes none of the usual data{last}. Use kplug.testing in its own tests")
    return usable


def _first(data: list[Any], ways: _Ways, check: Callable[[Any, dict[str, Any]], None]) -> str:
    """Check on the first data that pass without allowances; else with some, and say which.

    Raises:
        AssertionError: What went wrong on the first data, if it passes on none.
    """
    plain, *allowances = ways
    first: AssertionError | None = None
    # All data without an allowance, then the first with each one: a check takes seconds.
    for batch, way in [*((one, plain) for one in data), *((data[0], one) for one in allowances)]:
        try:
            check(batch, way)
        except AssertionError as error:
            first = first or error
        else:
            if way == plain:
                return ""
            allowance = ", ".join(f"{name}=False" for name in way)
            return f"it passes with {allowance} alone ({' '.join(str(first).split())[:300]}). If so meant, test it so"
    assert first is not None
    raise first
