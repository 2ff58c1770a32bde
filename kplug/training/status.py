"""The worker's own account of itself, kept fresh in `status.json`."""

from __future__ import annotations

import json
import threading
import time
from types import TracebackType
from typing import Any

from kplug.runs.directory import RunDirectory, write_atomically
from kplug.runs.process import identity

_HEARTBEAT_SECONDS = 1.0


class StatusWriter:
    """Writes a run's status: at once when the state changes, and once a second as a heartbeat.

    The worker is the file's only writer. Use it as a context manager.

    Attributes:
        stop_requested: Set once the run is asked to stop.
        trained: Whether a batch has been trained; before, the worker may still refuse the run.
        before: The status as it was when the worker started.
    """

    def __init__(self, directory: RunDirectory) -> None:
        self._directory = directory
        self._lock = threading.Lock()
        self._ended = threading.Event()
        self._fields: dict[str, Any] = json.loads(directory.status.read_text(encoding="utf-8"))
        self._thread = threading.Thread(target=self._beat, name="kplug-heartbeat", daemon=True)
        self.before = dict(self._fields)
        self.stop_requested = threading.Event()
        self.trained = False

    def __enter__(self) -> StatusWriter:
        self.update(**identity(), state="starting", started=time.time())
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._ended.set()
        self._thread.join()

    def update(self, **fields: Any) -> None:
        """Change fields and write them at once."""
        with self._lock:
            self._fields.update(fields)
            self._write()

    def progress(self, **fields: Any) -> None:
        """Change fields and let the next heartbeat write them; cheap enough for every batch."""
        self._fields.update(fields)

    def request_stop(self) -> None:
        """Note that the run is to stop at the next batch."""
        self.stop_requested.set()

    def _beat(self) -> None:
        while not self._ended.wait(_HEARTBEAT_SECONDS):
            if not self.stop_requested.is_set() and self._directory.control.exists():
                self.stop_requested.set()
            with self._lock:
                if self.stop_requested.is_set() and self._fields["state"] in {"starting", "running"}:
                    self._fields["state"] = "stopping"
                self._write()

    def _write(self) -> None:
        self._fields["heartbeat"] = time.time()
        write_atomically(self._directory.status, json.dumps(dict(self._fields), indent=2))
