"""The one place that reads run directories: a thread that gives the screens immutable snapshots, time and again."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from textual.message import Message

from kplug.errors import KplugError
from kplug.places import runs_root
from kplug.runs.directory import RunDirectory
from kplug.runs.index import RunIndex, Snapshot, find
from kplug.runs.run import Run
from kplug_tui.detail import DetailReader, RunDetail

_MOST_DETAILS = 12
_SCREENFUL = 100
_PATIENCE_SECONDS = 5.0


class RunsRead(Message, bubble=False):
    """All runs, as they are now."""

    def __init__(self, snapshot: Snapshot) -> None:
        super().__init__()
        self.snapshot = snapshot


class DetailRead(Message, bubble=False):
    """One run that is on the screen, as it is now."""

    def __init__(self, detail: RunDetail) -> None:
        super().__init__()
        self.detail = detail


class ReadingFailed(Message, bubble=False):
    """The runs could not be read."""

    def __init__(self, problem: str) -> None:
        super().__init__()
        self.problem = problem


@dataclass(frozen=True)
class Pace:
    """How often things are read.

    Attributes:
        runs: Seconds between two snapshots of all runs.
        details: Seconds between two snapshots of a run on the screen.
    """

    runs: float = 0.25
    details: float = 0.5

    @classmethod
    def slow(cls) -> Pace:
        """Return the pace for a thin connection."""
        return cls(1.0, 5.0)


class RunReader:
    """Reads the runs in a thread of its own for as long as the app lives.

    A message is posted only after the one before it was taken, so that a slow terminal is never behind.

    Args:
        root: The directory that holds the runs; the usual one by default.
        post: Takes the messages; may be called from any thread.
        pace: How often to read.
    """

    def __init__(self, root: Path | None, post: Callable[[Message], object], pace: Pace | None = None) -> None:
        self.root = runs_root(root)
        self.pace = pace or Pace()
        self._post = post
        self._index = RunIndex(self.root)
        self._watched: tuple[str, ...] = ()
        self._details: dict[str, DetailReader] = {}
        self._runs_due = self._details_due = 0.0
        self._ended = threading.Event()
        self._wake = threading.Event()
        self._taken = threading.Event()
        self._thread = threading.Thread(target=self._read_until_ended, name="kplug-reader", daemon=True)

    def start(self) -> None:
        """Begin to read."""
        self._thread.start()

    def end(self) -> None:
        """Stop reading; returns at once."""
        self._ended.set()
        self._wake.set()
        self._taken.set()

    def watch(self, *run_ids: str) -> None:
        """Give details of these runs from now on, and of no others."""
        self._watched = run_ids[:_MOST_DETAILS]
        self._details_due = 0.0
        for reader in (self._details.get(run_id) for run_id in run_ids):
            if reader is not None:
                reader.forget()
        self._wake.set()

    def refresh(self) -> None:
        """Read everything again now: something was done to a run."""
        self._runs_due = 0.0
        self._details_due = 0.0
        self._wake.set()

    def taken(self) -> None:
        """Say that the last message was dealt with."""
        self._taken.set()

    def _read_until_ended(self) -> None:
        first, problem = True, None
        while not self._ended.is_set():
            self._wake.clear()
            now = time.monotonic()
            try:
                if now >= self._runs_due:
                    self._runs_due = now + self.pace.runs
                    if first:
                        self._give(RunsRead(self._newest()))
                    snapshot = self._index.refresh()
                    if first or problem or snapshot.changed or snapshot.gone:
                        first = False
                        self._give(RunsRead(snapshot))
                    problem = None
                if now >= self._details_due:
                    self._details_due = now + self.pace.details
                    self._read_details()
            except Exception as error:  # noqa: BLE001 - whatever it is, the person is told and reading goes on
                said = str(error) if isinstance(error, KplugError) else f"{type(error).__name__}: {error}"
                if said != problem:
                    problem = said
                    self._give(ReadingFailed(problem))
            pause = min(self._runs_due, self._details_due) - time.monotonic()
            self._wake.wait(max(0.02, pause))

    def _newest(self) -> Snapshot:
        """Return the newest runs, which fill a screen long before all of many thousands are read."""
        newest = find(self.root, limit=_SCREENFUL).runs
        return Snapshot(tuple(newest), frozenset(one["id"] for one in newest), frozenset())

    def _read_details(self) -> None:
        watched = self._watched
        superfluous = max(0, len(self._details) - _MOST_DETAILS)
        for run_id in [one for one in self._details if one not in watched][:superfluous]:
            del self._details[run_id]
        for run_id in watched:
            if run_id not in self._details:
                self._details[run_id] = DetailReader(Run(RunDirectory(self.root / run_id)))
            detail = self._details[run_id].refresh()
            if detail is not None and not self._ended.is_set():
                self._give(DetailRead(detail))

    def _give(self, message: Message) -> None:
        self._taken.clear()
        with contextlib.suppress(RuntimeError):  # the app has just ended
            self._post(message)
        self._taken.wait(_PATIENCE_SECONDS)
