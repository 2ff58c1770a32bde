"""Which runs must be read anew, beside what is known of them.

A run that has ended is read anew when its directory's modification time has changed, which every replaced file changes;
any other run each time. File systems count time in steps, so that two changes within one step look like one: what had
changed just before it was read is not trusted, and is read anew too.
"""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from kplug.runs.directory import RunDirectory
from kplug.runs.run import ENDED, Run, is_run, unreadable
from kplug.runs.summary import summary_of

# The coarsest step known is FAT's, two seconds; clocks of other machines may differ by as much.
_STEP_NANOSECONDS = 2_500_000_000


@dataclass(frozen=True)
class Look:
    """What the directories say beside what is known of them.

    Attributes:
        read: The summaries of the runs that had to be read.
        settled: Those of them that hold until their directory changes, with the moment it had last changed.
        superseded: What was known of these runs holds no more.
    """

    read: dict[str, dict[str, Any]]
    settled: dict[str, int]
    superseded: list[str]


def look(folder: Path, known: Mapping[str, int]) -> Look:
    """Look at all directories, and read the runs for which what is known does not hold.

    Args:
        folder: The directory of runs.
        known: Settled runs, each with the moment its directory had changed when it was read.

    Raises:
        RunStorageError: If the directory exists and cannot be read.
    """
    now = time.time_ns()
    moments = changed_at(folder)
    found = Look({}, {}, [])
    if moments == known:
        return found
    found.superseded.extend(name for name, changed in known.items() if moments.get(name) != changed)
    for name, changed in moments.items():
        if known.get(name) == changed:
            continue
        directory = RunDirectory(folder / name)
        if _is_text(name) and is_run(directory):
            found.read[name] = summary = _as_json(summary_of(Run(directory)))
            if summary["state"] in ENDED and settles(changed, now):
                found.settled[name] = changed
    return found


def settles(changed: int, now: int) -> bool:
    """Say whether what is read of a directory holds until its modification time is another.

    Args:
        changed: When it had changed, in nanoseconds.
        now: The time before that was looked at.
    """
    return 0 <= changed < now - _STEP_NANOSECONDS


def changed_at(folder: Path) -> dict[str, int]:
    """Return when each directory of a directory of runs was last changed, in nanoseconds; -1 where that is not known.

    Raises:
        RunStorageError: If the directory exists and cannot be read.
    """
    moments = {}
    try:
        names = os.listdir(folder)  # noqa: PTH208 - of what is asked each time, this is half
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise unreadable(folder, error) from error
    prefix = os.path.join(folder, "")  # noqa: PTH118
    for name in names:
        if name[0] == ".":
            continue
        try:
            moments[name] = os.stat(prefix + name).st_mtime_ns  # noqa: PTH116
        except OSError:
            moments[name] = -1
    return moments


def _is_text(name: str) -> bool:
    """Say whether a file's name is text; others are bytes that nothing can show, and no run of kplug's making."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def _as_json(value: Any) -> Any:
    """Return a value as it comes back from JSON; what is too large for it is rounded, what is no text replaced."""
    try:
        return orjson.loads(orjson.dumps(value))
    except TypeError:
        return orjson.loads(orjson.dumps(_plain(value)))


def _plain(value: Any) -> Any:
    match value:
        case dict():
            return {_plain(name): _plain(one) for name, one in value.items()}
        case list():
            return [_plain(one) for one in value]
        case str():
            return value.encode("utf-8", "replace").decode()
        case int() if not -(2**63) <= value < 2**64:
            return float(value) if abs(value) < 2**1000 else None
    return value
