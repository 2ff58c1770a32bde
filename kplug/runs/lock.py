"""The lock by which a run has one worker at most: held by the worker's process, and free when that is gone."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

from kplug.errors import RunStorageError


class RunLock:
    """A run's lock.

    Args:
        path: The lock file; made if need be, in a directory that is there.
    """

    def __init__(self, path: Path) -> None:
        # Here, and not above: who only looks at runs needs no lock, and it takes long to import.
        from filelock import FileLock

        self._path = path
        self._lock = FileLock(path)

    def acquire(self, patience: float = 0.0) -> bool:
        """Take the lock, and say whether it was free. It is held until this process ends, or `release`.

        Args:
            patience: Seconds to wait for it: a killed process gives it back a moment after it is gone.

        Raises:
            RunStorageError: If the file cannot be made, or its directory is gone.
        """
        from filelock import Timeout

        try:
            place = self._place()
            self._lock.acquire(timeout=patience)
            self._insist_same(place)
        except Timeout:
            return False
        except OSError as error:
            raise RunStorageError(f"{self._path} cannot be locked: {error.strerror or error}.") from error
        return True

    def release(self) -> None:
        """Give the lock back."""
        self._lock.release()

    def _place(self) -> tuple[int, int]:
        found = self._path.parent.stat()
        return found.st_dev, found.st_ino

    def _insist_same(self, place: tuple[int, int]) -> None:
        """See to it that the lock lies in the directory that was looked at: filelock makes one that has gone since.

        Raises:
            OSError: If it does not.
        """
        try:
            moved = self._place() != place
        except OSError:
            self._lock.release()
            raise
        if moved:
            self._lock.release()
            with contextlib.suppress(OSError):
                self._path.unlink()
                self._path.parent.rmdir()  # only an empty one goes
            raise FileNotFoundError(2, os.strerror(2))
