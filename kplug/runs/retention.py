"""Which runs are old, too many or too large to be kept, and the checkpoints that nobody will go on from."""

from __future__ import annotations

import re
import shutil
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from kplug.errors import RunStorageError, SpecError
from kplug.runs.run import ENDED, Run, list_runs

_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 7 * 86400}
_BYTES = {"b": 1, "kb": 10**3, "mb": 10**6, "gb": 10**9, "tb": 10**12}


def superfluous(
    root: Path | None = None,
    older_than: float | None = None,
    keep: int | None = None,
    max_bytes: int | None = None,
) -> list[Run]:
    """Return the runs that a rule does not keep, oldest first; those with a tag, or that have not ended, are kept.

    Args:
        root: The directory that holds the runs.
        older_than: Seconds since the end of a run (of one that is lost: its last sign of life) from which on it is not
            kept.
        keep: How many of the newest runs are kept.
        max_bytes: How large the runs that are kept may be together; the oldest go, one after the other, until the
            others fit.
    """
    from kplug.runs.labels import read_labels

    now, kept, dropped = time.time(), [], []
    for place, run in enumerate(list_runs(root)):
        status = run.status
        bound = status["state"] not in ENDED or bool(read_labels(run.directory).tags)
        rules = (
            older_than is not None and now - _last_moment(status, now) > older_than,
            keep is not None and place >= keep,
        )
        if any(rules) and not bound:
            dropped.append(run)
        else:
            kept.append((run, bound))
    if max_bytes is not None:
        sizes = {run.id: size_of(run) for run, _ in kept}
        total = sum(sizes.values())
        for run, bound in reversed(kept):
            if total > max_bytes and not bound:
                dropped.append(run)
                total -= sizes[run.id]
    return sorted(dropped, key=lambda run: run.id)


def checkpointed(root: Path | None = None) -> list[Run]:
    """Return the completed runs that have checkpoints, which nobody will go on from; those with a tag keep theirs."""
    from kplug.runs.labels import read_labels

    return [
        run
        for run in list_runs(root)
        if run.state == "completed" and run.directory.checkpoints.is_dir() and not read_labels(run.directory).tags
    ]


def size_of_checkpoints(run: Run) -> int:
    """Return how many bytes a run's checkpoints have."""
    return _size(run.directory.checkpoints)


def drop_checkpoints(run: Run) -> None:
    """Remove a run's checkpoints.

    Raises:
        RunStorageError: If some cannot be removed.
    """
    folder = run.directory.checkpoints
    try:
        shutil.rmtree(folder)
    except OSError as error:
        raise RunStorageError(f"{folder} cannot be removed: {error.strerror or error}.") from error


def size_of(run: Run) -> int:
    """Return how many bytes a run's files have."""
    return _size(run.directory.path)


def seconds_in(text: str) -> float:
    """Return the seconds of a duration such as `90s`, `15m`, `12h`, `30d` or `4w`.

    Raises:
        SpecError: If it is none.
    """
    return _measured(text, _SECONDS, "A duration is a number with s, m, h, d or w, as in 30d")


def bytes_in(text: str) -> int:
    """Return the bytes of a size such as `500MB` or `20GB`.

    Raises:
        SpecError: If it is none.
    """
    return int(_measured(text, _BYTES, "A size is a number with kB, MB, GB or TB, as in 20GB"))


def _last_moment(status: Mapping[str, Any], now: float) -> float:
    """Return when a run ended; of one that is lost, when it last gave a sign of life."""
    known = (status.get(moment) for moment in ("ended", "heartbeat", "resumed", "started", "created"))
    return float(next((moment for moment in known if moment), now))


def _measured(text: str, units: Mapping[str, int], what: str) -> float:
    """Return a number times its unit.

    Raises:
        SpecError: If the text is no such thing; `what` says what it should be.
    """
    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([a-z]*)", text.strip().lower())
    if found is None or found[2] not in units:
        raise SpecError(f"{what}. Received: {text!r}")
    return float(found[1]) * units[found[2]]


def _size(folder: Path) -> int:
    total = 0
    for path in folder.rglob("*"):
        try:
            total += path.lstat().st_size
        except OSError:
            continue
    return total
