"""From a checked spec to a running worker."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import sys
import time
from pathlib import Path
from typing import Any

from kplug.catalog.component import SCRIPT_NAMESPACE, Component
from kplug.catalog.trust import own_run, trust_reference
from kplug.errors import KplugError, RunStateError, RunStorageError, SpecError
from kplug.runs.directory import RunDirectory, create_run_directory, remove_leftovers, starting, write_atomically
from kplug.runs.launchers import launcher_of, start_worker
from kplug.runs.lock import RunLock
from kplug.runs.own_files import brought_by, copy_files, insist_trusted, references
from kplug.runs.run import ENDED, Run, give_up, seconds_taken
from kplug.runs.spec import LISTS, SECTIONS, RunSpec

_LOCK_PATIENCE = 10.0
_KEPT = (
    *("created", "command", "cwd", "parent", "launcher", "execution", "data_sha256"),
    *("epoch", "epochs", "step", "steps_per_epoch"),
)
"""What a resumed run's status keeps of the earlier one."""


def launch(spec: RunSpec, root: Path, max_running: int | None = None, parent: str | None = None) -> Run:
    """Start a run, detached from this process, and return it.

    Args:
        spec: What to do, as `complete` returns it.
        root: The directory that holds the runs.
        max_running: How many runs may go on at once, this one included; it waits for its turn. By default it starts.
        parent: The run whose spec this one's was made from.

    Raises:
        RunStorageError: If the run's directory cannot be made or its process not be started; nothing is left behind.
        LauncherError: If its launcher fails; nothing is left behind.
    """
    named = _insist_known_elsewhere(spec)
    brought = brought_by(RunDirectory(root / parent), named) if parent is not None and named else []
    told = {
        **{"command": sys.argv, "cwd": os.fspath(Path.cwd()), "max_running": max_running, "parent": parent},
        "launcher": launcher_of(spec),
    }
    environment = {name: value for name, value in told.items() if value is not None}
    directory = create_run_directory(root, spec, environment, lambda made: copy_files(spec.files, made))
    try:
        start_worker(directory, spec)
    except KplugError:
        shutil.rmtree(directory.path, ignore_errors=True)
        raise
    except BaseException:  # Ctrl-C while a launcher was at it: its job may be there
        give_up(directory, "failed", "starting it was interrupted")
        raise
    # Whoever starts a run with a file of theirs may resume it, and load its model, without being asked.
    # What another run brought along is not theirs.
    for component in named:
        if component not in brought:
            trust_reference(component)
    if named and not brought:
        own_run(directory.spec)
    return Run(directory)


def resume(run: Run, max_running: int | None = None) -> None:
    """Take an interrupted run up where its newest checkpoint is, detached from this process.

    Args:
        run: A run that was stopped, failed or is lost.
        max_running: How many runs may go on at once, this one included; it waits for its turn. By default it starts.

    Raises:
        RunStateError: If the run is not over, or has completed, or has a worker, or brings code along that nobody has
            run here before.
        SpecError: If the run's copy of a file is not what it began with.
        RunStorageError: If its directory cannot be written, or the process not be started.
        LauncherError: If its launcher fails.
    """
    spec = run.spec
    _resumable(run)
    insist_trusted(run.directory, references(spec, run.directory))
    lock = RunLock(run.directory.lock)
    if not lock.acquire(_LOCK_PATIENCE):
        raise RunStateError(f"{run.id} has a worker already.")
    try:
        # Somebody else may have been faster.
        status = _resumable(run)
        before = run.directory.status.read_bytes() if os.path.exists(run.directory.status) else None  # noqa: PTH110
        remove_leftovers(run.directory.status)
        run.directory.control.unlink(missing_ok=True)
        run.directory.job.unlink(missing_ok=True)
        now = time.time()
        fields = {name: status[name] for name in _KEPT if name in status} | starting(now, max_running)
        fields |= {"resumed": now, "seconds_before": seconds_taken(status)}
        fields |= {} if max_running is None else {"max_running": max_running}
        write_atomically(run.directory.status, json.dumps(fields, indent=2))
    except OSError as error:
        raise RunStorageError(f"{run.directory.path} cannot be written: {error.strerror or error}.") from error
    finally:
        lock.release()
    try:
        start_worker(run.directory, spec)
    except KplugError:
        # As it was, to the byte: what could not be made out of it is no less damaged now.
        with contextlib.suppress(OSError):
            run.directory.status.unlink() if before is None else run.directory.status.write_bytes(before)
        raise
    except BaseException:
        give_up(run.directory, "failed", "starting it was interrupted")
        raise


def _insist_known_elsewhere(spec: RunSpec) -> list[Component]:
    """Return the parts of a spec that are named by where they are; refuse those that this process alone knows.

    Raises:
        SpecError: If there are such.
    """
    for one in (
        *(getattr(spec, field) for field in SECTIONS),
        *(one for field in LISTS for one in getattr(spec, field)),
    ):
        if one is not None and one.name.startswith(f"{SCRIPT_NAMESPACE}/"):
            raise SpecError(
                f"{one.name} is known in this process alone, and a run is another one. Name the file that it is in: "
                "path/to/file.py:Object"
            )
    return references(spec)


def _resumable(run: Run) -> dict[str, Any]:
    """Return the status of a run that can be resumed.

    Raises:
        RunStateError: If it cannot.
    """
    status = run.status
    if status.get("tracked"):
        raise RunStateError(f"{run.id} was recorded by kplug.track: what it does is in the script that it ran in.")
    if status["state"] == "completed":
        raise RunStateError(
            f"{run.id} has completed, so there is nothing to resume. To train anew: kplug runs clone {run.id}"
        )
    if status["state"] not in ENDED:
        raise RunStateError(f"{run.id} is {status['state']}. Stop it first: kplug runs stop {run.id}")
    return status
