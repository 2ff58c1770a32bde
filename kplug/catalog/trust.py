"""Which code outside of plugins a person has run here of their own accord, and so may be run again unasked.

A file is known by its content: whoever changes it has to name it anew. What somebody else's run or model brings along
is not run because of what a file of theirs says.
"""

from __future__ import annotations

import contextlib
import hashlib
from pathlib import Path

from kplug.catalog.component import Component
from kplug.catalog.references import read_source, source_file
from kplug.errors import KplugError
from kplug.places import settings_root


def trust_reference(component: Component) -> None:
    """Remember that a person has named a file or module to be run, if that can be written down."""
    with contextlib.suppress(OSError):
        _mark(_key(component), component.id)


def trust_file(path: Path) -> None:
    """Remember that a person trusts a file as it is now.

    Raises:
        UnknownComponentError: If the file cannot be read.
        KplugError: If that cannot be written down.
    """
    content = hashlib.sha256(read_source(path)).hexdigest()
    try:
        _mark(content, str(path))
    except OSError as error:
        raise KplugError(f"{_folder()} cannot be written: {error.strerror or error}.") from error


def is_trusted(component: Component) -> bool:
    """Say whether a person has run, here and of their own accord, what a reference names."""
    return (_folder() / _key(component)).is_file()


def how_to_trust(component: Component) -> str:
    """Say what makes a reference trusted."""
    file = source_file(component)
    if file is None:
        return f"to run it all the same, name it: kplug.get({component.id!r}, {component.kind!r})"
    return f"look at {file}, and if you trust it: kplug plugins trust {file}"


def _mark(key: str, text: str) -> None:
    _folder().mkdir(parents=True, exist_ok=True)
    (_folder() / key).write_text(f"{text}\n", encoding="utf-8", errors="replace")


def _folder() -> Path:
    return settings_root() / "trusted"


def _key(component: Component) -> str:
    if source_file(component) is not None:
        return component.version
    return hashlib.sha256(f"module {component.module}".encode()).hexdigest()
