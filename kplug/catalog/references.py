"""Parts that are no plugin yet, named by where they are: `path/to/file.py:Object` or `package.module:Object`."""

from __future__ import annotations

import hashlib
import importlib.util
import os
import re
import sys
from importlib import metadata
from pathlib import Path
from types import ModuleType

from kplug.catalog.component import KINDS, Component, snake_case
from kplug.errors import UnknownComponentError

FILE_MODULE = "kplug_file_"
"""How the names begin that files have as modules."""

_REFERENCE = re.compile(r"(?P<place>.+):(?P<object>[A-Za-z_]\w*(\.[A-Za-z_]\w*)*)", re.DOTALL)
_MODULE = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*")


def is_reference(name: str) -> bool:
    """Say whether a name says where an object is, rather than what a component is called."""
    return ":" in name


def referenced(name: str, kind: str | None) -> Component:
    """Return the object that a reference names as a component; nothing is imported.

    Args:
        name: `path/to/file.py:Object`, from the working directory if it is relative, or `package.module:Object`.
        kind: What the object is.

    Raises:
        UnknownComponentError: If that names no file or installed package, or the kind is not said.
    """
    parts = _REFERENCE.fullmatch(name)
    if parts is None:
        raise UnknownComponentError(f"{name!r} is not of the form path/to/file.py:Object or package.module:Object.")
    if kind is None:
        raise UnknownComponentError(f"Of which kind is {name}? Say one of: {', '.join(KINDS)}.")
    place, attribute = parts["place"], parts["object"]
    if place.endswith(".py"):
        return _in_file(Path(place), attribute, kind)
    if _MODULE.fullmatch(place) is None:
        raise UnknownComponentError(f"{name!r} names neither a .py file nor a module.")
    return _in_module(place, attribute, kind)


def source_file(component: Component) -> Path | None:
    """Return the file that a component is in, if it was named by its file."""
    return Path(component.module) if component.reference and component.module.endswith(".py") else None


def read_source(path: Path) -> bytes:
    """Return what is in a file.

    Raises:
        UnknownComponentError: If it cannot be read.
    """
    try:
        return path.read_bytes()
    except FileNotFoundError:
        raise UnknownComponentError(f"There is no file {path}.") from None
    except OSError as error:
        raise UnknownComponentError(f"{path} cannot be read: {error.strerror or error}.") from error


def import_file(path: Path, expected: str | None = None) -> ModuleType:
    """Run a file as a module, once for each content, and return it.

    What runs is what was read: no compiled copy that lies beside the file.

    Args:
        path: The file.
        expected: The SHA-256 of what it held when it was looked at.

    Raises:
        UnknownComponentError: If the file cannot be read, or has changed since.
        Exception: Whatever the file raises.
    """
    source = read_source(path)
    digest = hashlib.sha256(source).hexdigest()
    if expected not in {None, digest}:
        raise UnknownComponentError(f"{path} has changed since it was looked at. Try again.")
    name = f"{FILE_MODULE}{path.stem}_{digest}"
    if name in sys.modules:
        return sys.modules[name]
    module = ModuleType(name)
    module.__file__ = os.fspath(path)
    sys.modules[name] = module
    try:
        exec(compile(source, path, "exec", dont_inherit=True), module.__dict__)
    except BaseException:
        del sys.modules[name]
        raise
    return module


def _in_file(path: Path, attribute: str, kind: str) -> Component:
    file = Path(os.path.abspath(path.expanduser()))  # noqa: PTH100 - links stay as they were typed
    source = read_source(file)
    return Component(
        kind=kind,
        # No distribution's normalized name has a dot.
        namespace=file.name,
        name=snake_case(attribute.rpartition(".")[2]),
        target=f"{file}:{attribute}",
        distribution=os.fspath(file),
        version=hashlib.sha256(source).hexdigest(),
        reference=f"{file}:{attribute}",
    )


def _in_module(module: str, attribute: str, kind: str) -> Component:
    top = module.partition(".")[0]
    # Finding a top-level module runs none of its code.
    try:
        spec = importlib.util.find_spec(top)
    except (ImportError, ValueError):
        spec = None
    if spec is None:
        raise UnknownComponentError(
            f"No package {top!r} is installed, which {module}:{attribute} names. A file is named by its path: "
            f"{module.replace('.', '/')}.py:{attribute}"
        )
    if top == module and spec.submodule_search_locations is None and str(spec.origin).endswith(".py"):
        return _in_file(Path(str(spec.origin)), attribute, kind)
    try:
        version = metadata.version(top)
    except metadata.PackageNotFoundError:
        version = ""
    return Component(
        kind=kind,
        namespace=module,
        name=snake_case(attribute.rpartition(".")[2]),
        target=f"{module}:{attribute}",
        distribution=top,
        version=version,
        reference=f"{module}:{attribute}",
    )
