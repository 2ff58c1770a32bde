"""The index over all runs: their summaries in one SQLite file, which can be deleted at any time and comes back.

The run directories are the truth. A summary is read anew when its directory has changed (a status is replaced in it
once a second while a run lives), and for as long as the run has not ended.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson

from kplug.places import runs_root
from kplug.runs.directory import RunDirectory
from kplug.runs.run import ENDED, Run, is_run, unreadable
from kplug.runs.summary import summary_of

INDEX_FILE = ".index.sqlite"
_VERSION = 1
_PATIENCE_SECONDS = 5.0
_NOTHING = (None, None, b"")


def summaries(root: Path | None = None) -> list[dict[str, Any]]:
    """Return the summaries of all runs, newest first.

    Args:
        root: The directory that holds the runs; the usual one by default.

    Raises:
        RunStorageError: If the directory exists and cannot be read.
    """
    folder = runs_root(root)
    moments = _changed_at(folder)
    with _opened(folder) as index:
        known = {} if index is None else _known(index)
        whole = [name for name, moment in moments.items() if known.get(name, _NOTHING)[:2] == (moment, 1)]
        # One text for all: ten thousand calls take twice as long.
        texts = b",".join(known[name][2] for name in whole)
        found = dict(zip(whole, orjson.loads(b"[" + texts + b"]"), strict=True))
        changed = []
        for name, moment in moments.items():
            if name in found:
                continue
            directory = RunDirectory(folder / name)
            if is_run(directory):
                found[name] = summary = summary_of(Run(directory))
                changed.append((name, moment, summary["state"] in ENDED, orjson.dumps(summary)))
        gone = [name for name in known if name not in found]
        if index is not None and (changed or gone):
            _store(index, changed, gone)
    return [found[name] for name in sorted(found, reverse=True)]


@contextlib.contextmanager
def _opened(folder: Path) -> Iterator[sqlite3.Connection | None]:
    """Open the index, made anew if it is damaged or of another version; `None` where none can be kept."""
    path = folder / INDEX_FILE
    connection = None
    if folder.is_dir():
        for _ in range(2):
            try:
                connection = sqlite3.connect(path, timeout=_PATIENCE_SECONDS, isolation_level=None)
                connection.execute("PRAGMA journal_mode=WAL")
                connection.execute("PRAGMA synchronous=NORMAL")
                if connection.execute("PRAGMA user_version").fetchone()[0] != _VERSION:
                    connection.execute("DROP TABLE IF EXISTS runs")
                    connection.execute(
                        "CREATE TABLE IF NOT EXISTS runs "
                        "(id TEXT PRIMARY KEY, changed INTEGER, ended INTEGER, summary BLOB) WITHOUT ROWID"
                    )
                    connection.execute(f"PRAGMA user_version={_VERSION}")
                break
            except sqlite3.OperationalError:
                connection = None  # locked for long, or a directory that cannot be written: without an index, then
                break
            except sqlite3.DatabaseError:
                connection = None
                for damaged in folder.glob(f"{INDEX_FILE}*"):
                    damaged.unlink(missing_ok=True)
    try:
        yield connection
    finally:
        if connection is not None:
            connection.close()


def _known(index: sqlite3.Connection) -> dict[str, tuple[int, int, bytes]]:
    try:
        rows = index.execute("SELECT id, changed, ended, summary FROM runs").fetchall()
    except sqlite3.DatabaseError:
        return {}
    return {run_id: (changed, ended, summary) for run_id, changed, ended, summary in rows}


def _store(index: sqlite3.Connection, changed: list[tuple], gone: list[str]) -> None:
    # Who cannot write now leaves it to the next reader.
    with contextlib.suppress(sqlite3.DatabaseError):
        index.execute("BEGIN IMMEDIATE")
        index.executemany("INSERT OR REPLACE INTO runs VALUES (?, ?, ?, ?)", changed)
        index.executemany("DELETE FROM runs WHERE id = ?", [(one,) for one in gone])
        index.execute("COMMIT")


def _changed_at(folder: Path) -> dict[str, int]:
    """Return when each directory of a directory of runs was last changed, in nanoseconds; -1 where that is not known.

    Raises:
        RunStorageError: If the directory exists and cannot be read.
    """
    moments = {}
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                if entry.name.startswith("."):
                    continue
                try:
                    moments[entry.name] = entry.stat().st_mtime_ns
                except OSError:
                    moments[entry.name] = -1
    except FileNotFoundError:
        pass
    except OSError as error:
        raise unreadable(folder, error) from error
    return moments
