"""The names by which Keras saves classes and functions that have not given themselves any, and finds them again."""

from __future__ import annotations

import inspect
import sys
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
    for value in tuple(vars(module).values()):
        if getattr(value, "__module__", None) == module.__name__:
            give_keras_name(value, namespace)
