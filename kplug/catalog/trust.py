"""Which code outside of plugins a person has run here of their own accord, and so may be run again unasked.

A file is known by its content: whoever changes it has to name it anew. What somebody else's run or model brings along
is not run because of what a file of theirs says.
"""

from __future__ import annotations

import contextlib
import hashlib
from pathlib import Path

from kplug.catalog.component import KINDS, Component
from kplug.catalog.references import is_reference, read_source, referenced, source_file
from kplug.errors import KplugError
from kplug.places import settings_root


def trust_reference(component: Component) -> None:
    """Remember that a person has named a file or module to be run, if that can be written down."""
    with contextlib.suppress(OSError):
        _mark(_key(component), component.id)


def trust(named: str) -> None:
    """Remember that a person trusts a file as it is now, or a module.

    Args:
        named: `path/to/file.py`, or `package.module:Object` for a module.

    Raises:
        UnknownComponentError: If the file cannot be read, or there is no such package.
        KplugError: If that cannot be written down.
    """
    if is_reference(named) and not Path(named).is_file():
        # Of which kind the object is, says nothing about where it is.
        key = _key(referenced(named, next(iter(KINDS))))
    else:
        key = hashlib.sha256(read_source(Path(named))).hexdigest()
    try:
        _mark(key, named)
    except OSError as error:
        raise KplugError(f"{_folder()} cannot be written: {error.strerror or error}.") from error


def own_run(spec: Path) -> None:
    """Remember that a run was started here, if that can be written down.

    Args:
        spec: Its `spec.json`: what it asks for, in this place, is what a person has asked for.
    """
    with contextlib.suppress(OSError):
        _mark(_run_key(spec), str(spec))


def is_own_run(spec: Path) -> bool:
    """Say whether a run was started here, by this user, with just this `spec.json`."""
    try:
        return (_folder() / _run_key(spec)).is_file()
    except OSError:
        return False


def is_trusted(component: Component) -> bool:
    """Say whether a person has run, here and of their own accord, what a reference names."""
    return (_folder() / _key(component)).is_file()


def how_to_trust(component: Component) -> str:
    """Say what makes a reference trusted."""
    file = source_file(component)
    if file is None:
        return f"look at {component.module}, and if you trust it: kplug plugins trust {component.id}"
    return f"look at {file}, and if you trust it: kplug plugins trust {file}"


def _mark(key: str, text: str) -> None:
    _folder().mkdir(parents=True, exist_ok=True)
    (_folder() / key).write_text(f"{text}\n", encoding="utf-8", errors="replace")


def _folder() -> Path:
    return settings_root() / "trusted"


def _run_key(spec: Path) -> str:
    return hashlib.sha256(f"run {spec.resolve()}\0".encode("utf-8", "surrogateescape") + spec.read_bytes()).hexdigest()


def _key(component: Component) -> str:
    if source_file(component) is not None:
        return component.version
    return hashlib.sha256(f"module {component.module}".encode()).hexdigest()
