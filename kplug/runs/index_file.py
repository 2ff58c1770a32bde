"""The index's file: summaries of runs that have ended, and their fields to be asked about, in SQLite.

It holds nothing that the run directories do not say, so what is damaged is thrown away, and who must wait goes without.
"""

from __future__ import annotations

import contextlib
import sqlite3
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import orjson

from kplug.runs.freshness import Look
from kplug.runs.query import fields_of
from kplug.runs.question import Question
from kplug.runs.question_sql import FIELDS as FIELD_TABLE
from kplug.runs.question_sql import rows_of, selected
from kplug.runs.summary import FIELDS

INDEX_FILE = ".index.sqlite"
_MEANING = 4
"""Another number for another meaning of a field, or another layout of the file; new fields make themselves known."""


def _version_of(fields: Iterable[str]) -> int:
    return zlib.crc32(" ".join([str(_MEANING), *fields]).encode()) & 0x7FFFFFFF


_VERSION = _version_of(FIELDS)
_PATIENCE_SECONDS = 0.25
_RUNS = "CREATE TABLE runs (run INTEGER PRIMARY KEY, id TEXT NOT NULL, changed INTEGER NOT NULL, summary BLOB NOT NULL)"
# What is asked each time is read from here, without the summaries between.
_CHANGES = "CREATE UNIQUE INDEX changes ON runs (id, changed)"

Summary = dict[str, Any]


class IndexFile:
    """An open index. Every method may raise `sqlite3.Error`."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def changes(self) -> dict[str, int]:
        """Return the runs it has, each with the moment its directory had changed when it was read."""
        rows = self._connection.execute("SELECT json_group_object(id, changed) FROM runs INDEXED BY changes")
        return orjson.loads(rows.fetchone()[0])

    def state(self) -> int:
        """Return a number that is another once another process has changed the file."""
        return int(self._connection.execute("PRAGMA data_version").fetchone()[0])

    def summaries(self) -> list[Summary]:
        """Return all summaries."""
        return _decoded(self._connection.execute("SELECT summary FROM runs"))

    def names(self) -> list[tuple[str, str | None]]:
        """Return the id and the name of every run."""
        return self._connection.execute(
            "SELECT id, value FROM runs JOIN fields USING (run) WHERE fields.name = 'name'"
        ).fetchall()

    def has_field(self, name: str) -> bool:
        """Say whether any run has a field, if only with nothing in it."""
        rows = self._connection.execute("SELECT EXISTS (SELECT 1 FROM fields WHERE name = ?)", [name])
        return bool(rows.fetchone()[0])

    def answers(self, question: Question | None, sort: str | None, limit: int | None) -> list[Summary]:
        """Return the summaries of the runs that answer a question, sorted as `query.ordered` does, or newest first.

        Args:
            question: The question; `None` for all runs.
            sort: A field, with `-` before it for the largest first.
            limit: How many runs at most.
        """
        text, order = "SELECT summary FROM runs", "id DESC"
        arguments: list[Any] = []
        if sort is not None:
            text += " LEFT JOIN fields ON fields.run = runs.run AND fields.name = ? AND fields.place = 0"
            arguments.append(sort.removeprefix("-"))
            order = f"value IS NULL, value {'DESC' if sort.startswith('-') else 'ASC'}, id DESC"
        if question is not None:
            chosen, more = selected(question)
            text += f" WHERE runs.run IN (SELECT run FROM ({chosen}))"
            arguments += more
        return _decoded(
            self._connection.execute(f"{text} ORDER BY {order} LIMIT ?", [*arguments, -1 if limit is None else limit])
        )

    def store(self, seen: Look) -> None:
        """Keep what a look at the directories gave, all or nothing; nothing is written where nothing is new."""
        if not seen.settled and not seen.superseded:
            return
        with self._connection as connection:
            connection.execute("BEGIN IMMEDIATE")
            for run_id in {*seen.superseded, *seen.settled}:
                self._forget(run_id)
            for run_id, changed in seen.settled.items():
                summary = seen.read[run_id]
                run = connection.execute(
                    "INSERT INTO runs (id, changed, summary) VALUES (?, ?, ?)", [run_id, changed, orjson.dumps(summary)]
                ).lastrowid
                connection.executemany(
                    f"INSERT INTO fields (run, name, place, kind, value, shown) VALUES ({run}, ?, ?, ?, ?, ?)",
                    rows_of(summary),
                )

    def _forget(self, run_id: str) -> None:
        for run, summary in self._connection.execute("SELECT run, summary FROM runs WHERE id = ?", [run_id]).fetchall():
            names = fields_of(orjson.loads(summary))
            self._connection.executemany(
                "DELETE FROM fields WHERE name = ? AND run = ?", [(name, run) for name in names]
            )
            self._connection.execute("DELETE FROM runs WHERE run = ?", [run])


@contextlib.contextmanager
def index_file(folder: Path) -> Iterator[IndexFile | None]:
    """Open the index of a directory of runs, made anew if it is damaged or of another version.

    Inside, `sqlite3.Error` ends the block; a file that proves damaged is removed. Yields `None` where none can be kept.
    """
    path = folder / INDEX_FILE
    connection = _opened(path) if folder.is_dir() else None
    try:
        yield None if connection is None else IndexFile(connection)
    except sqlite3.DatabaseError as error:
        if not isinstance(error, sqlite3.OperationalError):
            _remove(path)
        raise
    finally:
        if connection is not None:
            connection.close()


def _opened(path: Path) -> sqlite3.Connection | None:
    for _ in range(2):
        connection = None
        try:
            connection = sqlite3.connect(path, timeout=_PATIENCE_SECONDS, isolation_level=None)
            connection.execute("PRAGMA journal_mode=WAL")
            connection.execute("PRAGMA synchronous=NORMAL")
            _see_to_tables(connection)
            return connection
        except sqlite3.DatabaseError as error:
            if connection is not None:
                connection.close()
            if isinstance(error, sqlite3.OperationalError):
                return None  # locked for long, or a directory that cannot be written
            _remove(path)
    return None


def _see_to_tables(connection: sqlite3.Connection) -> None:
    def version() -> int:
        return connection.execute("PRAGMA user_version").fetchone()[0]

    if version() == _VERSION:
        return
    with connection:
        connection.execute("BEGIN IMMEDIATE")
        if version() != _VERSION:  # no other process has done it meanwhile
            for table in ("runs", "fields"):
                connection.execute(f"DROP TABLE IF EXISTS {table}")
            for statement in (_RUNS, _CHANGES, FIELD_TABLE, f"PRAGMA user_version={_VERSION}"):
                connection.execute(statement)


def _remove(path: Path) -> None:
    with contextlib.suppress(OSError):
        for damaged in path.parent.glob(f"{path.name}*"):
            damaged.unlink(missing_ok=True)


def _decoded(rows: Iterable[tuple[bytes]]) -> list[Summary]:
    # One text for all: ten thousand calls take twice as long.
    return orjson.loads(b"[" + b",".join(row[0] for row in rows) + b"]")
