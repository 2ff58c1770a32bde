"""Reading `status.json`: what is damaged, impossible, or said of another directory's process is left out."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

from kplug.runs.directory import RunDirectory
from kplug.runs.json_file import read_json_object
from kplug.runs.process import is_alive, works_in

ENDED = frozenset({"completed", "stopped", "failed", "lost"})
"""The states a run does not leave by itself."""

KILL = "kill\n"
"""What stands in the control file of a run whose worker was killed because somebody wanted it."""

_STATES = ENDED | {"queued", "starting", "running", "stopping"}
_KILLED = "it was killed, as somebody asked"
_START_PATIENCE = 60.0
_KILL_PATIENCE = 20.0
_OTHER_HOST_PATIENCE = 120.0
_LARGEST = 2**53


def read_status(directory: RunDirectory) -> dict[str, Any]:
    """Return a run's status, with `state` as it really is: `lost` if the process is gone without a word.

    Of a run that is lost, `error` says what is known of that.
    """
    try:
        status = _sound(read_json_object(directory.status))
    except FileNotFoundError:
        return {"state": "lost", "error": "status.json is missing"}
    except (OSError, ValueError) as error:
        return {"state": "lost", "error": f"status.json cannot be read: {error}"}
    if status["state"] in ENDED:
        return status
    lost = _why_lost(status, directory)
    return status if lost is None else {**status, "state": "lost", "error": lost}


def _why_lost(status: Mapping[str, Any], directory: RunDirectory) -> str | None:
    """Return what speaks for a run being lost, or `None`."""
    if not works_in(status, directory):
        return "this directory is a copy: the process that its status speaks of works in another one"
    now = time.time()
    if status.get("pid") is None:
        return _why_unborn(status, directory, now)
    worker = f"its process {status['pid']} on {status.get('host')}"
    alive = is_alive(status)
    if alive is None:
        # Clocks of two hosts differ, into the future as well.
        silent = abs(now - (status.get("heartbeat") or 0.0))
        if status.get("launcher") is not None and silent > _KILL_PATIENCE and _kill_was_wanted(directory):
            return _KILLED
        return f"{worker} has given no sign of life for {silent:.0f} s" if silent > _OTHER_HOST_PATIENCE else None
    if alive:
        return None
    return _KILLED if _kill_was_wanted(directory) else f"{worker} is gone without a word"


def _why_unborn(status: Mapping[str, Any], directory: RunDirectory, now: float) -> str | None:
    """Return what speaks for a worker that has not begun never beginning, or `None`."""
    if status.get("launcher") is not None:  # it may wait for hours, wherever it is
        return _KILLED if _kill_was_wanted(directory) else None
    begun = max(status.get(moment) or 0.0 for moment in ("created", "resumed"))
    return "its worker did not start" if abs(now - begun) > _START_PATIENCE else None


def _kill_was_wanted(directory: RunDirectory) -> bool:
    try:
        return directory.control.read_text(encoding="utf-8") == KILL
    except (OSError, ValueError):
        return False


def _sound(content: dict[str, Any]) -> dict[str, Any]:
    """Return the fields whose values can be what they should be; `error` names the others."""
    wrong = [name for name, right in _RIGHT.items() if content.get(name) is not None and not right(content[name])]
    status = {name: value for name, value in content.items() if name not in wrong}
    if status.get("state") not in _STATES:
        status["state"] = "lost"
        wrong = [*wrong, "state"] if "state" not in wrong else wrong
    if wrong and not status.get("error"):
        status["error"] = f"status.json has no usable {', '.join(wrong)}"
    return status


def _is_seconds(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < _LARGEST


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and _is_seconds(value)


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _is_flag(value: Any) -> bool:
    return isinstance(value, bool)


def _are_numbers(value: Any) -> bool:
    return isinstance(value, dict) and all(isinstance(one, float) or _is_count(one) for one in value.values())


def _is_place(value: Any) -> bool:
    return isinstance(value, list) and len(value) == 2


def _are_texts(value: Any) -> bool:
    return isinstance(value, list) and all(map(_is_text, value))


_RIGHT: dict[str, Callable[[Any], bool]] = {
    **dict.fromkeys(
        (
            *("created", "queued", "resumed", "started", "first_batch", "ended", "heartbeat"),
            *("process_created", "seconds_before"),
        ),
        _is_seconds,
    ),
    **dict.fromkeys(
        ("pid", "epoch", "epochs", "step", "first_step", "steps_per_epoch", "max_running", "before_it"), _is_count
    ),
    **dict.fromkeys(
        (
            *("state", "host", "error", "traceback", "phase", "artifact_error", "evaluation_error"),
            *("process_start", "pid_namespace", "cwd", "parent", "launcher", "start", "data_sha256"),
        ),
        _is_text,
    ),
    **dict.fromkeys(("refused", "tracked"), _is_flag),
    **dict.fromkeys(("command", "waiting_for", "awaited_gpus"), _are_texts),
    "place": _is_place,
    "gpus": lambda value: isinstance(value, list) and all(isinstance(one, dict) for one in value),
    "test_metrics": _are_numbers,
    "execution": lambda value: isinstance(value, dict),
}
