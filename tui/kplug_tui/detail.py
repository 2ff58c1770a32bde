"""One run as a screen shows it: an immutable snapshot, read anew only where its files have changed."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kplug.errors import KplugError
from kplug.runs.directory import RunDirectory
from kplug.runs.json_file import read_json_object
from kplug.runs.log_file import last_lines
from kplug.runs.records import RecordReader
from kplug.runs.run import Run
from kplug.runs.summary import summary_of

if TYPE_CHECKING:
    from kplug.runs.metric_arrays import MetricArrays

_LOG_LINES = 500
_MOST_SAMPLES = 20_000


@dataclass(frozen=True)
class LeftFile:
    """A file that a run has left.

    Attributes:
        path: Where it is.
        name: What it is called within its directory.
        size: Its bytes.
        modified: When it was last written, in seconds since the Unix epoch.
    """

    path: Path
    name: str
    size: int
    modified: float


@dataclass(frozen=True)
class RunDetail:
    """A run at one moment.

    Attributes:
        run: The run, for what is done to it.
        summary: What a list shows of it.
        status: Its status, with the state as it really is.
        spec: What was asked, as the file says it; empty if that is damaged.
        metrics: Its metric records as columns; `None` if it has none yet.
        samples: CPU, memory and GPUs over time.
        events: What happened to it.
        artifacts: The files it has left for people.
        checkpoints: The files of its newest training states.
        log: The end of what its worker printed.
        problems: What could not be read, in words.
    """

    run: Run
    summary: Mapping[str, Any]
    status: Mapping[str, Any]
    spec: Mapping[str, Any] = field(default_factory=dict)
    metrics: MetricArrays | None = None
    samples: tuple[Mapping[str, Any], ...] = ()
    events: tuple[Mapping[str, Any], ...] = ()
    artifacts: tuple[LeftFile, ...] = ()
    checkpoints: tuple[LeftFile, ...] = ()
    log: str = ""
    problems: tuple[str, ...] = ()

    @property
    def id(self) -> str:
        """The run's id."""
        return self.run.id

    @property
    def state(self) -> str:
        """The run's state."""
        return str(self.status.get("state", "lost"))


class DetailReader:
    """Reads one run again and again.

    Args:
        run: The run.
    """

    def __init__(self, run: Run) -> None:
        self._run = run
        self._series: Any = None
        self._samples = _Appended(run.directory.system)
        self._events = _Appended(run.directory.events)
        self._seen: Any = None
        self._parts: dict[str, tuple[Any, Any]] = {}

    def forget(self) -> None:
        """Give a snapshot at the next refresh even if nothing has changed."""
        self._seen = None

    def refresh(self) -> RunDetail | None:
        """Return the run as it is now, or `None` if nothing has changed since the last time."""
        directory = self._run.directory
        files = (directory.status, directory.metrics, directory.system, directory.events, directory.log)
        folders = (directory.artifacts, directory.checkpoints)
        seen = (*map(_moment_of, (*files, directory.labels, *folders)), self._run.state)
        if seen == self._seen:
            return None
        self._seen = seen
        problems: list[str] = []

        def read(part: str, path: Path, how: Callable[[], Any], missing: Any) -> Any:
            moment = _moment_of(path)
            if part not in self._parts or self._parts[part][0] != moment:
                try:
                    self._parts[part] = (moment, how())
                except KplugError as error:
                    problems.append(str(error))
                    return missing
            return self._parts[part][1]

        return RunDetail(
            run=self._run,
            summary=summary_of(Run(directory)),
            status=self._run.status,
            spec=read("spec", directory.spec, lambda: spec_values(directory), {}),
            metrics=read("metrics", directory.metrics, self._read_metrics, None),
            samples=read("samples", directory.system, self._samples.read, ()),
            events=read("events", directory.events, self._events.read, ()),
            artifacts=read("artifacts", directory.artifacts, lambda: _left_in(directory.artifacts), ()),
            checkpoints=read("checkpoints", directory.checkpoints, lambda: _left_in(directory.checkpoints), ()),
            log=read("log", directory.log, lambda: "\n".join(last_lines(directory.log, _LOG_LINES)), ""),
            problems=tuple(problems),
        )

    def _read_metrics(self) -> Any:
        if self._series is None:
            # Here, and not above: NumPy takes as long to import as the first screen takes to appear.
            from kplug.runs.series import SeriesReader

            self._series = SeriesReader(self._run.directory.metrics)
        self._series.refresh()
        return self._series.arrays()


class _Appended:
    """Records that are appended to, the newest so many of them kept."""

    def __init__(self, path: Path) -> None:
        self._reader = RecordReader(path)
        self._records: list[dict[str, Any]] = []

    def read(self) -> tuple[Mapping[str, Any], ...]:
        restarts = self._reader.restarts
        new = self._reader.read()
        if self._reader.restarts != restarts:
            self._records = []
        self._records = [*self._records, *new][-_MOST_SAMPLES:]
        return tuple(self._records)


def _moment_of(path: Path) -> tuple[int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size


def spec_values(directory: RunDirectory) -> dict[str, Any]:
    """Return what a run was asked to do, as its file says it and unchecked; empty if that cannot be read."""
    with contextlib.suppress(OSError, ValueError):
        return read_json_object(directory.spec)
    return {}


def _left_in(folder: Path) -> tuple[LeftFile, ...]:
    """Return the files in a directory and those in it, by name; those that are still being written are hidden."""
    found = []
    with contextlib.suppress(OSError):
        for path in sorted(folder.rglob("*")):
            name = str(path.relative_to(folder))
            with contextlib.suppress(OSError):
                if path.is_file() and not path.name.startswith("."):
                    its = path.stat()
                    found.append(LeftFile(path, name, its.st_size, its.st_mtime))
    return tuple(found)
