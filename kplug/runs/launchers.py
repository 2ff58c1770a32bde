"""What starts workers: on this machine, or by a plugin's launcher somewhere else."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kplug.errors import KplugError, LauncherError, RunStorageError
from kplug.runs.directory import RunDirectory, write_atomically
from kplug.runs.json_file import read_json_object
from kplug.runs.own_files import insist_trusted, located, references

if TYPE_CHECKING:
    from kplug.runs.spec import ComponentSpec, RunSpec

LOCAL = "kplug/local"
_WORKER = "kplug.training.worker"
_MOST_LETTERS = 1000


@dataclass(frozen=True)
class Job:
    """A worker that is to be started.

    Attributes:
        run_id: The run's id, which makes a good name for the job.
        directory: The run's directory; the worker must see it under this path.
        command: The program and its arguments.
        environment: The variables that it needs besides those that it finds where it is started.
        log: The file to which what it prints is to be appended.
    """

    run_id: str
    directory: Path
    command: tuple[str, ...]
    environment: Mapping[str, str]
    log: Path


class Local:
    """Starts the worker on this machine, in a session of its own: it outlives the terminal.

    Example:

    ```bash
    kplug train vae --data digits --launcher local
    ```
    """

    def start(self, job: Job) -> None:
        """Start a worker.

        Raises:
            OSError: If the process cannot be started.
        """
        with job.log.open("ab") as log:
            subprocess.Popen(
                job.command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env={**os.environ, **job.environment},
                start_new_session=True,
            )


def launcher_of(spec: RunSpec) -> str | None:
    """Return the id of the launcher that starts a run's worker, or `None` if it is started on this machine."""
    return None if spec.launcher is None or spec.launcher.name == LOCAL else spec.launcher.name


def start_worker(directory: RunDirectory, spec: RunSpec) -> None:
    """Start the worker of a run, by its launcher.

    Raises:
        RunStorageError: If the process cannot be started on this machine.
        LauncherError: If a plugin's launcher fails.
        BrokenComponentError: If it cannot be imported.
    """
    job = _job(directory, spec.backend)
    if launcher_of(spec) is None:
        try:
            Local().start(job)
        except OSError as error:
            raise RunStorageError(
                f"The worker of {directory.path} cannot be started: {error.strerror or error}."
            ) from error
        return
    launcher = located(spec, directory).launcher
    assert launcher is not None
    started = _asked(launcher, "start", job)
    if started is not None:
        if not isinstance(started, str):
            raise LauncherError(
                f"launcher {launcher.name}: start() must return the job's id as a str, or None, not "
                f"{type(started).__name__}. The job may be running all the same."
            )
        try:
            write_atomically(directory.job, json.dumps({"id": started[:_MOST_LETTERS]}))
        except OSError as error:
            raise RunStorageError(f"{directory.job} cannot be written: {error.strerror or error}.") from error


def kill_job(directory: RunDirectory, spec: RunSpec) -> bool:
    """Let a run's launcher end the job that it has started; return whether it could be asked to.

    Raises:
        LauncherError: If it fails.
        BrokenComponentError: If it cannot be imported.
        RunStateError: If the run brings its launcher along, and nobody has run that here before.
    """
    launcher = located(spec, directory).launcher
    if launcher is None or launcher_of(spec) is None:
        return False
    try:
        job_id = read_json_object(directory.job).get("id")
    except (OSError, ValueError):
        return False
    insist_trusted(directory, references(spec, directory))
    if not isinstance(job_id, str) or not callable(getattr(_built(launcher), "kill", None)):
        return False
    _asked(launcher, "kill", job_id)
    return True


def _job(directory: RunDirectory, backend: str) -> Job:
    needed = {
        "KERAS_BACKEND": backend,
        "PYTHONUNBUFFERED": "1",
        # The worker must see the installed distributions that this process sees.
        "PYTHONPATH": os.pathsep.join(entry for entry in sys.path if entry),
        "TF_CPP_MIN_LOG_LEVEL": os.environ.get("TF_CPP_MIN_LOG_LEVEL", "2"),
    }
    command = (sys.executable, "-P", "-m", _WORKER, str(directory.path))
    return Job(directory.id, directory.path, command, needed, directory.log)


def _asked(chosen: ComponentSpec, verb: str, argument: Any) -> Any:
    """Call a method of a plugin's launcher.

    Raises:
        LauncherError: If it has no such method, or raises something.
        BrokenComponentError: If it cannot be imported.
    """
    launcher = _built(chosen)
    method = getattr(launcher, verb, None)
    if not callable(method):
        raise LauncherError(f"launcher {chosen.name}: {type(launcher).__name__} has no method {verb}().")
    try:
        return method(argument)
    except (Exception, SystemExit) as error:
        raise LauncherError(f"launcher {chosen.name}: {verb}() failed: {type(error).__name__}: {error}") from error


def _built(chosen: ComponentSpec) -> Any:
    # Only here: a run on this machine needs no plugin in this process.
    from kplug.catalog.loading import load
    from kplug.catalog.resolution import resolve

    launcher = load(resolve(chosen.name, "launcher"))
    try:
        return launcher(**chosen.parameters)
    except KplugError:
        raise
    except (Exception, SystemExit) as error:
        raise LauncherError(
            f"launcher {chosen.name} refuses its parameters: {type(error).__name__}: {error}"
        ) from error
