"""Waiting for a place: a run that may not be one of too many waits in its own worker, before that imports Keras.

There is no daemon. Each waiting worker finds the same order: the runs that go on, then those that wait, the longest
waiting first. That costs a look at every run that has not ended, so it is done when something has changed: who is near
its turn watches all runs before it, who is far from it the one just before it. The decision to begin is made under a
lock in the directory of runs, so that no two take one place.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import orjson

from kplug.errors import RunStorageError
from kplug.runs.devices import share_device
from kplug.runs.directory import RunDirectory
from kplug.runs.freshness import changed_at, settles
from kplug.runs.lock import RunLock
from kplug.runs.run import ENDED, Run, is_run
from kplug.runs.status_file import read_status

QUEUED = "queued"
_LOCK = ".queue.lock"
_LOCK_PATIENCE = 10.0
_POLL_SECONDS = 0.5
_FAR_POLL_SECONDS = 2.0
_NEAR = 3
"""With fewer runs that wait before it, a run watches all that are before it."""
_SURVEY_SECONDS = 30.0
_SURVEY_SECONDS_EACH = 2.0
"""All runs are looked at again after so many seconds, and so many more for each run that is before."""


Place = Mapping[str, Any]


class Survey:
    """What has to be known of the runs in a directory to wait for a place; those that have ended are read once.

    Args:
        root: The directory that holds the runs.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        self._ended: dict[str, int] = {}
        self._devices: dict[str, str] = {}

    def look(self) -> list[dict[str, Any]]:
        """Return the runs that have not ended: `id`, `state`, `created`, `queued`, `host`, `device` and `gpus`.

        Raises:
            RunStorageError: If the directory cannot be read.
        """
        read_at = time.time_ns()
        moments = changed_at(self._root)
        self._ended = {name: changed for name, changed in self._ended.items() if moments.get(name) == changed}
        found = []
        for name, changed in moments.items():
            directory = RunDirectory(self._root / name)
            if name in self._ended or not is_run(directory):
                continue
            status = read_status(directory)
            if status["state"] not in ENDED:
                found.append(self._in_short(directory, status))
            elif settles(changed, read_at):
                self._ended[name] = changed
        return found

    def _in_short(self, directory: RunDirectory, status: Mapping[str, Any]) -> dict[str, Any]:
        gpus = status.get("gpus")
        known = status.get("awaited_gpus") if gpus is None else [gpu.get("uuid") for gpu in gpus]
        return {
            "id": directory.id,
            **{name: status.get(name) for name in ("state", "created", "queued")},
            # What a launcher has started, and nobody knows where, takes no place here.
            "host": status.get("host") or status.get("launcher"),
            "device": self._device(directory),
            "gpus": known,
        }

    def _device(self, directory: RunDirectory) -> str:
        if directory.id not in self._devices:
            device = None
            with suppress(OSError, ValueError, AttributeError):
                device = orjson.loads(directory.spec.read_bytes()).get("device")
            self._devices[directory.id] = device if isinstance(device, str) else "auto"
        return self._devices[directory.id]


def runs_before(run_id: str, known: Sequence[Place]) -> list[Place] | None:
    """Return the runs on this machine that have a place, or get one, before a waiting run.

    Those that go on are first, then those that wait, in the order of their turns.

    Args:
        run_id: The waiting run.
        known: What `Survey.look` returned.

    Returns:
        Those of the known ones, or `None` where the waiting run is not among them.
    """
    waiting = next((one for one in known if one["id"] == run_id), None)
    if waiting is None:
        return None
    turn = _turn(waiting)
    before = [
        one
        for one in known
        if one["state"] not in ENDED
        and one["id"] != run_id
        and one["host"] in {None, socket.gethostname()}
        and (one["state"] != QUEUED or _turn(one) < turn)
        and share_device(waiting, one)
    ]
    return sorted(before, key=lambda one: (one["state"] == QUEUED, _turn(one)))


def wait_for_place(
    directory: RunDirectory,
    places: int,
    told: Callable[[list[str]], None],
    given_up: Callable[[], bool],
    begin: Callable[[], None],
) -> bool:
    """Wait until fewer than `places` runs are before this one, and say whether it was worth waiting for.

    Args:
        directory: The waiting run's; its state is `queued`.
        places: How many runs may go on at once, this one included.
        told: Called with the runs before it when they have changed.
        given_up: Says whether the run was asked to stop, which ends the waiting.
        begin: Called when the run has its place, while no other run can take one: afterwards its state is another.
    """
    root = directory.path.parent
    survey = Survey(root)
    said: list[str] | None = None
    while not given_up():
        before = None
        with suppress(RunStorageError):  # what cannot be read now may be so in a moment; nothing begins on a guess
            before = runs_before(directory.id, survey.look())
            if before is not None and len(before) < places:
                with _alone(root) as alone:
                    # Another run may have begun, or have become visible, since.
                    before = runs_before(directory.id, survey.look()) if alone else None
                    if before is not None and len(before) < places:
                        begin()
                        return True
        if before is None:
            time.sleep(_POLL_SECONDS)
            continue
        ids = [one["id"] for one in before]
        if ids != said:
            told(ids)
            said = ids
        _wait_for_change(root, before, given_up)
    return False


@contextmanager
def _alone(root: Path) -> Any:
    """Let one run at a time decide; yields whether this one may."""
    lock = RunLock(root / _LOCK)
    alone = lock.acquire(_LOCK_PATIENCE)
    try:
        yield alone
    finally:
        if alone:
            lock.release()


def _wait_for_change(root: Path, before: Sequence[Place], given_up: Callable[[], bool]) -> None:
    """Wait until a run that is watched has begun or ended, or it is time to look at all runs again."""
    near = sum(one["state"] == QUEUED for one in before) < _NEAR
    watched = [(Run(RunDirectory(root / one["id"])), one["state"]) for one in (before if near else before[-1:])]
    patience = time.monotonic() + _SURVEY_SECONDS + _SURVEY_SECONDS_EACH * len(before)
    while time.monotonic() < patience and not given_up():
        time.sleep(_POLL_SECONDS if near else _FAR_POLL_SECONDS)
        if any(run.state != state for run, state in watched):
            return


def _turn(one: Mapping[str, Any]) -> tuple[float, str]:
    return (float(one["queued"] or one["created"] or 0.0), one["id"])
