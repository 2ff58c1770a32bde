"""Deleted runs: moved aside, so that they can be brought back until the trash is emptied."""

from __future__ import annotations

import shutil
from pathlib import Path

from kplug.errors import RunNotFoundError, RunStateError, RunStorageError
from kplug.places import runs_root
from kplug.runs.directory import RunDirectory
from kplug.runs.lock import RunLock
from kplug.runs.run import Run, is_run

TRASH = ".trash"


def delete(run: Run) -> None:
    """Move a run to the trash.

    Raises:
        RunStateError: If it has not ended, or has a worker.
        RunStorageError: If it cannot be moved.
    """
    if not run.ended:
        raise RunStateError(f"{run.id} is {run.state}. Stop it first: kplug runs stop {run.id}")
    folder = run.directory.path.parent / TRASH
    lock = RunLock(run.directory.lock)
    try:
        if not lock.acquire():
            raise RunStateError(f"{run.id} has a worker. Stop it first: kplug runs stop {run.id}")
        folder.mkdir(exist_ok=True)
        run.directory.path.rename(folder / run.id)
    except OSError as error:
        raise RunStorageError(
            f"{run.directory.path} cannot be moved to {folder}: {error.strerror or error}."
        ) from error
    finally:
        lock.release()


def deleted(root: Path | None = None) -> list[Run]:
    """Return the runs in the trash, newest first.

    Raises:
        RunStorageError: If it cannot be read.
    """
    directories = (RunDirectory(path) for path in _in_trash(runs_root(root) / TRASH))
    return [Run(directory) for directory in directories if is_run(directory)]


def restore(key: str, root: Path | None = None) -> Run:
    """Bring a run back from the trash.

    Args:
        key: Its id, or the beginning of it.
        root: The directory that holds the runs.

    Raises:
        RunNotFoundError: If no run in the trash is meant, or several are.
        RunStorageError: If it cannot be moved.
    """
    folder = runs_root(root)
    meant = [run for run in deleted(root) if key and run.id.startswith(key)]
    exact = [run for run in meant if run.id == key] or meant
    if len(exact) != 1:
        which = f"{len(exact)} runs" if exact else "no run"
        raise RunNotFoundError(f"{key!r} means {which} in the trash. `kplug runs trash` shows them.")
    path = exact[0].directory.path
    try:
        path.rename(folder / path.name)
    except OSError as error:
        raise RunStorageError(f"{path} cannot be moved to {folder}: {error.strerror or error}.") from error
    return Run(RunDirectory(folder / path.name))


def empty(root: Path | None = None) -> int:
    """Remove the runs in the trash for good, and return how many.

    Raises:
        RunStorageError: If one cannot be removed.
    """
    runs = deleted(root)
    # What is left of a run that could not be removed whole is none any more, and goes as well.
    for path in _in_trash(runs_root(root) / TRASH):
        try:
            shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
        except OSError as error:
            raise RunStorageError(f"{path} cannot be removed: {error.strerror or error}.") from error
    return len(runs)


def _in_trash(folder: Path) -> list[Path]:
    try:
        return sorted(folder.iterdir(), reverse=True)
    except FileNotFoundError:
        return []
    except OSError as error:
        raise RunStorageError(f"{folder} cannot be read: {error.strerror or error}.") from error
