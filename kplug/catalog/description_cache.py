"""Descriptions on disk, one file per plugin and backend, good until a version or one of its source files changes."""

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

from kplug import __version__
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
        if content["key"] != key_of(siblings):
            return {}
        records = {(kind, name): record for kind, name, record in content["records"]}
    except (OSError, ValueError, KeyError, TypeError):
        return {}
    # What broke a plugin may be something else that was missing: then any change of what is installed is a new chance.
    broken = any(record.get("status") == "broken" for record in records.values())
    if broken and content.get("installed") != _installed():
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
        if key != key_of(siblings):
            return
        content = {
            "key": key,
            "installed": _installed(),
            "records": [[kind, name, record] for (kind, name), record in records.items()],
        }
        file = _file(siblings)
        aside = file.with_suffix(f".{os.getpid()}.new")
        file.parent.mkdir(parents=True, exist_ok=True)
        aside.write_text(json.dumps(content), encoding="utf-8")
        aside.replace(file)
    except OSError:
        return


def _file(siblings: Sequence[Component]) -> Path:
    one = siblings[0]
    if one.reference:
        target = f"{one.target} {_backend()}".encode("utf-8", "surrogateescape")
        return cache_root() / "descriptions" / f"{hashlib.sha256(target).hexdigest()}.json"
    # A file for each backend: processes that compute with different ones would write over each other's.
    called = f"{one.distribution}-{one.version}-{_backend()}"
    name = "".join(character if character.isalnum() else "-" for character in called)
    return cache_root() / "descriptions" / f"{name}.json"


def key_of(siblings: Sequence[Component]) -> str:
    """Return what stands for all that a plugin's descriptions depend on."""
    digest = hashlib.sha256()
    for part in _key_parts(siblings):
        digest.update(part.encode("utf-8", "surrogateescape"))
        digest.update(b"\0")
    return digest.hexdigest()


def _key_parts(siblings: Sequence[Component]) -> Iterator[str]:
    yield f"{_FORMAT} {sys.version} {sys.prefix}"
    yield f"kplug {__version__} keras {_keras_version()} {_backend()}"
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
        yield _stamp(spec.origin)


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
            yield _stamp(entry.path)
        elif os.path.isdir(entry.path):  # noqa: PTH112 - of a link to itself, DirEntry.is_dir raises
            yield from _python_files(entry.path)


def _stamp(path: str) -> str:
    try:
        status = os.stat(path)  # noqa: PTH116
    except OSError as error:
        return f"{path} {type(error).__name__}"
    return f"{path} {status.st_mtime_ns} {status.st_size}"


def _keras_version() -> str:
    try:
        return metadata.version("keras")
    except metadata.PackageNotFoundError:
        return ""


def _backend() -> str:
    """Return what Keras will compute with, as Keras finds it out, which is not imported for it."""
    named = os.environ.get("KERAS_BACKEND")
    if named:
        return named
    folder = os.environ.get("KERAS_HOME") or os.path.expanduser("~/.keras")  # noqa: PTH111 - as Keras does
    try:
        return str(json.loads(Path(folder, "keras.json").read_text(encoding="utf-8"))["backend"])
    except (OSError, ValueError, KeyError, TypeError):
        return "tensorflow"


def _installed() -> str:
    names: set[str] = set()
    for folder in sys.path:
        try:
            names.update(entry.name for entry in os.scandir(folder or ".") if entry.name.endswith("-info"))
        except OSError:
            continue
    return hashlib.sha256("\n".join(sorted(names)).encode()).hexdigest()
