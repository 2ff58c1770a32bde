"""Importing one component: the only place where a plugin's code enters this process."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

from kplug.catalog.component import OWN_NAMESPACE, Component
from kplug.catalog.keras_names import give_keras_name, give_keras_names
from kplug.catalog.references import FILE_MODULE, import_file, read_source
from kplug.catalog.registration import is_registered, registered_object
from kplug.catalog.resolution import resolve
from kplug.catalog.sibling_files import insist_alone, lying_beside, refusal
from kplug.errors import BrokenComponentError


def get(name: str, kind: str | None = None) -> Any:
    """Import a component by name and return it: the class, function or factory itself.

    Args:
        name: `"focal_loss"`, `"acme/wavelet"`, … as `kplug list` shows them, or `"path/to/file.py:Object"`.
        kind: Look among one kind only (`"loss"`, `"model"`, …); of an object in a file, what it is.

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
    if is_registered(component):
        return registered_object(component)
    place, _, attributes = component.target.rpartition(":")
    try:
        module = _import_place(place, component.version if component.reference else None)
        loaded = _attribute_of(module, attributes)
    except (Exception, SystemExit) as error:
        source = "" if component.reference else f" from {component.target}"
        raise BrokenComponentError(
            f"{component.in_words} cannot be imported{source}: {type(error).__name__}: {error}"
        ) from error
    if component.namespace != OWN_NAMESPACE:
        give_keras_name(loaded, component.namespace)
    if component.reference:
        give_keras_names(module, component.namespace)
    return loaded


def import_target(target: str) -> Any:
    """Import what an entry point's value, `module:attribute`, or a reference refers to, to learn what it is.

    Raises:
        ImportError: If it is in a file that imports others beside it, which a run would not have.
        Exception: Whatever importing it raises.
    """
    place, _, attributes = target.rpartition(":")
    return _attribute_of(_import_alone(Path(place)) if place.endswith(".py") else _import_place(place), attributes)


def _import_alone(path: Path) -> ModuleType:
    before = set(sys.modules)
    try:
        module = import_file(path)
    except ModuleNotFoundError as error:
        beside = lying_beside(error.name, path)
        if beside is None:
            raise
        raise ImportError(refusal([beside.name])) from error
    insist_alone(path, read_source(path), set(sys.modules) - before - {module.__name__})
    return module


def _import_place(place: str, digest: str | None = None) -> ModuleType:
    return import_file(Path(place), digest) if place.endswith(".py") else importlib.import_module(place)


def _attribute_of(module: ModuleType, attributes: str) -> Any:
    found: Any = module
    first = attributes.partition(".")[0]
    if module.__name__.startswith(FILE_MODULE) and not hasattr(module, first):
        raise AttributeError(f"{module.__file__} has no attribute {first!r}")
    for attribute in attributes.split("."):
        found = getattr(found, attribute)
    return found
