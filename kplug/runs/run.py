"""Runs as a reader sees them."""

from __future__ import annotations

import contextlib
import json
import math
import os
import socket
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kplug.errors import RunStateError, RunStorageError
from kplug.places import runs_root
from kplug.runs.directory import RunDirectory, write_atomically
from kplug.runs.json_file import read_json_object
from kplug.runs.lock import RunLock
from kplug.runs.process import is_killable, kill, request_stop
from kplug.runs.records import MetricRecord, RecordReader, RecordWriter
from kplug.runs.status_file import ENDED, KILL, read_status

_KILL_PATIENCE = 5.0

if TYPE_CHECKING:
    from kplug.runs.metric_arrays import MetricArrays
    from kplug.runs.spec import RunSpec


@dataclass(frozen=True)
class Run:
    """One run, read from its directory. What it says is as fresh as the call that asks.

    Example:

    ```python
    run = kplug.runs.open("20261121-034555-vae-digits-1f3a")
    run.state
    [record.metrics["loss"] for record in run.metrics() if record.epoch_end]
    ```
    """

    directory: RunDirectory

    @property
    def id(self) -> str:
        """The run's id."""
        return self.directory.id

    @cached_property
    def spec(self) -> RunSpec:
        """What was asked.

        Raises:
            SpecError: If the file is damaged.
        """
        # Only here: a list of runs that are in the index has no need of pydantic.
        from kplug.runs.spec import read_spec_values, spec_from

        return spec_from(read_spec_values(self.directory.spec), str(self.directory.spec))

    def forget_spec(self) -> None:
        """Read the spec anew when it is asked for next: it has changed."""
        self.__dict__.pop("spec", None)

    @property
    def status(self) -> dict[str, Any]:
        """State, process and progress, with `state` as it really is: `lost` if the process is gone without a word."""
        return read_status(self.directory)

    @property
    def state(self) -> str:
        """`queued`, `starting`, `running`, `stopping`, `completed`, `stopped`, `failed` or `lost`."""
        return str(self.status["state"])

    @property
    def ended(self) -> bool:
        """Whether the run is in a state that it does not leave by itself."""
        return self.state in ENDED

    def metrics(self) -> list[MetricRecord]:
        """Return all metric records, oldest first."""
        return RecordReader(self.directory.metrics).read_metrics()

    def metric_arrays(self) -> MetricArrays:
        """Return all metric records as NumPy arrays: steps, epochs, times, and one for each metric."""
        from kplug.runs.series import read_arrays

        return read_arrays(self.directory.metrics)

    def metric_frame(self) -> Any:
        """Return all metric records as a pandas data frame, one row each.

        Raises:
            KplugError: If pandas is not installed.
        """
        return self.metric_arrays().frame()

    def system_frame(self) -> Any:
        """Return the samples of CPU, memory and GPUs as a pandas data frame, one row each.

        Raises:
            KplugError: If pandas is not installed.
        """
        from kplug.runs.series import system_frame

        return system_frame(self.directory.system)

    def last_metrics(self) -> dict[str, float]:
        """Return the metrics of the last whole epoch, if it is in the last 8 MiB of records; else nothing."""
        from kplug.runs.summary import last_epoch_metrics

        found = last_epoch_metrics(self.directory.metrics)
        return {name: math.nan if value is None else value for name, value in found.items()}

    def events(self) -> list[dict[str, Any]]:
        """Return what happened to the run, oldest first: each event has its `time` and what it is, `event`."""
        return RecordReader(self.directory.events).read()

    def log(self) -> str:
        """Return everything the worker printed.

        Raises:
            RunStorageError: If that cannot be read.
        """
        try:
            return self.directory.log.read_text(encoding="utf-8", errors="replace")
        except FileNotFoundError:
            return ""
        except OSError as error:
            raise RunStorageError(f"{self.directory.log} cannot be read: {error.strerror or error}.") from error

    def artifacts(self) -> list[Path]:
        """Return the files the run left for people, by name."""
        folder = self.directory.artifacts
        return sorted(path for path in folder.rglob("*") if path.is_file()) if folder.is_dir() else []

    def stop(self) -> None:
        """Ask the worker, if there is one, to stop at the next batch; what it has learned is kept.

        Raises:
            RunStorageError: If it cannot be reached.
        """
        status = self.status
        if status["state"] in ENDED:
            return
        # What a launcher has yet to begin, somewhere, may never begin: there is nobody to ask.
        waits = status.get("launcher") is not None and status.get("pid") is None
        if not (waits and give_up(self.directory, "stopped")):
            request_stop(self.directory, status)

    def kill(self) -> None:
        """End the worker at once; what it has done since its last checkpoint is lost.

        Raises:
            RunStateError: If it has none on this machine, or its process is a script that records itself.
            LauncherError: If a plugin's launcher has started it, and fails to end it.
        """
        status = self.status
        if status.get("tracked") and status["state"] not in ENDED:
            raise RunStateError(
                f"{self.id} is recorded by kplug.track: its process is a script or notebook with work of its own. To "
                f"end the training alone: kplug runs stop {self.id}"
            )
        # The process of a run that has ended may go on, if it is a notebook's, or another run's that this is a copy of.
        if status["state"] in ENDED or not (self._killed(status) or self._job_killed(status)):
            host = status.get("host")
            where = f" on this machine; it was started on {host}" if host not in {None, socket.gethostname()} else ""
            if status.get("launcher") is not None and status["state"] not in ENDED:
                where = f" that {status['launcher']} could end. To give it up: kplug runs stop {self.id}"
            raise RunStateError(f"{self.id} is {status['state']}: there is no process to kill{where}.")
        _record_kill(self.directory)

    def _job_killed(self, status: Mapping[str, Any]) -> bool:
        """Let the launcher kill the worker that it has started elsewhere, and say whether it could be asked to."""
        if status.get("launcher") is None:
            return False
        from kplug.runs.launchers import kill_job

        return self._wanted(lambda: kill_job(self.directory, self.spec))

    def _killed(self, status: Mapping[str, Any]) -> bool:
        """Kill the worker, and say whether there was one; who sees it gone finds there that this was wanted."""
        # What is written for it would stop one that cannot be killed where it is.
        return is_killable(status) and self._wanted(lambda: kill(status))

    def _wanted(self, killed: Callable[[], bool]) -> bool:
        """Kill a worker, and leave word for who sees it gone."""
        control, asked = self.directory.control, None
        with contextlib.suppress(OSError, ValueError):
            asked = control.read_text(encoding="utf-8")
        with contextlib.suppress(OSError):
            write_atomically(control, KILL)
        done = False
        try:
            done = killed()
        finally:
            if not done:
                with contextlib.suppress(OSError):
                    control.unlink() if asked is None else write_atomically(control, asked)
        return done


def seconds_taken(status: Mapping[str, Any]) -> float:
    """Return how long a run has trained, its starts and interruptions left out; 0 where that is not known."""
    begun = status.get("first_batch")
    until = status.get("ended") or status.get("heartbeat")
    return (max(0.0, until - begun) if begun and until else 0.0) + (status.get("seconds_before") or 0.0)


def give_up(directory: RunDirectory, state: str, error: str | None = None) -> bool:
    """End a run that has no worker, and say whether it had none; a worker that comes late finds it ended.

    Args:
        directory: The run's directory.
        state: `"stopped"` or `"failed"`.
        error: Why, of one that failed.
    """
    lock = RunLock(directory.lock)
    try:
        if not lock.acquire():
            return False
        try:
            fields = read_json_object(directory.status)
            if fields.get("pid") is not None:
                return False
            fields |= {"state": state, "ended": time.time()} | ({} if error is None else {"error": error})
            write_atomically(directory.status, json.dumps(fields, indent=2), flush=True)
            with contextlib.closing(RecordWriter(directory.events)) as events:
                events.write({"time": time.time(), "event": state, **({} if error is None else {"error": error})})
        finally:
            lock.release()
    except (OSError, ValueError):
        return False
    return True


def _record_kill(directory: RunDirectory) -> None:
    """Write down that a run was killed, so that it is not taken for a crash, once its worker is gone."""
    lock = RunLock(directory.lock)
    with contextlib.suppress(OSError):  # it is killed all the same
        if lock.acquire(_KILL_PATIENCE):
            try:
                with contextlib.closing(RecordWriter(directory.events)) as events:
                    events.write({"time": time.time(), "event": "killed"})
            finally:
                lock.release()


def list_runs(root: Path | None = None) -> list[Run]:
    """Return all runs, newest first.

    Args:
        root: The directory that holds the runs; the usual one by default (`kplug doctor` says which).

    Raises:
        RunStorageError: If the directory exists and cannot be read.
    """
    return list(_scan(runs_root(root)))


def unreadable(root: Path, error: OSError) -> RunStorageError:
    """Return what is raised where a directory of runs cannot be read."""
    return RunStorageError(
        f"The runs directory {root} cannot be read: {error.strerror or error}. "
        "Choose another with --runs-dir or KPLUG_HOME."
    )


def is_run(directory: RunDirectory) -> bool:
    """Say whether a directory is a run's: whether it has a spec, or a status where the spec is gone.

    One whose name is no text is none: it could not be named.
    """
    # Path.exists raises where access is denied.
    there = os.path.exists(directory.spec) or os.path.exists(directory.status)  # noqa: PTH110
    return there and directory.id.isprintable()


def _scan(root: Path) -> Iterator[Run]:
    try:
        names = sorted((path.name for path in root.iterdir() if not path.name.startswith(".")), reverse=True)
    except FileNotFoundError:
        return
    except OSError as error:
        raise unreadable(root, error) from error
    for name in names:
        directory = RunDirectory(root / name)
        if is_run(directory):
            yield Run(directory)
