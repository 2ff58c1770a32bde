"""What a saved model needs: written into its file by runs, and put into words when it is not there."""

from __future__ import annotations

import json
import re
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from kplug.catalog.component import SCRIPT_NAMESPACE, Component, namespace_of
from kplug.catalog.discovery import catalog, components
from kplug.catalog.keras_names import without_parameters
from kplug.catalog.resolution import withheld_because

_KEY = "kplug"
_DISTRIBUTION = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?")
"""What PEP 508 lets a distribution be called."""
_VERSION = re.compile(r"[0-9][0-9A-Za-z.+!_-]*")
_COMPONENT = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*/[a-z][a-z0-9_]*")
_MOST_BYTES = 2**16 - 1
"""What a zip file's comment can hold."""


def registered_parts(config: Any) -> Iterator[tuple[str, str]]:
    """Give the names under which the parts of a model's configuration that are not Keras' own are registered.

    With each comes what it was defined as, `module:Class`, as far as the configuration tells: of functions, `:name`.
    """
    if isinstance(config, dict):
        # Of a function, Keras writes the name elsewhere than of a class.
        function = config.get("class_name") == "function"
        name = config.get("config" if function else "registered_name")
        if isinstance(name, str) and ">" in name:
            of_function = "", without_parameters(name).partition(">")[2]
            module, defined = of_function if function else (config.get("module") or "", config.get("class_name"))
            yield name, f"{module}:{defined}"
        config = config.values()
    elif not isinstance(config, list):
        return
    for part in config:
        yield from registered_parts(part)


def write_requirements(path: Path) -> None:
    """Note in a `.keras` file which installed plugins its parts come from.

    It is the zip file's comment: Keras does not look at it, and nothing else in the file changes.

    Args:
        path: A file that Keras has written.

    Raises:
        OSError: If it cannot be written.
    """
    with zipfile.ZipFile(path, "a") as archive:
        config = json.loads(archive.read("config.json"))
        names = sorted({without_parameters(name) for name, _ in registered_parts(config)})
        needed = {name: one for name in names if (one := _requirement(name)) is not None}
        comment = json.dumps({_KEY: needed}).encode()
        if needed and len(comment) <= _MOST_BYTES:
            archive.comment = comment


def read_requirements(archive: zipfile.ZipFile) -> dict[str, Mapping[str, Any]]:
    """Return what `write_requirements` noted: registered name -> component, distribution and version."""
    try:
        noted = json.loads(archive.comment)[_KEY]
        return {name: one for name, one in noted.items() if _is_sound(name, one)}
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return {}


def _is_sound(name: str, record: Any) -> bool:
    """Say whether a note may be shown with a command to install by: the file that it stands in may be anybody's."""
    if not isinstance(record, dict) or not all(isinstance(value, str) for value in record.values()):
        return False
    distribution, version = record.get("distribution", ""), record.get("version", "")
    namespace = name.partition(">")[0]
    return (
        _DISTRIBUTION.fullmatch(distribution) is not None
        and namespace_of(distribution) == namespace
        and _VERSION.fullmatch(version) is not None
        and ("component" not in record or _COMPONENT.fullmatch(record["component"]) is not None)
        and record.get("component", f"{namespace}/").partition("/")[0] == namespace
    )


def owners(name: str) -> list[Component]:
    """Return the components that a registered name may belong to: those of its namespace."""
    return [one for one in components() if one.namespace == name.partition(">")[0] and one.fault is None]


def exposed(name: str, origin: str) -> list[Component]:
    """Return the components that are a class or function which its own library has registered under another name.

    Args:
        name: The registered name.
        origin: What the file says that it was defined as, `module:Class`.
    """
    module, _, attribute = origin.rpartition(":")
    packages = {module.partition(".")[0]} if module else {name.partition(">")[0]}
    found = [one for one in components() if one.fault is None and one.target.rpartition(":")[2] == attribute]
    # A function's configuration has no module: the library's own name for itself is the best that there is.
    return [one for one in found if one.package in packages] or ([] if module else found)


def what_is_missing(path: Path, name: str, noted: Mapping[str, Mapping[str, Any]]) -> str:
    """Say what a model needs that is not there, and what to do.

    Args:
        path: The model's file.
        name: The registered name that nothing provides.
        noted: What `read_requirements` returned.
    """
    namespace, _, attribute = name.partition(">")
    needs = f"{path} needs {namespace}/{attribute}"
    saved = noted.get(name, {})
    distribution, version = saved.get("distribution"), saved.get("version")
    was = f" It was saved with {distribution} {version}." if distribution else ""
    owned = owners(name)
    if owned:
        return (
            f"{needs}, which {owned[0].distribution} {owned[0].version} does not have.{was} "
            "Install the version that the model was saved with."
        )
    withheld = [one for one in catalog().withheld if one.namespace == namespace]
    if withheld:
        exact = [one for one in withheld if one.target.rpartition(":")[2] == attribute]
        return f"{needs}: {withheld_because((exact or withheld)[0])}"
    if namespace == SCRIPT_NAMESPACE:
        return f"{needs}, which a script registered with kplug.register. Run what registers it before loading."
    if namespace.endswith(".py"):
        return (
            f"{needs}, which the file {namespace} defines. Load the model from the directory of its run, which has a "
            f"copy, or load the part before: kplug.get('path/to/{namespace}:{attribute}', KIND)"
        )
    if distribution:
        return (
            f"{path} needs {saved.get('component') or f'{namespace}/{attribute}'} from {distribution} {version}, which "
            f"is not installed: kplug plugins install {distribution}=={version}"
        )
    return (
        f"{needs}, and no installed plugin has the namespace {namespace!r}. Install the plugin, which is called "
        f"kplug-{namespace} or {namespace}, or import what defines {name!r} before loading."
    )


def _requirement(name: str) -> dict[str, str] | None:
    owned = owners(name)
    if not owned:
        return None
    exact = [one for one in owned if one.target.rpartition(":")[2] == name.partition(">")[2]]
    found = {"distribution": owned[0].distribution, "version": owned[0].version}
    return {**found, "component": exact[0].id} if exact else found


def unregistered(names: Iterable[str], given: Mapping[str, Any]) -> list[str]:
    """Return the names that Keras does not know yet."""
    import keras

    return [name for name in names if keras.saving.get_registered_object(name, dict(given)) is None]
