"""Descriptions on disk, good until a version, a source file or the surroundings change.

There is a file for each plugin in each environment: what shares a cache would else write over each other's.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
import os
from collections.abc import Iterator, Sequence
from importlib.machinery import ModuleSpec
from pathlib import Path
from typing import TYPE_CHECKING

from kplug.catalog.component import Component, folded
from kplug.catalog.surroundings import Surroundings, stamp, surroundings
from kplug.places import cache_root

if TYPE_CHECKING:
    from kplug.catalog.child import Records

Specs = list[tuple[str, ModuleSpec | None]]

_FORMAT = 4


def read(siblings: Sequence[Component], now: Surroundings) -> Records:
    """Return the records that the cache holds of one plugin's components; empty if it holds none that are good."""
    if not siblings:
        return {}
    try:
        specs = _specs(siblings)
        content = json.loads(_file(siblings, now, specs).read_text(encoding="utf-8"))
        if content["key"] != _digest(_key_parts(siblings, now, specs)):
            return {}
        records = {(kind, name): record for kind, name, record in content["records"]}
    except (OSError, ValueError, KeyError, TypeError):
        return {}
    # What broke a plugin may be something else that was missing: then any change of what is installed is a new chance.
    broken = any(record.get("status") == "broken" for record in records.values())
    if broken and content.get("installed") != now.installed:
        return {}
    return records


def write(siblings: Sequence[Component], records: Records, key: str) -> None:
    """Keep the records of one plugin's components. A cache that cannot be written is done without.

    Args:
        siblings: The components.
        records: What was learned of them.
        key: What `key_of` returned before that. If it is another now, what was imported is not what is there.
    """
    try:
        now, specs = surroundings(), _specs(siblings)
        if key != _digest(_key_parts(siblings, now, specs)):
            return
        content = {
            "key": key,
            "installed": now.installed,
            "records": [[kind, name, record] for (kind, name), record in records.items()],
        }
        file = _file(siblings, now, specs)
        aside = file.with_suffix(f".{os.getpid()}.new")
        file.parent.mkdir(parents=True, exist_ok=True)
        aside.write_text(json.dumps(content), encoding="utf-8")
        aside.replace(file)
    except OSError:
        return


def _file(siblings: Sequence[Component], now: Surroundings, specs: Specs) -> Path:
    one = siblings[0]
    called = "file" if one.reference else f"{one.distribution}-{one.version}"
    name = "".join(character if character.isalnum() else "-" for character in f"{called}-{now.backend}")
    return cache_root() / "descriptions" / f"{name}-{_digest(_places(siblings, now, specs))[:16]}.json"


def _places(siblings: Sequence[Component], now: Surroundings, specs: Specs) -> Iterator[str]:
    """Yield what tells this plugin here from one of that name and version elsewhere."""
    yield now.environment
    yield now.backend
    if siblings[0].reference:
        yield siblings[0].target
        return
    for _, spec in specs:
        yield from () if spec is None else [str(spec.origin), *(spec.submodule_search_locations or [])]


def key_of(siblings: Sequence[Component], now: Surroundings) -> str:
    """Return what stands for all that a plugin's descriptions depend on."""
    return _digest(_key_parts(siblings, now, _specs(siblings)))


def _digest(parts: Iterator[str]) -> str:
    digest = hashlib.sha256()
    for part in parts:
        digest.update(part.encode("utf-8", "surrogateescape"))
        digest.update(b"\0")
    return digest.hexdigest()


def _key_parts(siblings: Sequence[Component], now: Surroundings, specs: Specs) -> Iterator[str]:
    yield f"{_FORMAT} {now.environment} keras {now.keras} {now.backend}"
    for component in siblings:
        yield f"{component.distribution} {component.version} {component.kind} {component.name} {component.target}"
    # Of a file, the version says all.
    for package, spec in specs:
        yield package
        yield from _package_state(package, spec, siblings[0].distribution, now)


def _specs(siblings: Sequence[Component]) -> Specs:
    """Find the top-level packages that components are in, which runs none of their code."""
    if siblings[0].reference and siblings[0].module.endswith(".py"):
        return []
    return [(package, _spec(package)) for package in sorted({one.package for one in siblings})]


def _spec(package: str) -> ModuleSpec | None:
    try:
        return importlib.util.find_spec(package)
    except (ImportError, ValueError):
        return None


def _package_state(package: str, spec: ModuleSpec | None, distribution: str, now: Surroundings) -> Iterator[str]:
    """Yield what changes when a top-level package changes: its files, or its version if another project owns it."""
    if folded(package) != folded(distribution):
        version = now.version_of(package)
        if version is not None:
            yield version
            return
    if spec is None:
        return
    for folder in spec.submodule_search_locations or []:
        yield from _python_files(folder)
    if spec.origin and not spec.submodule_search_locations:
        yield stamp(spec.origin)


def _python_files(folder: str) -> Iterator[str]:
    try:
        entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
    except OSError as error:
        yield f"{folder} {type(error).__name__}"
        return
    for entry in entries:
        # Editors leave locks of that kind: links to nothing.
        if entry.name.startswith((".", "__pycache__")):
            continue
        if entry.name.endswith((".py", ".so", ".pyd")):
            yield stamp(entry.path)
        elif os.path.isdir(entry.path):  # noqa: PTH112 - of a link to itself, DirEntry.is_dir raises
            yield from _python_files(entry.path)
