"""Checks of a launcher."""

from __future__ import annotations

import contextlib
import inspect
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from kplug.runs.launchers import Job

_SAYS_WHAT_IT_GOT = """
import os, sys
print("it began", flush=True)
with open(sys.argv[1] + ".part", "w") as file:
    file.write(os.environ["KPLUG_CHECKED"])
os.rename(sys.argv[1] + ".part", sys.argv[1])
"""
_GOES_ON = """
import sys, time
while True:
    with open(sys.argv[1], "a") as file:
        file.write(".")
    time.sleep(0.05)
"""
_WORD = "spaces, 'quotes' and $signs"
_STILL_SECONDS = 1.0
_HANDED_OVER_SECONDS = 30.0


def check_launcher(launcher: Any, directory: Path | None = None, seconds: float = 60.0) -> None:
    """Check that a launcher starts jobs as kplug needs it, and ends them if it can. It starts two.

    A job runs with its arguments and its variables as they are, and what it prints is appended to its log; `start`
    returns the job's id as text, or nothing, and does not wait for the job's end; `kill` ends a job, and raises nothing
    for one that has ended.

    Args:
        launcher: What the component has made.
        directory: A directory that jobs see where they run; a temporary one by default.
        seconds: How long a job may take to begin or to end.

    Raises:
        AssertionError: With what went wrong.

    Example:

    ```python
    def test_slurm(tmp_path):
        kplug.testing.check_launcher(Slurm(partition="debug"), tmp_path)
    ```
    """
    check_launcher_methods(launcher)
    name = type(launcher).__name__
    with contextlib.ExitStack() as stack:
        if directory is None:
            directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="kplug-")))
        first = _job(directory, "first", _SAYS_WHAT_IT_GOT)
        first.log.write_text("what stood there\n", encoding="utf-8")
        first_id = _started(name, launcher, first)
        written = directory / "first.txt"
        _wait(written.exists, seconds, lambda: f"the job that {name} started did not begin: {_log_of(first)}")
        got = written.read_text(encoding="utf-8")
        assert got == _WORD, f"the job had KPLUG_CHECKED={got!r} in its environment, not {_WORD!r}"
        _wait(
            lambda: first.log.read_bytes().split() == b"what stood there it began".split(),
            seconds,
            lambda: f"what the job prints was not appended to its log: {_log_of(first)}",
        )
        if not callable(getattr(launcher, "kill", None)):
            return
        assert first_id is not None, f"{name} has kill(job_id), but start returns no id to call it with"
        second = _job(directory, "second", _GOES_ON)
        second_id = _started(name, launcher, second)
        written = directory / "second.txt"
        _wait(written.exists, seconds, lambda: f"the second job did not begin: {_log_of(second)}")
        launcher.kill(second_id)
        _wait(lambda: _is_still(written), seconds, lambda: f"the job went on after kill({second_id!r})")
        for ended in (first_id, second_id):
            try:
                launcher.kill(ended)
            except Exception as error:
                raise AssertionError(f"kill({ended!r}) raised {error!r} for a job that had ended") from error


def check_launcher_methods(launcher: Any) -> None:
    """Check that a launcher has the methods that kplug calls, as it calls them; it starts nothing.

    Args:
        launcher: What the component has made.

    Raises:
        AssertionError: With what is missing or takes something else.
    """
    name = type(launcher).__name__
    assert callable(getattr(launcher, "start", None)), f"{name} has no method start(job)"
    for verb, argument in (("start", "job"), ("kill", "job_id")):
        method = getattr(launcher, verb, None)
        if method is None:
            continue
        try:
            inspect.signature(method).bind(argument)
        except TypeError as error:
            raise AssertionError(f"{name}.{verb} is called as {verb}({argument}): {error}") from None


def _job(directory: Path, name: str, program: str) -> Job:
    command = (sys.executable, "-c", program, str(directory / f"{name}.txt"))
    return Job(f"kplug-check-{name}", directory, command, {"KPLUG_CHECKED": _WORD}, directory / f"{name}.log")


def _started(name: str, launcher: Any, job: Job) -> str | None:
    begun = time.monotonic()
    job_id = launcher.start(job)
    assert job_id is None or isinstance(job_id, str), f"{name}.start returned {job_id!r}: a job's id is text"
    taken = time.monotonic() - begun
    assert taken < _HANDED_OVER_SECONDS, f"{name}.start took {taken:.0f} s: it must not wait for the job"
    return job_id


def _wait(holds: Callable[[], bool], seconds: float, message: Callable[[], str]) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, f"within {seconds:g} s, {message()}"
        time.sleep(0.05)


def _is_still(file: Path) -> bool:
    size = file.stat().st_size
    time.sleep(_STILL_SECONDS)
    return file.stat().st_size == size


def _log_of(job: Job) -> str:
    try:
        return f"its log has {job.log.read_text(encoding='utf-8', errors='replace')[-500:]!r}"
    except OSError as error:
        return f"its log cannot be read ({error.strerror})"
