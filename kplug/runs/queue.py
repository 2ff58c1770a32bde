"""Waiting for a place: a run that may not be one of too many waits in its own worker, before that imports Keras.

There is no daemon. Each waiting worker looks at the other runs and finds the same order: those that go on, then those
that wait, the longest waiting first.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from kplug.runs.devices import shares_device
from kplug.runs.directory import RunDirectory
from kplug.runs.index import summaries
from kplug.runs.run import ENDED, Run

QUEUED = "queued"
_POLL_SECONDS = 0.5
_SURVEY_SECONDS = 10.0


def runs_before(run_id: str, known: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return the ids of the runs on this machine that have a place, or get one, before a waiting run.

    Args:
        run_id: The waiting run.
        known: What `summaries` returned.
    """
    waiting = next((one for one in known if one["id"] == run_id), None)
    if waiting is None:
        return []
    turn = _turn(waiting)
    return [
        one["id"]
        for one in known
        if one["state"] not in ENDED
        and one["id"] != run_id
        and one["host"] in {None, socket.gethostname()}
        and shares_device(waiting["device"] or "auto", one["device"] or "auto")
        and (one["state"] != QUEUED or _turn(one) < turn)
    ]


def wait_for_place(
    directory: RunDirectory, places: int, told: Callable[[list[str]], None], given_up: Callable[[], bool]
) -> bool:
    """Wait until fewer than `places` runs are before this one, and say whether it was worth waiting for.

    Args:
        directory: The waiting run's; its state is `queued`.
        places: How many runs may go on at once, this one included.
        told: Called with the runs before it when they have changed.
        given_up: Says whether the run was asked to stop, which ends the waiting.
    """
    root = directory.path.parent
    said: list[str] | None = None
    while not given_up():
        before = runs_before(directory.id, summaries(root))
        if len(before) < places:
            return True
        if before != said:
            told(before)
            said = before
        _wait_for_change(root, before, given_up)
    return False


def _wait_for_change(root: Path, before: Sequence[str], given_up: Callable[[], bool]) -> None:
    """Wait until one of the runs that have a place has ended, or it is time to look at all runs again."""
    runs = [Run(RunDirectory(root / run_id)) for run_id in before]
    going_on = [run for run in runs if run.state != QUEUED]
    patience = time.monotonic() + _SURVEY_SECONDS
    while time.monotonic() < patience and not given_up():
        time.sleep(_POLL_SECONDS)
        if not going_on or any(run.ended for run in going_on):
            return


def _turn(summary: Mapping[str, Any]) -> tuple[float, str]:
    return (float(summary["queued"] or summary["created"] or 0.0), summary["id"])
