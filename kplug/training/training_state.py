"""The whole state of a training: what must be put back for it to go on as if it had not been interrupted."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import PurePath
from types import ModuleType
from typing import Any

import keras
import numpy as np

from kplug.errors import CheckpointError
from kplug.training.structures import StateWriter

_NOT_STATE = frozenset({"_model", "model", "params", "_params", "validation_data"})


def capture(
    model: keras.Model,
    callbacks: Sequence[keras.callbacks.Callback],
    left_out: Callable[[str], None] = lambda name: None,
) -> dict[str, Any]:
    """Return the state of a model in training: its variables, its optimizer's, its metrics', all random generators,
    and what callbacks remember.

    A model with state outside its variables (a replay buffer) has a method `training_state()` that returns it, in
    numbers, texts, arrays, random generators, and lists, tuples, sets, deques and dictionaries of them; and
    `restore_training_state(state)`, which takes it back. Callbacks may have the same two methods; of others the
    attributes are kept, and `left_out` is told the names of those that cannot be.
    """
    if keras.backend.backend() == "jax":
        model.jax_state_sync()
    own = getattr(model, "training_state", None)
    return {
        "variables": _values(model.variables),
        "optimizer": _values(model.optimizer.variables),
        "metrics": _values(model.metrics_variables),
        "random": _random_state(),
        "callbacks": [_callback_state(callback, left_out) for callback in callbacks],
        "model": None if own is None else own(),
    }


def restore(state: Mapping[str, Any], model: keras.Model, callbacks: Sequence[keras.callbacks.Callback]) -> None:
    """Put back what `capture` returned, but for the metrics, which `fit` sets anew at the beginning of an epoch.

    Raises:
        CheckpointError: If the model, the optimizer or the callbacks are not those that the state was taken of.
    """
    assign(model.variables, state["variables"], "model")
    assign(model.optimizer.variables, state["optimizer"], "optimizer")
    if state["model"] is not None:
        model.restore_training_state(state["model"])
    if len(callbacks) != len(state["callbacks"]):
        raise CheckpointError(
            f"The checkpoint is of a run with {len(state['callbacks'])} callbacks; this one has {len(callbacks)}."
        )
    for callback, remembered in zip(callbacks, state["callbacks"], strict=True):
        own = getattr(callback, "restore_training_state", None)
        if own is not None:
            own(remembered)
        else:
            operations = {name: getattr(keras.ops, operation) for name, operation in remembered["operations"].items()}
            for name, value in {**remembered["attributes"], **operations}.items():
                _put_back(vars(callback), name, value)
    restore_random_state(state["random"])


def assign(variables: Iterable[Any], values: Sequence[Mapping[str, Any]], whose: str) -> None:
    """Give variables the values that they had.

    Raises:
        CheckpointError: If they are not the same variables.
    """
    variables = list(variables)
    shapes = [[list(one.shape), keras.backend.standardize_dtype(one.dtype)] for one in variables]
    stored = [[list(one["value"].shape), one["dtype"]] for one in values]
    if shapes != stored:
        first = next((number for number, pair in enumerate(zip(shapes, stored, strict=False)) if pair[0] != pair[1]), 0)
        then, now = (one[first] if first < len(one) else "none" for one in (stored, shapes))
        raise CheckpointError(
            f"The {whose} has {len(shapes)} variables, in the checkpoint {len(stored)}; the first that differs is "
            f"number {first}: {then} then, {now} now. Resume with the code and the parameters that the run began with."
        )
    for variable, one in zip(variables, values, strict=True):
        variable.assign(one["value"])


def _values(variables: Iterable[Any]) -> list[dict[str, Any]]:
    return [
        {"dtype": keras.backend.standardize_dtype(one.dtype), "value": np.asarray(keras.ops.convert_to_numpy(one))}
        for one in variables
    ]


def _put_back(attributes: dict[str, Any], name: str, value: Any) -> None:
    there = attributes.get(name)
    if isinstance(there, dict) and type(there) is not dict:  # a `defaultdict`, say, stays one
        there.clear()
        there.update(value)
    else:
        attributes[name] = value


def _callback_state(callback: keras.callbacks.Callback, left_out: Callable[[str], None]) -> Any:
    own = getattr(callback, "training_state", None)
    if own is not None:
        return own()
    attributes, operations = {}, {}
    for name, value in vars(callback).items():
        if name in _NOT_STATE:
            continue
        operation = getattr(value, "__name__", "") if callable(value) else ""
        if operation and getattr(keras.ops, operation, None) is value:
            # How Keras' callbacks compare: once that is chosen, the sign of `min_delta` belongs to it.
            operations[name] = operation
            continue
        try:
            StateWriter().written(value)
        except TypeError:
            # Code, and where files are, come back with the callback.
            if not callable(value) and not isinstance(value, PurePath | ModuleType):
                left_out(f"{type(callback).__name__}.{name}")
            continue
        attributes[name] = value
    return {"attributes": attributes, "operations": operations}


def _random_state() -> dict[str, Any]:
    name, keys, position, has_gauss, cached = np.random.get_state()
    state: dict[str, Any] = {
        "python": random.getstate(),
        "numpy": (name, np.asarray(keys), int(position), int(has_gauss), float(cached)),
        "keras": np.array(keras.ops.convert_to_numpy(_keras_generator().state)),
    }
    if keras.backend.backend() == "torch":
        import torch

        state["torch"] = torch.get_rng_state().numpy()
    return state


def restore_random_state(state: Mapping[str, Any]) -> None:
    """Put back the states of the random generators that Python, NumPy, Keras and PyTorch share among all code."""
    random.setstate(state["python"])
    np.random.set_state(state["numpy"])
    _keras_generator().state.assign(state["keras"])
    if "torch" in state:
        import torch

        torch.set_rng_state(torch.from_numpy(state["torch"]))


def _keras_generator() -> Any:
    """Return the generator that Keras draws from where no seed is given."""
    from keras.src.random.seed_generator import global_seed_generator

    return global_seed_generator()
