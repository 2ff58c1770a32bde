"""The names by which Keras saves classes and functions that have not given themselves any, and finds them again."""

from __future__ import annotations

import inspect
import json
import sys
from collections.abc import Callable, Mapping
from types import ModuleType
from typing import Any


def give_keras_name(described: Any, namespace: str) -> None:
    """Register a class or function with Keras as `namespace>name`, so that models that use it can be loaded by name.

    Nothing is done where Keras is not imported, to what is Keras' own, to what has registered itself, and to classes
    that Keras cannot save.

    Args:
        described: The class or function.
        namespace: What stands before the `>`.
    """
    keras = sys.modules.get("keras")
    saved = inspect.isfunction(described) or (inspect.isclass(described) and hasattr(described, "get_config"))
    if keras is None or not saved or described.__module__.partition(".")[0] == "keras":
        return
    name = described.__name__
    if keras.saving.get_registered_name(described) in {name, f"{namespace}>{name}"}:
        keras.saving.register_keras_serializable(package=namespace)(described)


def give_keras_names(module: ModuleType, namespace: str) -> None:
    """Register all that a module defines: a part of a file may be made of others that stand there too."""
    for value in defined_in(module):
        give_keras_name(value, namespace)


def defined_in(module: ModuleType) -> list[Any]:
    """Return the classes and functions that a module defines itself."""
    values = tuple(vars(module).values())
    return [
        one for one in values if (inspect.isclass(one) or inspect.isfunction(one)) and one.__module__ == module.__name__
    ]


def with_parameters(function: Callable, parameters: Mapping[str, Any]) -> Callable:
    """Return a loss or metric function with its hyper-parameters set, which Keras saves together with them.

    It is registered as `namespace>name{"parameter": value}`, from which `kplug.load_model` makes it again.

    Args:
        function: A function of `(y_true, y_pred, ...)`.
        parameters: What to call it with besides.
    """

    def bound(y_true: Any, y_pred: Any) -> Any:
        return function(y_true, y_pred, **parameters)

    bound.__name__ = function.__name__
    keras = sys.modules.get("keras")
    registered = "" if keras is None else keras.saving.get_registered_name(function)
    try:
        values = json.dumps(dict(parameters), sort_keys=True, allow_nan=False)
    except (TypeError, ValueError):
        return bound
    namespace, sign, name = registered.partition(">")
    if keras is not None and sign:
        keras.saving.register_keras_serializable(package=namespace, name=f"{name}{values}")(bound)
    return bound


def parameters_in(registered: str) -> tuple[str, dict[str, Any] | None]:
    """Take a registered name apart: into the function's own, and the parameters that are set, if it has some.

    Raises:
        ValueError: If what stands there is no JSON.
    """
    name = without_parameters(registered)
    values = registered.removeprefix(name)
    return name, json.loads(values) if values else None


def without_parameters(registered: str) -> str:
    """Return the registered name of a function whose parameters may have been set."""
    namespace, sign, name = registered.partition(">")
    return f"{namespace}{sign}{name.partition('{')[0]}"
