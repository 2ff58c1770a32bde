"""Worker processes: started apart from the terminal, known by pid and creation time, asked to stop."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from kplug.errors import RunStorageError
from kplug.runs.directory import RunDirectory

if TYPE_CHECKING:
    from kplug.runs.run import Run

_WORKER = "kplug.training.worker"
_PLOTTER = "kplug.training.plot_runs"
_CREATION_TOLERANCE = 1.0


def start_worker(directory: RunDirectory, backend: str) -> None:
    """Start the worker of a run in a session of its own, with its output in the run's log.

    Args:
        directory: The run's directory.
        backend: What Keras is to compute with.

    Raises:
        RunStorageError: If the process cannot be started.
    """
    environment = {
        **os.environ,
        "KERAS_BACKEND": backend,
        "PYTHONUNBUFFERED": "1",
        # The worker must see the installed distributions that this process sees.
        "PYTHONPATH": os.pathsep.join(entry for entry in sys.path if entry),
    }
    environment.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    try:
        with directory.log.open("ab") as log:
            subprocess.Popen(
                [sys.executable, "-P", "-m", _WORKER, str(directory.path)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=environment,
                start_new_session=True,
            )
    except OSError as error:
        raise RunStorageError(
            f"The worker of {directory.path} cannot be started: {error.strerror or error}."
        ) from error


def identity() -> dict[str, Any]:
    """Return what identifies the current process later: host, pid and creation time."""
    import psutil

    process = psutil.Process()
    return {"host": socket.gethostname(), "pid": process.pid, "process_created": process.create_time()}


def is_alive(identified: Mapping[str, Any]) -> bool | None:
    """Say whether an identified process still runs; `None` if it ran on another host.

    A pid alone proves nothing, since the system reuses it: the creation time must match too.
    """
    if identified.get("host") != socket.gethostname():
        return None
    import psutil

    try:
        process = psutil.Process(identified["pid"])
        same = abs(process.create_time() - identified["process_created"]) < _CREATION_TOLERANCE
        return same and process.status() != psutil.STATUS_ZOMBIE
    except (psutil.NoSuchProcess, KeyError, TypeError, ValueError):
        return False
    except psutil.AccessDenied:
        return True


def request_stop(directory: RunDirectory, identified: Mapping[str, Any]) -> None:
    """Ask a run's worker to stop at the next batch.

    Raises:
        RunStorageError: If neither the process nor the run's directory can be reached.
    """
    try:
        directory.control.write_text("stop\n", encoding="utf-8")
    except OSError as error:
        raise RunStorageError(f"{directory.control} cannot be written: {error.strerror or error}.") from error
    # The process of a tracked script is somebody's own: its callback looks at the file.
    if not identified.get("tracked") and is_alive(identified) and hasattr(os, "killpg"):
        os.kill(int(identified["pid"]), signal.SIGTERM)


def kill(identified: Mapping[str, Any]) -> bool:
    """End a worker at once, with the processes that it started, and say whether there was one to end.

    Only the very process is meant: one that has got its pid since is left alone.
    """
    if not is_alive(identified):
        return False
    pid = int(identified["pid"])
    try:
        if hasattr(os, "killpg") and os.getpgid(pid) == pid:
            os.killpg(pid, signal.SIGKILL)
        else:
            os.kill(pid, getattr(signal, "SIGKILL", signal.SIGTERM))
    except ProcessLookupError:
        return False
    return True


def draw(runs: Sequence[Run], file: str, metrics: Sequence[str] = ()) -> None:
    """Draw runs' metrics by epoch in a process of its own, which imports what drawing needs.

    Args:
        runs: The runs.
        file: Where the picture goes; its ending says in which format.
        metrics: Which ones; by default those that all runs have.

    Raises:
        RunStorageError: If the picture cannot be drawn or written.
    """
    directories = [str(run.directory.path) for run in runs]
    command = [sys.executable, "-P", "-m", _PLOTTER, file, ",".join(metrics), *directories]
    search = os.pathsep.join(entry for entry in sys.path if entry)
    done = subprocess.run(
        command, env={**os.environ, "PYTHONPATH": search}, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise RunStorageError(
            f"{file} cannot be drawn: {(done.stderr.strip().splitlines() or ['no reason given'])[-1]}"
        )
