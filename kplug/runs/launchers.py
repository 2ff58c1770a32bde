"""What starts workers: on this machine, or by a plugin's launcher somewhere else."""

from __future__ import annotations

import contextlib
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
_PASSED_ON = ("KPLUG_HOME", "KPLUG_PLUGINS")


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
    try:
        job = _job(directory, spec.backend)
    except (OSError, ValueError) as error:
        raise RunStorageError(f"{directory.status} cannot be read: {error}.") from error
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
    started = _asked(launcher.name, _built(launcher), "start", job)
    if started is not None:
        # Without it the job goes on all the same; it cannot be killed from here then.
        with contextlib.suppress(OSError):
            write_atomically(directory.job, json.dumps({"id": str(started)}))


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
    built = _built(launcher)
    if not isinstance(job_id, str) or not callable(getattr(built, "kill", None)):
        return False
    _asked(launcher.name, built, "kill", job_id)
    return True


def _job(directory: RunDirectory, backend: str) -> Job:
    needed = {
        "KERAS_BACKEND": backend,
        "PYTHONUNBUFFERED": "1",
        # The worker must see the installed distributions that this process sees.
        "PYTHONPATH": os.pathsep.join(entry for entry in sys.path if entry),
        "TF_CPP_MIN_LOG_LEVEL": os.environ.get("TF_CPP_MIN_LOG_LEVEL", "2"),
        **{name: os.environ[name] for name in _PASSED_ON if name in os.environ},
    }
    start = read_json_object(directory.status).get("start")
    command = (sys.executable, "-P", "-m", _WORKER, str(directory.path), *([start] if isinstance(start, str) else []))
    return Job(directory.id, directory.path, command, needed, directory.log)


def _asked(name: str, launcher: Any, verb: str, argument: Any) -> Any:
    """Call a method of a plugin's launcher.

    Raises:
        LauncherError: If it raises something.
    """
    try:
        return getattr(launcher, verb)(argument)
    except (Exception, SystemExit) as error:
        raise LauncherError(f"launcher {name}: {verb}() failed: {type(error).__name__}: {error}") from error


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
