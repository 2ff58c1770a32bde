"""Deleted runs: moved aside, so that they can be brought back until the trash is emptied."""

from __future__ import annotations

import shutil
from itertools import chain, count
from pathlib import Path

from kplug.errors import RunNotFoundError, RunStateError, RunStorageError
from kplug.places import runs_root
from kplug.runs.directory import RunDirectory
from kplug.runs.lock import RunLock
from kplug.runs.run import Run, is_run
from kplug.runs.summary import summary_of

TRASH = ".trash"
_AGAIN = "~"
"""Between the id and the number of a run that came to the trash after another of its id."""
_WORKER_PATIENCE = 10.0


def delete(run: Run) -> None:
    """Move a run to the trash.

    Raises:
        RunNotFoundError: If it is gone.
        RunStateError: If it has not ended, or has a worker.
        RunStorageError: If it cannot be moved.
    """
    _insist_ended(run)
    folder = run.directory.path.parent / TRASH
    lock = RunLock(run.directory.lock)
    if not lock.acquire():
        raise RunStateError(f"{run.id} has a worker. Stop it first: kplug runs stop {run.id}")
    try:
        _insist_ended(run)  # somebody may have resumed it meanwhile
        folder.mkdir(exist_ok=True)
        run.directory.path.rename(_free_place(folder, run.id))
    except OSError as error:
        raise RunStorageError(
            f"{run.directory.path} cannot be moved to {folder}: {error.strerror or error}."
        ) from error
    finally:
        lock.release()


def discard(run: Run) -> None:
    """Remove a run for good that its worker refused before it had trained anything; any other is left where it is."""
    lock = RunLock(run.directory.lock)
    try:
        # The worker has said how it ended, and may take a moment to be gone.
        if not lock.acquire(_WORKER_PATIENCE):
            return
    except RunStorageError:
        return
    try:
        status = run.status
        if status["state"] == "failed" and status.get("refused"):
            shutil.rmtree(run.directory.path, ignore_errors=True)
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
        key: Its id, its name, or the beginning of its id.
        root: The directory that holds the runs.

    Raises:
        RunNotFoundError: If no run in the trash is meant, or several are.
        RunStorageError: If it cannot be moved.
    """
    folder = runs_root(root)
    there = deleted(root) if key else []
    exact = (
        [run for run in there if run.id == key]
        or [run for run in there if summary_of(run)["name"] == key]
        or [run for run in there if run.id.startswith(key)]
    )
    if len(exact) != 1:
        which = f"{len(exact)} runs" if exact else "no run"
        raise RunNotFoundError(f"{key!r} means {which} in the trash. `kplug runs trash` shows them.")
    path = exact[0].directory.path
    place = folder / path.name.partition(_AGAIN)[0]
    try:
        path.rename(place)
    except OSError as error:
        raise RunStorageError(f"{path} cannot be moved to {place}: {error.strerror or error}.") from error
    return Run(RunDirectory(place))


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


def _insist_ended(run: Run) -> None:
    """See to it that a run is there, and over.

    Raises:
        RunNotFoundError: If it is not there.
        RunStateError: If it is not over.
    """
    if not is_run(run.directory):
        raise RunNotFoundError(f"There is no run {run.id} in {run.directory.path.parent} any more.")
    if not run.ended:
        raise RunStateError(f"{run.id} is {run.state}. Stop it first: kplug runs stop {run.id}")


def _free_place(folder: Path, run_id: str) -> Path:
    """Return where in the trash a run goes; another of its id may be there, of which this one was a copy."""
    names = chain([run_id], (f"{run_id}{_AGAIN}{number}" for number in count(2)))
    return next(folder / name for name in names if not (folder / name).exists())


def _in_trash(folder: Path) -> list[Path]:
    try:
        return sorted(folder.iterdir(), reverse=True)
    except FileNotFoundError:
        return []
    except OSError as error:
        raise RunStorageError(f"{folder} cannot be read: {error.strerror or error}.") from error
