"""A child process that writes down what it finds, line by line: what a plugin breaks, prints or hangs stays there.

The child is `python -m kplug.child_process MODULE FOLDER SECONDS`; it imports the module, one of kplug's, and calls its
`main(request, result)`.
"""

from __future__ import annotations

import contextlib
import faulthandler
import importlib
import json
import os
import re
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from kplug.damaged_metadata import pass_over_damaged
from kplug.errors import KplugError

if TYPE_CHECKING:
    import psutil

Record = dict[str, Any]

_REQUEST, _RESULT = "request", "result"
_MARK = "KPLUG_CHILD"
"""The environment variable by which what a child process starts is known, wherever it goes."""

_PASSES = 3
"""How often processes with a mark are looked for: one may start another while they are ended."""

_LOCKED_SECONDS = 10.0
_KEPT_BYTES = 64 * 1024
_running: set[subprocess.Popen] = set()
_unwanted: set[subprocess.Popen] = set()
_LOG_LINE = re.compile(r"[IWEF]\d{4} |WARNING: All log messages before")
"""What TensorFlow logs while it is imported."""


@dataclass(frozen=True)
class Answer:
    """What a child process has left.

    Attributes:
        records: The records that it wrote, in order.
        ending: `""`, or words about how it ended: `"ended the process with exit code 3: the last line it said"`.
        late: Whether it was ended because its time was up.
    """

    records: list[Record]
    ending: str
    late: bool = False


def run_child(module: str, request: Any, seconds: float, import_path: Path | None = None) -> Answer:
    """Run a module of kplug in a child process. When it has ended, what it has started itself is ended too.

    Its `main(request, result)` is called, and appends JSON lines to the file `result`. What it prints is lost, but for
    the last line. It ends when this process has gone; while something holds Python's lock, 10 s after its time is up.

    Args:
        module: The module's name.
        request: What JSON can hold.
        seconds: How long it may take from one record to the next.
        import_path: A directory to import from before all others, or `None`.

    Raises:
        KplugError: If `end_children` has ended it, which says nothing about what it was to look at.
        OSError: If no process can be started.
    """
    with tempfile.TemporaryDirectory(prefix="kplug-", ignore_cleanup_errors=True) as folder:
        (Path(folder) / _REQUEST).write_text(json.dumps(request), encoding="utf-8")
        result = Path(folder) / _RESULT
        result.touch()
        mark = secrets.token_hex(16)
        process = subprocess.Popen(
            [sys.executable, "-P", "-m", "kplug.child_process", module, folder, str(seconds)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env={**_environment(import_path), _MARK: mark},
            start_new_session=True,
        )
        assert process.stdin is not None and process.stdout is not None
        said = _Tail(process.stdout)
        _running.add(process)
        try:
            in_time = _wait(process, result, seconds)
        finally:
            _end(process)
            _running.discard(process)
            _end_marked(mark)
            process.stdin.close()
        if process in _unwanted:
            _unwanted.discard(process)
            raise KplugError(f"python -m {module} was ended before it had answered.")
        if not in_time:
            return Answer(_read(result), f"took longer than {seconds:g} s", late=True)
        return Answer(_read(result), _ending(process.returncode, said.last_line()))


def end_children() -> None:
    """End the child processes that other threads of this process are waiting for."""
    for process in tuple(_running):
        _unwanted.add(process)
        _end(process)


class _Tail:
    """The end of what a process says, read while it speaks: one that never stops fills neither disk nor memory."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream
        self._kept = b""
        self._thread = threading.Thread(target=self._listen, name="kplug-child", daemon=True)
        self._thread.start()

    def last_line(self) -> str:
        """Return the last line that is more than a log of TensorFlow's; call it when the process has ended."""
        self._thread.join(1.0)  # what has left the process's group may hold the stream open for ever
        text = self._kept.decode(errors="replace")
        lines = [line for line in text.strip().splitlines() if not _LOG_LINE.match(line)]
        return lines[-1].strip()[:500] if lines else ""

    def _listen(self) -> None:
        with self._stream:
            while chunk := os.read(self._stream.fileno(), _KEPT_BYTES):
                self._kept = (self._kept + chunk)[-_KEPT_BYTES:]


def _wait(process: subprocess.Popen, result: Path, seconds: float) -> bool:
    """Wait until the process has ended; return whether it did before it had been silent for that many seconds."""
    written, deadline = 0, time.monotonic() + seconds
    while True:
        try:
            process.wait(min(0.5, seconds))
            return True
        except subprocess.TimeoutExpired:
            size = result.stat().st_size if result.exists() else 0
            if size != written:
                written, deadline = size, time.monotonic() + seconds
            elif time.monotonic() >= deadline:
                return False


def _environment(import_path: Path | None) -> dict[str, str]:
    path = [str(import_path)] if import_path is not None else []
    return {
        **os.environ,
        # The child must see the installed distributions that this process sees.
        "PYTHONPATH": os.pathsep.join([*path, *(entry for entry in sys.path if entry)]),
        # Looking needs no accelerator, and must not take memory on one.
        "CUDA_VISIBLE_DEVICES": "-1",
        "JAX_PLATFORMS": "cpu",
        "TF_CPP_MIN_LOG_LEVEL": "3",
        # Those it would find among the metadata of all distributions, one of which may be damaged.
        "PYDANTIC_DISABLE_PLUGINS": "__all__",
    }


def _end(process: subprocess.Popen) -> None:
    """End the process and those that it has started."""
    started = _descendants(process.pid) if process.poll() is None else []
    with contextlib.suppress(ProcessLookupError, PermissionError):  # there is none of them any more
        if hasattr(os, "killpg"):
            os.killpg(process.pid, signal.SIGKILL)
        else:
            process.kill()
    process.wait()
    _kill(started)


def _descendants(pid: int) -> list[psutil.Process]:
    import psutil

    try:
        return psutil.Process(pid).children(recursive=True)
    except (psutil.Error, OSError):
        return []


def _kill(processes: Iterable[psutil.Process]) -> None:
    import psutil

    for process in processes:
        with contextlib.suppress(psutil.Error, OSError):
            process.kill()


def _end_marked(mark: str) -> None:
    """End the processes that carry a mark: those that have left the group and the family of who started them."""
    import psutil

    for _ in range(_PASSES):
        found = []
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.Error, OSError):  # somebody else's, or gone
                if process.pid != os.getpid() and process.environ().get(_MARK) == mark:
                    found.append(process)
        if not found:
            return
        _kill(found)


def _read(result: Path) -> list[Record]:
    records: list[Record] = []
    try:
        text = result.read_text(encoding="utf-8", errors="replace")
    except OSError:  # what was looked at has taken it away
        return records
    for line in text.splitlines():
        # The last line may be cut off.
        with contextlib.suppress(ValueError):
            records.append(json.loads(line))
    return records


def _ending(code: int, said: str) -> str:
    if not code:
        return ""
    how = (
        f"was ended by signal {signal.Signals(-code).name}" if code < 0 else f"ended the process with exit code {code}"
    )
    return f"{how}: {said}" if said else how


def _forget_parents_children() -> None:
    """In a fork, let go of what tells the children that this process's parent is still there."""
    for process in _running:
        if process.stdin is not None:
            process.stdin.close()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_parents_children)


def _answer() -> None:
    """Be the child."""
    _, module, place, seconds = sys.argv
    folder, mark = Path(place), os.environ[_MARK]
    request = json.loads((folder / _REQUEST).read_text(encoding="utf-8"))
    # What is looked at reads nothing, and finds no arguments that are not its own.
    sys.argv = sys.argv[:1]
    held, nothing = os.dup(0), os.open(os.devnull, os.O_RDWR)
    os.dup2(nothing, 0)
    patience = float(seconds) + _LOCKED_SECONDS

    def watch() -> None:
        """End everything when the other end of standard input is closed: who asked has gone."""
        with contextlib.suppress(OSError):  # the plugin has closed what it did not open
            os.read(held, 1)
        shutil.rmtree(folder, ignore_errors=True)
        _kill(_descendants(os.getpid()))
        _end_marked(mark)
        if hasattr(os, "killpg"):
            os.killpg(os.getpgrp(), signal.SIGKILL)
        os._exit(1)

    def live() -> None:
        """Put off the end by the clock, which comes from a thread that needs no lock of Python's."""
        while True:
            faulthandler.dump_traceback_later(patience, exit=True, file=nothing)
            time.sleep(1.0)

    for watched in (watch, live):
        threading.Thread(target=watched, name="kplug-parent", daemon=True).start()
    pass_over_damaged()
    importlib.import_module(module).main(request, folder / _RESULT)
    _kill(_descendants(os.getpid()))
    os._exit(0)  # a thread that a plugin has left behind is not waited for


if __name__ == "__main__":
    _answer()
