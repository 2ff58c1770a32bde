"""Descriptions on disk, one file per plugin, good until its version or one of its source files changes."""

from __future__ import annotations

import hashlib
import importlib.util
import json
import os
import sys
from collections.abc import Iterator, Sequence
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

from kplug.catalog.component import Component, folded
from kplug.places import cache_root

if TYPE_CHECKING:
    from kplug.catalog.child import Records

_FORMAT = 3


def read(siblings: Sequence[Component]) -> Records:
    """Return the records that the cache holds of one plugin's components; empty if it holds none that are good."""
    if not siblings:
        return {}
    try:
        content = json.loads(_file(siblings).read_text(encoding="utf-8"))
        if content["key"] != _key(siblings):
            return {}
        records = {(kind, name): record for kind, name, record in content["records"]}
    except (OSError, ValueError, KeyError, TypeError):
        return {}
    # What broke a plugin may be something else that was missing: then any change of what is installed is a new chance.
    broken = any(record.get("status") == "broken" for record in records.values())
    if broken and content.get("installed") != _installed():
        return {}
    return records


def write(siblings: Sequence[Component], records: Records) -> None:
    """Keep the records of one plugin's components. A cache that cannot be written is done without."""
    content = {
        "key": _key(siblings),
        "installed": _installed(),
        "records": [[kind, name, record] for (kind, name), record in records.items()],
    }
    file = _file(siblings)
    aside = file.with_suffix(f".{os.getpid()}.new")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        aside.write_text(json.dumps(content), encoding="utf-8")
        aside.replace(file)
    except OSError:
        return


def _file(siblings: Sequence[Component]) -> Path:
    one = siblings[0]
    if one.reference:
        return cache_root() / "descriptions" / f"{hashlib.sha256(one.target.encode()).hexdigest()}.json"
    name = "".join(character if character.isalnum() else "-" for character in f"{one.distribution}-{one.version}")
    return cache_root() / "descriptions" / f"{name}.json"


def _key(siblings: Sequence[Component]) -> str:
    digest = hashlib.sha256()
    for part in _key_parts(siblings):
        digest.update(part.encode())
        digest.update(b"\0")
    return digest.hexdigest()


def _key_parts(siblings: Sequence[Component]) -> Iterator[str]:
    yield f"{_FORMAT} {sys.version} {sys.prefix}"
    for component in siblings:
        yield f"{component.distribution} {component.version} {component.kind} {component.name} {component.target}"
    if siblings[0].reference and siblings[0].module.endswith(".py"):
        return  # of a file, the version says all
    for package in sorted({component.module.partition(".")[0] for component in siblings}):
        yield package
        yield from _package_state(package, siblings[0].distribution)


def _package_state(package: str, distribution: str) -> Iterator[str]:
    """Yield what changes when a top-level package changes: its files, or its version if another project owns it."""
    if folded(package) != folded(distribution):
        try:
            yield metadata.version(package)
        except metadata.PackageNotFoundError:
            pass
        else:
            return
    # Finding a top-level package runs none of its code.
    try:
        spec = importlib.util.find_spec(package)
    except (ImportError, ValueError):
        return
    if spec is None:
        return
    for folder in spec.submodule_search_locations or []:
        yield from _python_files(folder)
    if spec.origin and not spec.submodule_search_locations:
        yield _stamp(spec.origin, Path(spec.origin).stat())


def _python_files(folder: str) -> Iterator[str]:
    for entry in sorted(os.scandir(folder), key=lambda entry: entry.name):
        if entry.name.endswith((".py", ".so", ".pyd")):
            yield _stamp(entry.path, entry.stat())
        elif entry.is_dir() and not entry.name.startswith((".", "__pycache__")):
            yield from _python_files(entry.path)


def _stamp(path: str, status: os.stat_result) -> str:
    return f"{path} {status.st_mtime_ns} {status.st_size}"


def _installed() -> str:
    names: set[str] = set()
    for folder in sys.path:
        try:
            names.update(entry.name for entry in os.scandir(folder or ".") if entry.name.endswith("-info"))
        except OSError:
            continue
    return hashlib.sha256("\n".join(sorted(names)).encode()).hexdigest()
