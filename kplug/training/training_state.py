"""The whole state of a training: what must be put back for it to go on as if it had not been interrupted."""

from __future__ import annotations

import random
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import keras
import numpy as np

from kplug.errors import CheckpointError

_NOT_STATE = frozenset({"_model", "model", "params", "_params", "validation_data"})
_ARRAY, _TUPLE = "__array__", "__tuple__"


class StateWriter:
    """Takes structures apart into what JSON can hold and arrays.

    Attributes:
        arrays: The arrays met so far, by name.
    """

    def __init__(self) -> None:
        self.arrays: dict[str, np.ndarray] = {}

    def written(self, value: Any) -> Any:
        """Return numbers, texts, arrays, and lists, tuples and dictionaries of them, as JSON can hold them.

        Raises:
            TypeError: If there is something else among them.
        """
        if value is None or (isinstance(value, bool | int | float | str) and not isinstance(value, np.generic)):
            return value
        if isinstance(value, np.ndarray | np.generic) and value.dtype.kind != "O":
            name = f"array-{len(self.arrays)}"
            # 0-d arrays are told from scalars, which callbacks compare and count with.
            self.arrays[name] = np.asarray(value)
            return {_ARRAY: name, "scalar": isinstance(value, np.generic)}
        if isinstance(value, tuple) and type(value) is tuple:
            return {_TUPLE: [self.written(one) for one in value]}
        if isinstance(value, list):
            return [self.written(one) for one in value]
        if isinstance(value, dict) and all(isinstance(key, str) for key in value):
            return {key: self.written(one) for key, one in value.items()}
        raise TypeError(f"{type(value).__name__} cannot be kept in a checkpoint")


def read_back(written: Any, arrays: Mapping[str, np.ndarray]) -> Any:
    """Return what `StateWriter.written` was given."""
    if isinstance(written, list):
        return [read_back(one, arrays) for one in written]
    if not isinstance(written, dict):
        return written
    if _ARRAY in written:
        array = arrays[written[_ARRAY]]
        return array[()] if written["scalar"] else array
    if _TUPLE in written:
        return tuple(read_back(one, arrays) for one in written[_TUPLE])
    return {key: read_back(one, arrays) for key, one in written.items()}


def capture(model: keras.Model, callbacks: Sequence[keras.callbacks.Callback]) -> dict[str, Any]:
    """Return the state of a model in training: its variables, its optimizer's, its metrics', all random generators,
    and what callbacks remember.

    A model with state outside its variables (a replay buffer) has a method `training_state()` that returns it, in
    numbers, texts, arrays, and lists, tuples and dictionaries of them; and `restore_training_state(state)`, which takes
    it back. Callbacks may have the same two methods; of others the attributes are kept.
    """
    if keras.backend.backend() == "jax":
        model.jax_state_sync()
    own = getattr(model, "training_state", None)
    return {
        "variables": _values(model.variables),
        "optimizer": _values(model.optimizer.variables),
        "metrics": _values(model.metrics_variables),
        "random": _random_state(),
        "callbacks": [_callback_state(callback) for callback in callbacks],
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
            vars(callback).update({**remembered["attributes"], **operations})
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


def _callback_state(callback: keras.callbacks.Callback) -> Any:
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
