"""The files that a run's parts are in, where those are no plugins': the run keeps a copy of each, and uses that."""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from kplug.catalog.component import Component
from kplug.catalog.references import is_reference, read_source, source_file
from kplug.catalog.resolution import resolve
from kplug.catalog.trust import how_to_trust, is_own_run, is_trusted
from kplug.errors import KplugError, RunStateError, SpecError
from kplug.runs.directory import RunDirectory
from kplug.runs.spec import LISTS, SECTIONS, ComponentSpec, RunSpec, read_spec_values, spec_from


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

    Of a run that was not started here, every part that is named by where it is must be trusted: to describe it for the
    other run is to run it.

    Raises:
        SpecError: If such a copy is not what the run began with, or a part is named by a path that is not whole.
        RunStateError: If the run was not started here, and somebody has yet to look at what it names.
        UnknownComponentError: If the run was not started here, and a file or module that it names is not here.
    """
    gone = [path for path in spec.files if not Path(path).is_file()]
    found = _at_copies(spec, directory, gone)
    if not is_own_run(directory.spec):
        insist_trusted(directory, references(found))
    return found


def brought_by(parent: RunDirectory, components: Iterable[Component]) -> list[Component]:
    """Return which components a run brings along whose code nobody has run here of their own accord."""
    if is_own_run(parent.spec):
        return []
    try:
        spec = spec_from(read_spec_values(parent.spec), str(parent.spec))
    except KplugError:
        return []
    named: set[str] = set()
    for kind, one in _named(spec):
        with contextlib.suppress(KplugError):
            named.add(resolve(one.name, kind).id)
    return [
        one
        for one in components
        if not is_trusted(one) and (one.id in named or (source_file(one) or Path()).is_relative_to(parent.path))
    ]


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


def _at_copies(spec: RunSpec, directory: RunDirectory, paths: Iterable[str]) -> RunSpec:
    for _, one in _named(spec):
        place = one.name.rpartition(":")[0]
        if place.endswith(".py") and not Path(place).is_absolute():
            raise SpecError(
                f"{directory.spec} names {one.name}, and kplug writes whole paths there, from the root on. Write the "
                "path of the file that is meant."
            )
    copies = {path: directory.files / Path(path).name for path in paths}
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
    return [resolve(one.name, kind) for kind, one in _named(spec)]


def _named(spec: RunSpec) -> Iterator[tuple[str, ComponentSpec]]:
    """Give the parts of a spec that are named by where they are, each with its kind."""
    chosen = [(kind, getattr(spec, field)) for field, kind in SECTIONS.items() if getattr(spec, field)]
    chosen += [(kind, one) for field, kind in LISTS.items() for one in getattr(spec, field)]
    yield from ((kind, one) for kind, one in chosen if is_reference(one.name))


def _insist_same(path: Path, digest: str, remedy: str) -> bytes:
    content = read_source(path)
    if hashlib.sha256(content).hexdigest() != digest:
        raise SpecError(f"{path} has changed {remedy}")
    return content
