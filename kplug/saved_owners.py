"""Importing the installed components that a saved model's parts belong to, and no more of them than it takes."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from kplug.catalog.child import inspect_in_child
from kplug.catalog.component import OWN_NAMESPACE, Component
from kplug.catalog.description import describe, known
from kplug.catalog.loading import load
from kplug.catalog.registration import is_registered
from kplug.catalog.resolution import renamed
from kplug.errors import BrokenComponentError, SavedModelError
from kplug.saved_requirements import exposed, owners, unregistered


def import_owners(path: Path, names: Mapping[str, str], given: dict[str, Any]) -> None:
    """Import the components that make registered names known; a renamed one is given under its old name.

    What the file says of modules is believed so far only as it decides between components that are installed.

    Args:
        path: The model's file, for messages.
        names: Registered name -> what the file says it was defined as, `module:Class`, or `:name` of a function.
        given: Where components that were renamed are put.

    Raises:
        BrokenComponentError: If a component of that very name cannot be imported.
        SavedModelError: If several components were called that before.
    """
    modules = {name: origin.rpartition(":")[0] for name, origin in names.items()}
    for name, origin in names.items():
        for component in _nearest(_exact(name) or exposed(name, origin), modules[name]):
            load(component)
    for name in unregistered(names, given):
        was = _nearest(renamed(name.replace(">", "/")), modules[name], name.partition(">")[0])
        if len({one.target for one in was}) > 1:
            raise SavedModelError(_ambiguous(path, name, was))
        if was:
            given[name] = load(was[0])
        else:
            _import_around(name, modules[name], given)


def _import_around(name: str, module: str, given: Mapping[str, Any]) -> None:
    """Import components of a namespace until a name is known: one that is no component is defined where some is."""
    others = [one for one in owners(name) if one.kind != "optimizer"]
    # One child process for all that are near: what else the plugin has may take minutes.
    near = [one for one in others if _nearness(one, module) > 0 and not _is_here(one)]
    descriptions = known(others)
    tried: dict[tuple[str, str], Any] = {}
    for component in sorted(others, key=lambda one: -_nearness(one, module)):
        if not unregistered([name], given):
            return
        # One that is known to be broken is not tried again: that may have taken minutes.
        described = descriptions.get(component)
        if _is_here(component):
            usable = True
        elif described is None and component in near:
            tried = tried or inspect_in_child(one for one in near if one not in descriptions)
            usable = tried[component.kind, component.name].get("status") != "broken"
        else:
            usable = not (described or describe(component)).broken
        if usable:
            with contextlib.suppress(BrokenComponentError):
                load(component)


def _is_here(component: Component) -> bool:
    """Say whether importing a component costs nothing that is not known."""
    return component.namespace == OWN_NAMESPACE or component.module in sys.modules or is_registered(component)


def _exact(name: str) -> list[Component]:
    return [one for one in owners(name) if one.target.rpartition(":")[2] == name.partition(">")[2]]


def _nearest(candidates: Sequence[Component], module: str, namespace: str | None = None) -> list[Component]:
    """Return those of a namespace, if any are; of them those of the module, else of its package, if any are."""
    kept = [one for one in candidates if one.namespace == namespace] or list(candidates)
    best = max((_nearness(one, module) for one in kept), default=0)
    return [one for one in kept if _nearness(one, module) == best]


def _nearness(component: Component, module: str) -> int:
    """Return 2 for a component in a module, 1 for one in its package, else 0."""
    same_package = component.package == module.partition(".")[0]
    return int(same_package) + (component.module == module)


def _ambiguous(path: Path, name: str, candidates: Sequence[Component]) -> str:
    namespace, _, attribute = name.partition(">")
    choices = ", ".join(one.in_words for one in candidates)
    got = f"kplug.get({candidates[0].id!r}, {candidates[0].kind!r})"
    return (
        f"{path} needs {namespace}/{attribute}, and several components were called that before: {choices}. Give the "
        f"one that is meant: kplug.load_model(path, custom_objects={{{name!r}: {got}}})"
    )
