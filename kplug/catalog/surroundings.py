"""What descriptions depend on besides the plugin itself: this Python, its Keras, and what else is installed."""

from __future__ import annotations

import functools
import hashlib
import json
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import kplug
from kplug.catalog.admission import normalized
from kplug.catalog.installed_metadata import metadata_folders


@dataclass(frozen=True)
class Surroundings:
    """The surroundings of plugins, as they are at one moment.

    Attributes:
        environment: This Python and this kplug, and where they are.
        backend: What Keras will compute with.
        folders: Normalized name of a distribution -> the folder with its metadata. The first on `sys.path` hides the
            later ones.
        names: The names of all such folders.
    """

    environment: str
    backend: str
    folders: Mapping[str, str]
    names: frozenset[str]

    @functools.cached_property
    def keras(self) -> str | None:
        """What changes when another Keras is installed."""
        return self.version_of("keras")

    @functools.cached_property
    def installed(self) -> str:
        """What changes when anything is installed or uninstalled."""
        return hashlib.sha256("\n".join(sorted(self.names)).encode("utf-8", "surrogateescape")).hexdigest()

    def version_of(self, distribution: str) -> str | None:
        """Return what changes when another version of a distribution is installed, or `None` if none is."""
        folder = self.folders.get(normalized(distribution))
        return None if folder is None else stamp(folder if folder.endswith(".egg-info") else f"{folder}/METADATA")


def surroundings() -> Surroundings:
    """Look at the surroundings as they are now; each directory of `sys.path` is read once, and nothing in it opened."""
    folders: dict[str, str] = {}
    names: set[str] = set()
    for place in sys.path:
        try:
            found = metadata_folders(place)
        except OSError:
            continue
        for folder in found:
            name = folder.rpartition(os.sep)[2]
            names.add(name)
            folders.setdefault(normalized(name.rpartition(".")[0].partition("-")[0]), folder)
    environment = f"{sys.version} {sys.prefix} kplug {kplug.__version__} {Path(kplug.__file__).parent}"
    return Surroundings(environment, _backend(), folders, frozenset(names))


def stamp(path: str) -> str:
    """Return what changes when a file does."""
    try:
        status = os.stat(path)  # noqa: PTH116
    except OSError as error:
        return f"{path} {type(error).__name__}"
    return f"{path} {status.st_mtime_ns} {status.st_size}"


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
