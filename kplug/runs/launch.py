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
from kplug.catalog.trust import is_own_run, own_run, trust_reference
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


def resume(run: Run, max_running: int | None = None, epochs: int | None = None) -> None:
    """Take an interrupted run up where its newest checkpoint is, detached from this process.

    Args:
        run: A run that was stopped, failed or is lost; or, with `epochs`, one that has completed.
        max_running: How many runs may go on at once, this one included; it waits for its turn. By default it starts.
        epochs: How many epochs it shall have in all, those that it has done included; by default as many as before. Its
            spec is changed.

    Raises:
        RunStateError: If the run is not over, or has completed, or has a worker, or brings code along that nobody has
            run here before.
        SpecError: If the run's copy of a file is not what it began with, or it cannot have as many epochs.
        RunStorageError: If its directory cannot be written, or the process not be started.
        LauncherError: If its launcher fails.
    """
    spec = _with_epochs(run, epochs)
    _resumable(run, epochs)
    insist_trusted(run.directory, references(spec, run.directory))
    lock = RunLock(run.directory.lock)
    if not lock.acquire(_LOCK_PATIENCE):
        raise RunStateError(f"{run.id} has a worker already.")
    spec_before = None
    try:
        # Somebody else may have been faster.
        status = _resumable(run, epochs)
        before = run.directory.status.read_bytes() if os.path.exists(run.directory.status) else None  # noqa: PTH110
        remove_leftovers(run.directory.status)
        run.directory.control.unlink(missing_ok=True)
        run.directory.job.unlink(missing_ok=True)
        now = time.time()
        fields = {name: status[name] for name in _KEPT if name in status} | starting(now, max_running)
        fields |= {"resumed": now, "seconds_before": seconds_taken(status)}
        fields |= {} if max_running is None else {"max_running": max_running}
        if epochs is not None:
            fields["epochs"] = epochs
            owned = is_own_run(run.directory.spec)
            spec_before = run.directory.spec.read_text(encoding="utf-8")
            _change_spec(run, spec.model_dump_json(indent=2) + "\n")
            if owned:
                own_run(run.directory.spec)
        write_atomically(run.directory.status, json.dumps(fields, indent=2))
    except OSError as error:
        _put_back_spec(run, spec_before)
        raise RunStorageError(f"{run.directory.path} cannot be written: {error.strerror or error}.") from error
    finally:
        lock.release()
    try:
        start_worker(run.directory, spec)
    except KplugError:
        _put_back_spec(run, spec_before)
        # As it was, to the byte: what could not be made out of it is no less damaged now.
        with contextlib.suppress(OSError):
            run.directory.status.unlink() if before is None else run.directory.status.write_bytes(before)
        raise
    except BaseException:
        give_up(run.directory, "failed", "starting it was interrupted")
        raise


def _change_spec(run: Run, text: str) -> None:
    write_atomically(run.directory.spec, text, flush=True)
    run.forget_spec()


def _put_back_spec(run: Run, text: str | None) -> None:
    """Undo `_change_spec`, if it was called: a full disk must not cost the old spec either."""
    if text is not None:
        with contextlib.suppress(OSError):
            _change_spec(run, text)


def _with_epochs(run: Run, epochs: int | None) -> RunSpec:
    """Return a run's spec with another number of epochs.

    Raises:
        SpecError: If it cannot have as many.
    """
    spec = run.spec
    if epochs is None:
        return spec
    done = int(run.status.get("epoch") or 0)
    if epochs < 1 or epochs < done or (epochs == done and run.state == "completed"):
        raise SpecError(
            f"{run.id} has done {done} epochs; it can have more than these in all. Received: epochs={epochs}"
        )
    if spec.schedule is not None and epochs != spec.epochs:
        raise SpecError(
            f"{run.id} has its learning rate on schedule {spec.schedule.name}, which spans {spec.epochs} epochs. "
            f"To train it with more: kplug runs clone {run.id} --set epochs={epochs}"
        )
    return spec.model_copy(update={"epochs": epochs})


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


def _resumable(run: Run, epochs: int | None) -> dict[str, Any]:
    """Return the status of a run that can be resumed.

    Raises:
        RunStateError: If it cannot.
    """
    status = run.status
    if status.get("tracked"):
        raise RunStateError(f"{run.id} was recorded by kplug.track: what it does is in the script that it ran in.")
    if status["state"] == "completed" and epochs is None:
        raise RunStateError(
            f"{run.id} has completed, so there is nothing to resume. To train it on: kplug runs resume {run.id} "
            f"--epochs N; to train anew: kplug runs clone {run.id}"
        )
    if status["state"] not in ENDED:
        raise RunStateError(f"{run.id} is {status['state']}. Stop it first: kplug runs stop {run.id}")
    return status
