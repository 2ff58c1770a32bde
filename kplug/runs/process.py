"""Worker processes: known by pid and creation time, asked to stop, killed."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kplug.errors import RunStateError, RunStorageError
from kplug.runs.directory import RunDirectory

if TYPE_CHECKING:
    from kplug.runs.run import Run

_PLOTTER = "kplug.training.plot_runs"
_CREATION_TOLERANCE = 1.0
_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
_UPTIME = Path("/proc/uptime")
_PID_NAMESPACE = Path("/proc/self/ns/pid")


def identity() -> dict[str, Any]:
    """Return what identifies the current process later: host, pid, and when it was created.

    `process_created` is a time of day, which changes for the same process when the clock is set; `process_start`, on
    Linux, is counted from the machine's start. `pid_namespace` tells containers of one machine apart.
    """
    import psutil

    process = psutil.Process()
    start, namespace = _start_of(process.pid), _pid_namespace()
    return {
        "host": socket.gethostname(),
        "pid": process.pid,
        "process_created": process.create_time(),
        **({} if start is None else {"process_start": start}),
        **({} if namespace is None else {"pid_namespace": namespace}),
    }


def place_of(directory: RunDirectory) -> list[int]:
    """Return what tells a directory from its copies on this machine: device and inode.

    Raises:
        OSError: If it is gone.
    """
    found = directory.path.stat()
    return [found.st_dev, found.st_ino]


def works_in(identified: Mapping[str, Any], directory: RunDirectory) -> bool:
    """Say whether an identified process works in a directory, and not in the one that this is a copy of."""
    place = identified.get("place")
    if place is None or not _was_here(identified):
        return True
    try:
        return bool(place == place_of(directory))
    except OSError:
        return False


def is_alive(identified: Mapping[str, Any]) -> bool | None:
    """Say whether an identified process still runs; `None` if that cannot be known, since it ran on another host say.

    A pid alone proves nothing, since the system reuses it: the moment of its creation must match too.
    """
    if not _was_here(identified):
        return None
    import psutil

    pid, start = identified.get("pid"), identified.get("process_start")
    if not isinstance(pid, int) or isinstance(pid, bool) or pid < 1:
        return False
    try:
        process = psutil.Process(pid)
        if start is None or _start_of(os.getpid()) is None:
            same = abs(process.create_time() - identified["process_created"]) < _CREATION_TOLERANCE
        else:
            same = _start_of(pid) == start
        return same and process.status() != psutil.STATUS_ZOMBIE
    except (psutil.NoSuchProcess, KeyError, TypeError, ValueError, OverflowError):
        return False
    except psutil.AccessDenied:
        return None


def request_stop(directory: RunDirectory, identified: Mapping[str, Any]) -> None:
    """Ask a run's worker to stop at the next batch.

    Raises:
        RunStorageError: If neither the process nor the run's directory can be reached.
    """
    # The process of a tracked script is somebody's own: its callback looks at the file.
    signalled = (
        hasattr(os, "killpg")
        and not identified.get("tracked")
        and is_killable(identified)
        and _signalled(int(identified["pid"]), signal.SIGTERM)
    )
    try:
        directory.control.write_text("stop\n", encoding="utf-8")
    except OSError as error:
        if not signalled:
            raise RunStorageError(f"{directory.control} cannot be written: {error.strerror or error}.") from error


def kill(identified: Mapping[str, Any]) -> bool:
    """End a worker at once, with the processes that it started, and say whether there was one to end.

    Only the very process is meant: one that has got its pid since is left alone.

    Raises:
        RunStateError: If it is somebody else's.
    """
    if not is_killable(identified):
        return False
    pid = int(identified["pid"])
    try:
        if hasattr(os, "killpg") and os.getpgid(pid) == pid:
            os.killpg(pid, signal.SIGKILL)
            return True
    except PermissionError:
        pass
    except ProcessLookupError:
        return False
    if not _signalled(pid, getattr(signal, "SIGKILL", signal.SIGTERM)):
        raise RunStateError(f"Process {pid} cannot be killed: it is gone, or somebody else's.")
    return True


def _was_here(identified: Mapping[str, Any]) -> bool:
    """Say whether a process ran among those that this one sees; containers and cloned machines may share a name."""
    if identified.get("host") != socket.gethostname():
        return False
    start, boot = identified.get("process_start"), _boot_id()
    if not isinstance(start, str) or boot is None:
        return True
    if start.partition("/")[0] == boot:
        return identified.get("pid_namespace") in {None, _pid_namespace()}
    # This machine was started anew, unless the other heart has beaten since then.
    try:
        booted = time.time() - float(_UPTIME.read_text(encoding="ascii").split()[0])
    except (OSError, ValueError, IndexError):
        return True
    return not (identified.get("heartbeat") or 0.0) > booted


def is_killable(identified: Mapping[str, Any]) -> bool:
    """Say whether a process runs here that may be sent signals: 1 is the system itself, 0 and less mean groups."""
    return bool(is_alive(identified)) and int(identified["pid"]) > 1


def _signalled(pid: int, number: int) -> bool:
    try:
        os.kill(pid, number)
    except (ProcessLookupError, PermissionError):
        return False
    return True


def _start_of(pid: int) -> str | None:
    """Return when a process was started: the machine's start, and clock ticks since; `None` where that is not told."""
    try:
        facts = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
        # The name of the program, in parentheses, may hold anything.
        boot = _boot_id()
        return None if boot is None else f"{boot}/{facts.rpartition(')')[2].split()[19]}"
    except (OSError, ValueError, IndexError):
        return None


def _boot_id() -> str | None:
    try:
        return _BOOT_ID.read_text(encoding="ascii").strip()
    except (OSError, ValueError):
        return None


def _pid_namespace() -> str | None:
    try:
        return str(_PID_NAMESPACE.readlink())
    except OSError:
        return None


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
