"""The worker's own account of itself, kept fresh in `status.json`."""

from __future__ import annotations

import contextlib
import json
import threading
import time
from types import TracebackType
from typing import Any

from kplug.errors import RunStorageError
from kplug.runs.directory import RunDirectory, write_atomically, write_in_place
from kplug.runs.json_file import read_json_object
from kplug.runs.process import identity, place_of
from kplug.runs.status_file import ENDED

_HEARTBEAT_SECONDS = 1.0


class StatusWriter:
    """Writes a run's status: at once when the state changes, and once a second as a heartbeat.

    The worker is the file's only writer. Use it as a context manager. A status that cannot be written (a full disk)
    costs the run nothing: the next heartbeat tries again.

    Args:
        directory: The run's directory.
        stop_when_gone: Whether the run is to stop when its directory is no longer where it was.

    Attributes:
        stop_requested: Set once the run is asked to stop.
        trained: Whether a batch has been trained; before, the worker may still refuse the run.
        gone: Set once the run's directory is no longer where it was.
        successor: The process that has the run now, if it was resumed elsewhere while this one stood still (a host that
            was suspended, say). Nothing is written any more then, and the run is asked to stop.
        before: The status as it was when the worker started.
    """

    def __init__(self, directory: RunDirectory, stop_when_gone: bool = True) -> None:
        self._directory = directory
        self._stop_when_gone = stop_when_gone
        self._lock = threading.Lock()
        self._ended = threading.Event()
        self._fields: dict[str, Any] = json.loads(directory.status.read_text(encoding="utf-8"))
        self._thread = threading.Thread(target=self._beat, name="kplug-heartbeat", daemon=True)
        self.before = dict(self._fields)
        self.stop_requested = threading.Event()
        self.gone = threading.Event()
        self.successor: str | None = None
        self.trained = False
        self._entered = False

    def __enter__(self) -> StatusWriter:
        state = "queued" if self._fields.get("state") == "queued" else "starting"
        self.update(**identity(), place=place_of(self._directory), state=state, started=time.time())
        self._entered = True
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._ended.set()
        self._thread.join()

    def update(self, **fields: Any) -> None:
        """Change fields and write them at once, so that they outlast a loss of power."""
        with self._lock:
            self._fields.update(fields)
            self._write(flush=True)

    def progress(self, **fields: Any) -> None:
        """Change fields and let the next heartbeat write them; cheap enough for every batch."""
        self._fields.update(fields)

    def insist_mine(self) -> None:
        """Raise an error if the run has no directory any more, or another worker.

        Raises:
            RunStorageError: If so.
        """
        self._look_for_successor()
        if self.successor is not None:
            raise RunStorageError(f"{self._directory.id} was resumed elsewhere and goes on in {self.successor}.")
        if self.gone.is_set():
            raise RunStorageError(f"{self._directory.path} was moved or removed while the run went on.")

    def request_stop(self) -> None:
        """Note that the run is to stop at the next batch."""
        self.stop_requested.set()

    def _beat(self) -> None:
        while not self._ended.wait(_HEARTBEAT_SECONDS):
            if not self.stop_requested.is_set() and self._asked_to_stop():
                self.stop_requested.set()
            with self._lock:
                if self.stop_requested.is_set() and self._fields["state"] in {"queued", "starting", "running"}:
                    self._fields["state"] = "stopping"
                self._write()

    def _asked_to_stop(self) -> bool:
        try:
            return self._directory.control.exists()
        except OSError:
            return False  # a file server that does not answer now; the next heartbeat looks again

    def _look_for_successor(self) -> None:
        """Find out whether the status is somebody else's by now."""
        try:
            found = read_json_object(self._directory.status)
        except (OSError, ValueError):
            return
        if any(found.get(name) not in {None, self._fields.get(name)} for name in ("host", "pid", "resumed")):
            self.successor = f"process {found.get('pid', '?')} on {found.get('host', 'another host')}"
            self.stop_requested.set()

    def _write(self, flush: bool = False) -> None:
        if self._entered:
            self._look_for_successor()
        if self.successor is not None:
            return
        self._fields["heartbeat"] = time.time()
        fields = dict(self._fields)
        try:
            write_atomically(self._directory.status, json.dumps(fields, indent=2), flush)
        except OSError:
            self._cope(fields)

    def _cope(self, fields: dict[str, Any]) -> None:
        """Find out why the status could not be written, and write the last one in another way."""
        try:
            there = place_of(self._directory) == fields.get("place")
        except FileNotFoundError:
            there = False
        except OSError:
            return
        if not there:
            self.gone.set()
            if self._stop_when_gone:
                self.stop_requested.set()
        elif fields["state"] in ENDED:
            with contextlib.suppress(OSError):
                write_in_place(self._directory.status, json.dumps({**fields, "traceback": None}))
