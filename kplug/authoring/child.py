"""A child process that writes down what it finds, line by line: what a plugin breaks there stays there."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any


def run_child(module: str, request: Any, import_path: Path | None, seconds: float) -> tuple[list[dict[str, Any]], str]:
    """Run a module of kplug in a child process, and return the records that it wrote and how it ended.

    It gets the request as JSON on standard input, and the file to write JSON lines to as its argument. What it prints
    is lost, but for the last line.

    Args:
        module: The module's name.
        request: What JSON can hold.
        import_path: A directory to import from before all others, or `None`.
        seconds: How long it may take.

    Returns:
        The records, and `""` or words about its end: `"ended the process with exit code 3: …"`.
    """
    with tempfile.TemporaryDirectory(prefix="kplug-") as folder:
        result, said = Path(folder) / "result", Path(folder) / "said"
        result.touch()
        with said.open("wb") as output:
            process = subprocess.Popen(
                [sys.executable, "-P", "-m", module, str(result)],
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=_environment(import_path),
                start_new_session=True,
            )
            try:
                process.communicate(json.dumps(request).encode(), timeout=seconds)
                ending = _ending(process.returncode)
            except subprocess.TimeoutExpired:
                ending = f"took longer than {seconds:g} seconds"
            finally:
                _end(process)
        records = list(_read(result))
        last = said.read_text(encoding="utf-8", errors="replace").strip().rpartition("\n")[2][:300]
    return records, f"{ending}: {last}" if ending and last else ending


def _read(result: Path) -> list[dict[str, Any]]:
    records = []
    for line in result.read_text(encoding="utf-8", errors="replace").splitlines():
        # The last line may be cut off.
        with contextlib.suppress(ValueError):
            records.append(json.loads(line))
    return records


def _environment(import_path: Path | None) -> dict[str, str]:
    path = [str(import_path)] if import_path is not None else []
    return {
        **os.environ,
        "PYTHONPATH": os.pathsep.join([*path, *(entry for entry in sys.path if entry)]),
        # Checking needs no accelerator, and must not take memory on one.
        "CUDA_VISIBLE_DEVICES": "-1",
        "JAX_PLATFORMS": "cpu",
        "TF_CPP_MIN_LOG_LEVEL": "3",
    }


def _ending(code: int) -> str:
    if code < 0:
        return f"was ended by signal {signal.Signals(-code).name}"
    return f"ended the process with exit code {code}" if code else ""


def _end(process: subprocess.Popen) -> None:
    """End the process and those that it has started."""
    with contextlib.suppress(ProcessLookupError, PermissionError):  # it has ended by itself
        if hasattr(os, "killpg"):
            os.killpg(process.pid, signal.SIGKILL)
        else:
            process.kill()
    process.wait()
