"""Importing one component: the only place where a plugin's code enters this process."""

from __future__ import annotations

import importlib
import inspect
import sys
from typing import Any

from kplug.catalog.component import OWN_NAMESPACE, Component
from kplug.catalog.resolution import resolve
from kplug.errors import BrokenComponentError


def get(name: str, kind: str | None = None) -> Any:
    """Import a component by name and return it: the class, function or factory itself.

    Args:
        name: `"focal_loss"`, `"acme/wavelet"`, … as `kplug list` shows them.
        kind: Look among one kind only (`"loss"`, `"model"`, …).

    Returns:
        What the entry point refers to, as it is: a class is not called. In a model:
        `model.compile("adam", loss=kplug.get("focal_loss")(gamma=2.0))`.

    Raises:
        UnknownComponentError, AmbiguousNameError: If the name means nothing, or several things.
        BrokenComponentError: If importing the component fails; the cause is chained.
    """
    return load(resolve(name, kind))


def load(component: Component) -> Any:
    """Import a component; see `get`."""
    try:
        loaded = import_target(component.target)
    except Exception as error:
        raise BrokenComponentError(
            f"{component.kind} {component.id} cannot be imported from {component.target} "
            f"({component.distribution} {component.version}): {type(error).__name__}: {error}"
        ) from error
    _register_with_keras(component, loaded)
    return loaded


def import_target(target: str) -> Any:
    """Import what an entry point's value, `module:attribute`, refers to."""
    module, _, attributes = target.partition(":")
    found: Any = importlib.import_module(module)
    for attribute in attributes.split("."):
        found = getattr(found, attribute)
    return found


def _register_with_keras(component: Component, loaded: Any) -> None:
    """Give a plugin's plain Keras class its namespace, so that models that use it can be loaded by name."""
    keras = sys.modules.get("keras")
    if keras is None or not inspect.isclass(loaded) or not hasattr(loaded, "get_config"):
        return
    if component.namespace == OWN_NAMESPACE or loaded.__module__.partition(".")[0] == "keras":
        return
    if keras.saving.get_registered_name(loaded) == loaded.__name__:
        keras.saving.register_keras_serializable(package=component.namespace)(loaded)
