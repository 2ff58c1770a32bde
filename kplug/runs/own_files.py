"""The files that a run's parts are in, where those are no plugins': the run keeps a copy of each, and uses that."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from kplug.catalog.component import Component
from kplug.catalog.references import is_reference, read_source, source_file
from kplug.catalog.resolution import resolve
from kplug.catalog.trust import how_to_trust, is_trusted
from kplug.errors import RunStateError, SpecError
from kplug.runs.directory import RunDirectory
from kplug.runs.spec import LISTS, SECTIONS, ComponentSpec, RunSpec


def files_of(components: Iterable[Component]) -> dict[str, str]:
    """Return the files that components are in, with the SHA-256 of what they hold.

    Raises:
        SpecError: If two files have the same name, by which their copies and what they define are known.
    """
    found: dict[str, str] = {}
    for component in components:
        file = source_file(component)
        if file is None:
            continue
        for other in found:
            if Path(other).name == file.name and other != os.fspath(file):
                raise SpecError(f"Two files are called {file.name}: {other} and {file}. Rename one of them.")
        found[os.fspath(file)] = component.version
    return found


def copy_files(files: Mapping[str, str], directory: RunDirectory) -> None:
    """Copy a run's files into its directory.

    Args:
        files: What `files_of` returned.
        directory: Where to; a run that has none gets no folder for them.

    Raises:
        SpecError: If a file has changed since.
        OSError: If a copy cannot be written.
    """
    for path, digest in files.items():
        content = _insist_same(Path(path), digest, "since its parameters were checked. Start the run again.")
        directory.files.mkdir(exist_ok=True)
        (directory.files / Path(path).name).write_bytes(content)


def located(spec: RunSpec, directory: RunDirectory) -> RunSpec:
    """Return a run's spec with its own copies in the place of files that may have changed or gone.

    Raises:
        SpecError: If a copy is not what the run began with.
    """
    return _at_copies(spec, directory, spec.files)


def reachable(spec: RunSpec, directory: RunDirectory) -> RunSpec:
    """Return a run's spec, for another run, with its own copies in the place of files that have gone.

    Raises:
        SpecError: If such a copy is not what the run began with.
        RunStateError: If nobody has run it here before.
    """
    gone = [path for path in spec.files if not Path(path).is_file()]
    found = _at_copies(spec, directory, gone)
    insist_trusted(
        directory, [one for one in references(found) if source_file(one) in _copies(directory, gone).values()]
    )
    return found


def insist_trusted(directory: RunDirectory, components: Iterable[Component]) -> None:
    """Refuse what a run brings along until somebody has looked at it, if it came from elsewhere.

    Raises:
        RunStateError: If nobody has run it here before.
    """
    for component in components:
        if not is_trusted(component):
            raise RunStateError(
                f"{directory.id} brings code along that was not run here before: {how_to_trust(component)}"
            )


def _copies(directory: RunDirectory, paths: Iterable[str]) -> dict[str, Path]:
    return {path: directory.files / Path(path).name for path in paths}


def _at_copies(spec: RunSpec, directory: RunDirectory, paths: Iterable[str]) -> RunSpec:
    copies = _copies(directory, paths)
    for path, copy in copies.items():
        _insist_same(copy, spec.files[path], "since the run began. Bring it back, or start a new run.")

    def at_copy(one: ComponentSpec) -> ComponentSpec:
        place, _, attribute = one.name.rpartition(":")
        return one.model_copy(update={"name": f"{copies[place]}:{attribute}"}) if place in copies else one

    moved: dict[str, Any] = {field: at_copy(getattr(spec, field)) for field in SECTIONS if getattr(spec, field)}
    moved |= {field: [at_copy(one) for one in getattr(spec, field)] for field in LISTS}
    return spec.model_copy(update=moved)


def references(spec: RunSpec, directory: RunDirectory | None = None) -> list[Component]:
    """Return the parts of a run that are named by where they are.

    Args:
        spec: The run's spec.
        directory: The run's directory, to have its copies rather than the files that were named.

    Raises:
        SpecError: If a copy is not what the run began with.
        UnknownComponentError: If a file or module has gone.
    """
    spec = spec if directory is None else located(spec, directory)
    chosen = [(kind, getattr(spec, field)) for field, kind in SECTIONS.items() if getattr(spec, field)]
    chosen += [(kind, one) for field, kind in LISTS.items() for one in getattr(spec, field)]
    return [resolve(one.name, kind) for kind, one in chosen if is_reference(one.name)]


def _insist_same(path: Path, digest: str, remedy: str) -> bytes:
    content = read_source(path)
    if hashlib.sha256(content).hexdigest() != digest:
        raise SpecError(f"{path} has changed {remedy}")
    return content
