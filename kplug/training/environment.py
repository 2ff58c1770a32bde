"""Where a run is executed: versions, the state of the code, devices."""

from __future__ import annotations

import contextlib
import platform
import subprocess
import sys
from importlib import metadata
from pathlib import Path
from typing import Any

from kplug.catalog.resolution import resolve
from kplug.errors import KplugError
from kplug.runs.spec import LISTS, SECTIONS, RunSpec

_DISTRIBUTIONS = ("kplug", "keras", "tensorflow", "jax", "torch", "numpy")
_GIT_SECONDS = 5.0


def environment(spec: RunSpec | None = None) -> dict[str, Any]:
    """Return what should be known when the results are compared with others: of Python, packages, code and machine.

    Args:
        spec: What is run: the plugins that its parts come from are packages too.
    """
    names = (*_DISTRIBUTIONS, *(() if spec is None else _plugins(spec)))
    return {
        "python": platform.python_version(),
        "versions": {name: version for name in names if (version := _version(name))},
        "platform": platform.platform(),
        "processor": platform.machine(),
        "executable": sys.executable,
        "git": _git(Path.cwd()),
    }


def _plugins(spec: RunSpec) -> list[str]:
    chosen = [(kind, getattr(spec, field)) for field, kind in SECTIONS.items() if getattr(spec, field)]
    chosen += [(kind, one) for field, kind in LISTS.items() for one in getattr(spec, field)]
    found = set()
    for kind, one in chosen:
        with contextlib.suppress(KplugError):  # what is missing is told of where it is needed
            found.add(resolve(one.name, kind).distribution)
    return sorted(found.difference(_DISTRIBUTIONS))


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except (metadata.PackageNotFoundError, ValueError):
        return None


def _git(folder: Path) -> dict[str, Any] | None:
    """Return the commit of the repository around a folder and whether it has changes, or `None` if there is none."""
    try:
        commit = _output(folder, "rev-parse", "HEAD")
        changes = _output(folder, "status", "--porcelain", "--untracked-files=no")
    except (OSError, subprocess.SubprocessError):
        return None
    return {"commit": commit, "dirty": bool(changes)}


def _output(folder: Path, *arguments: str) -> str:
    return subprocess.run(
        ["git", "-C", str(folder), *arguments], capture_output=True, text=True, timeout=_GIT_SECONDS, check=True
    ).stdout.strip()
