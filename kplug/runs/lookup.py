"""From what a person types to the run that is meant."""

from __future__ import annotations

import re
from pathlib import Path

from kplug.errors import RunNotFoundError
from kplug.places import runs_root
from kplug.runs.directory import RunDirectory
from kplug.runs.run import Run, is_run

# What is joined to the runs directory without looking: one component of a path on any system, of a length any can hold.
_PLAIN_ID = re.compile(r"[0-9A-Za-z][0-9A-Za-z_-]{0,199}")
_LONGEST_SHOWN = 200


def open_run(key: str, root: Path | None = None) -> Run:
    """Return the run that a person means.

    An id is looked up in its place; a name, or a part of an id, is asked of the index.

    Args:
        key: A run's id, the beginning of one, what stands behind one of its dashes until its end, or a run's name.
        root: The directory that holds the runs; the usual one by default.

    Raises:
        RunNotFoundError: If there is no such run, or several are meant.
        RunStorageError: If the directory that holds the runs exists and cannot be read.
    """
    folder = runs_root(root)
    directory = RunDirectory(folder / key) if _PLAIN_ID.fullmatch(key) else None
    if directory is not None and is_run(directory):
        return Run(directory)
    meant = _meant(key, folder)
    shown = repr(key if len(key) <= _LONGEST_SHOWN else f"{key[:_LONGEST_SHOWN]}…")
    if not meant:
        raise RunNotFoundError(f"There is no run {shown} in {folder}. `kplug runs list` shows them.")
    if len(meant) > 1:
        ids = ", ".join(meant[:5])
        raise RunNotFoundError(f"{shown} could mean {len(meant)} runs: {ids}{', …' if len(meant) > 5 else ''}.")
    return Run(RunDirectory(folder / meant[0]))


def _meant(key: str, folder: Path) -> list[str]:
    """Return the ids of the runs that a key may mean, newest first."""
    from kplug.runs.index import names

    known = names(folder)
    return (
        [run_id for run_id in known if run_id == key]
        or [run_id for run_id, name in known.items() if name == key]
        or [run_id for run_id in known if key and run_id.startswith(key)]
        or [run_id for run_id in known if key and run_id.endswith(f"-{key}")]
    )
