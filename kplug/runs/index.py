"""The index over all runs: what each is in short, as true as the directories and read from them only where need be."""

from __future__ import annotations

import contextlib
import sqlite3
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kplug.places import runs_root
from kplug.runs.freshness import Look, look
from kplug.runs.index_file import INDEX_FILE, IndexFile, index_file
from kplug.runs.query import fields_of, insist_known, matching, predicate_of, sorted_by
from kplug.runs.question import Question, fields_in, parse

__all__ = ["INDEX_FILE", "Found", "RunIndex", "Snapshot", "find", "names", "summaries"]

Summary = dict[str, Any]


@dataclass(frozen=True)
class Snapshot:
    """All runs at one moment. Summaries are replaced and never changed.

    Attributes:
        runs: Their summaries, newest first.
        changed: The ids of those that are new, or not what they were at the refresh before.
        gone: The ids of those that are there no more.
    """

    runs: tuple[Summary, ...]
    changed: frozenset[str]
    gone: frozenset[str]


@dataclass(frozen=True)
class Found:
    """The runs that were asked for.

    Attributes:
        runs: Their summaries.
        of: How many runs there are.
    """

    runs: list[Summary]
    of: int


class RunIndex:
    """All runs of a directory, kept in memory by a process that asks again and again.

    A refresh reads the directories that have changed and the runs that have not ended, and no others.

    Args:
        root: The directory that holds the runs; the usual one by default.

    Example:

    ```python
    index = RunIndex()
    snapshot = index.refresh()
    snapshot = index.refresh()  # snapshot.changed says what to draw again
    ```
    """

    def __init__(self, root: Path | None = None) -> None:
        self._folder = runs_root(root)
        self._known: dict[str, int] | None = None
        self._summaries: dict[str, Summary] = {}
        self._runs: tuple[Summary, ...] = ()

    def refresh(self) -> Snapshot:
        """Return the runs as they are now, and what has changed since the refresh before.

        Raises:
            RunStorageError: If the directory exists and cannot be read.
        """
        kept = self._summaries
        if self._known is None:
            self._known, kept = _loaded(self._folder)
        seen = look(self._folder, self._known)
        self._remember(seen)
        before = self._summaries
        self._summaries = {**{name: kept[name] for name in self._known if name in kept}, **seen.read}
        # What was loaded and has not been read since is new to who asks for the first time.
        new = self._summaries if kept is not before else seen.read
        changed = frozenset(name for name, summary in new.items() if before.get(name) != summary)
        gone = frozenset(before.keys() - self._summaries.keys())
        if changed or gone:
            self._runs = tuple(self._summaries[name] for name in sorted(self._summaries, reverse=True))
        return Snapshot(self._runs, changed, gone)

    def _remember(self, seen: Look) -> None:
        assert self._known is not None
        for name in seen.superseded:
            del self._known[name]
        self._known.update(seen.settled)
        if seen.settled or seen.superseded:
            # Who cannot write now leaves it to the next reader.
            with contextlib.suppress(sqlite3.Error), index_file(self._folder) as file:
                if file is not None:
                    file.store(seen)


def summaries(root: Path | None = None) -> list[Summary]:
    """Return the summaries of all runs, newest first.

    Args:
        root: The directory that holds the runs; the usual one by default.

    Raises:
        RunStorageError: If the directory exists and cannot be read.
    """
    return list(RunIndex(root).refresh().runs)


def find(
    root: Path | None = None, where: str | None = None, sort: str | None = None, limit: int | None = None
) -> Found:
    """Return the runs that are asked for; only their summaries are taken from the index.

    Args:
        root: The directory that holds the runs; the usual one by default.
        where: A question, as `query.matching` takes it; `None` for all runs.
        sort: A field to sort by, as `query.ordered` does; `None` for the newest first.
        limit: How many runs at most.

    Raises:
        QueryError: If the question is none, or no run has a field.
        RunStorageError: If the directory exists and cannot be read.
    """
    question = None if where is None else parse(where)
    folder = runs_root(root)
    with contextlib.suppress(sqlite3.Error), index_file(folder) as file:
        found = None if file is None else _asked(file, folder, question, sort, limit)
        if found is not None:
            return found
    every = summaries(root)
    if sort is not None:
        insist_known([sort.removeprefix("-")], every)
    chosen = every if where is None else matching(every, where)
    return Found((chosen if sort is None else sorted_by(chosen, sort))[:limit], len(every))


def names(root: Path | None = None) -> dict[str, str | None]:
    """Return the name of every run by its id, newest first.

    Raises:
        RunStorageError: If the directory of runs exists and cannot be read.
    """
    folder = runs_root(root)
    with contextlib.suppress(sqlite3.Error), index_file(folder) as file:
        if file is not None:
            state = file.state()
            seen = look(folder, file.changes())
            file.store(seen)
            found = {**dict(file.names()), **{name: summary["name"] for name, summary in seen.read.items()}}
            if file.state() == state:
                return dict(sorted(found.items(), reverse=True))
    return {summary["id"]: summary["name"] for summary in summaries(root)}


def _asked(
    file: IndexFile, folder: Path, question: Question | None, sort: str | None, limit: int | None
) -> Found | None:
    """Ask the file about what is settled and the directories about the rest.

    `None` where some field is unknown, or another process has changed the file meanwhile, and may have taken a run out
    of it that it saw change.
    """
    state = file.state()
    known = file.changes()
    seen = look(folder, known)
    file.store(seen)
    live = {name: summary for name, summary in seen.read.items() if name not in seen.settled}
    fields = {*(() if question is None else fields_in(question)), *(() if sort is None else [sort.removeprefix("-")])}
    unknown = {field for field in fields if not file.has_field(field)}
    if not unknown <= {field for summary in live.values() for field in fields_of(summary)}:
        return None
    settled = file.answers(question, sort, None if limit is None else limit + len(live))
    if file.state() != state:
        return None
    predicate = None if question is None else predicate_of(question)
    # Another process may have stored one that has ended since.
    chosen = [summary for summary in settled if summary["id"] not in live]
    fitting = [summary for summary in live.values() if predicate is None or predicate(summary)]
    if fitting:
        chosen = sorted(chosen + fitting, key=lambda summary: summary["id"], reverse=True)
        chosen = chosen if sort is None else sorted_by(chosen, sort)
    return Found(chosen[:limit], len(known) - len(seen.superseded) + len(seen.read))


def _loaded(folder: Path) -> tuple[dict[str, int], dict[str, Summary]]:
    """Return what the file knows: when each run's directory had changed, and the summaries."""
    with contextlib.suppress(sqlite3.Error), index_file(folder) as file:
        if file is not None:
            changes, found = file.changes(), {summary["id"]: summary for summary in file.summaries()}
            # Between the two, another process may have changed what is in it.
            return {name: changed for name, changed in changes.items() if name in found}, found
    return {}, {}
