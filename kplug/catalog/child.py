"""One child process per plugin: what it imports, prints, breaks or hangs stays in there."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from kplug.catalog.component import Component
from kplug.errors import KplugError, SpecError

Record = dict[str, Any]
Records = dict[tuple[str, str], Record]
"""`(kind, name)` -> what was learned."""

_DEFAULT_TIMEOUT = 120.0
_running: set[subprocess.Popen] = set()
_unwanted: set[subprocess.Popen] = set()
_LOG_LINE = re.compile(r"[IWEF]\d{4} |WARNING: All log messages before")
"""What TensorFlow logs while it is imported."""


def timeout_seconds() -> float:
    """Return how long one plugin may take: `$KPLUG_INSPECTION_TIMEOUT` seconds, or 120.

    Raises:
        SpecError: If the variable holds no such number.
    """
    text = os.environ.get("KPLUG_INSPECTION_TIMEOUT", "")
    if not text:
        return _DEFAULT_TIMEOUT
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not seconds > 0:
        raise SpecError(f"KPLUG_INSPECTION_TIMEOUT must be a number of seconds greater than 0, not {text!r}.")
    return seconds


def inspect_in_child(wanted: Iterable[Component]) -> Records:
    """Import the components in a child process and return what it learned of each.

    Every component gets a record: one that the child could not reach, because an earlier one hung, crashed or
    ended the process, is recorded as broken for that reason.

    Raises:
        KplugError: If `end_children` has ended it, which says nothing about the components.
    """
    wanted = list(wanted)
    timeout = timeout_seconds()
    with tempfile.TemporaryDirectory(prefix="kplug-") as folder:
        result = Path(folder) / "result"
        errors = Path(folder) / "errors"
        ending = _run(wanted, result, errors, timeout)
        records, begun = _read(result)
        said = _last_line(errors)
    for component in wanted:
        key = (component.kind, component.name)
        if key not in records:
            records[key] = {"status": "broken", "error": _reason(key, begun, ending, said)}
    return records


def _run(wanted: list[Component], result: Path, errors: Path, timeout: float) -> str:
    request = json.dumps([(one.kind, one.name, one.target) for one in wanted])
    with errors.open("wb") as error_file:
        process = subprocess.Popen(
            [sys.executable, "-P", "-m", "kplug.catalog.inspection", str(result)],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=error_file,
            env=_environment(),
            start_new_session=True,
        )
        _running.add(process)
        try:
            process.communicate(request.encode(), timeout=timeout)
        except subprocess.TimeoutExpired:
            _kill_group(process)
            return f"took longer than {timeout:g} s"
        except BaseException:
            _kill_group(process)
            raise
        finally:
            _running.discard(process)
    if process in _unwanted:
        _unwanted.discard(process)
        raise KplugError("What components take was not learned: the process that does it was ended.")
    if process.returncode < 0:
        return f"was ended by signal {signal.Signals(-process.returncode).name}"
    return f"ended the process with exit code {process.returncode}"


def end_children() -> None:
    """End the child processes that other threads of this process are waiting for."""
    for process in tuple(_running):
        _unwanted.add(process)
        _kill_group(process)


def _environment() -> dict[str, str]:
    return {
        **os.environ,
        # The child must see the installed distributions that this process sees.
        "PYTHONPATH": os.pathsep.join(entry for entry in sys.path if entry),
        # Describing needs no accelerator, and must not take memory on one.
        "CUDA_VISIBLE_DEVICES": "-1",
        "JAX_PLATFORMS": "cpu",
        "TF_CPP_MIN_LOG_LEVEL": "3",
    }


def _kill_group(process: subprocess.Popen) -> None:
    if hasattr(os, "killpg"):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
    else:
        process.kill()
    process.wait()


def _read(result: Path) -> tuple[Records, tuple[str, str] | None]:
    records: Records = {}
    begun = None
    lines = result.read_text(encoding="utf-8").splitlines() if result.exists() else []
    for line in lines:
        try:
            record = json.loads(line)
        except ValueError:
            continue
        if "begun" in record:
            begun = (record["begun"][0], record["begun"][1])
        else:
            records[record.pop("kind"), record.pop("name")] = record
    return records, begun


def _reason(key: tuple[str, str], begun: tuple[str, str] | None, ending: str, said: str) -> str:
    detail = f": {said}" if said else ""
    if begun is None:
        return f"inspecting the plugin {ending}{detail}"
    if begun == key:
        return f"importing it {ending}{detail}"
    return f"not reached: importing {begun[1]} of the same plugin {ending}"


def _last_line(errors: Path) -> str:
    text = errors.read_text(encoding="utf-8", errors="replace")
    lines = [line for line in text.strip().splitlines() if not _LOG_LINE.match(line)]
    return lines[-1].strip()[:500] if lines else ""
