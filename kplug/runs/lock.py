"""The lock by which a run has one worker at most: held by the worker's process, and free when that is gone."""

from __future__ import annotations

from pathlib import Path

from filelock import FileLock, Timeout

from kplug.errors import RunStorageError


class RunLock:
    """A run's lock.

    Args:
        path: The lock file; made if need be.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = FileLock(path)

    def acquire(self, patience: float = 0.0) -> bool:
        """Take the lock, and say whether it was free. It is held until this process ends, or `release`.

        Args:
            patience: Seconds to wait for it: a killed process gives it back a moment after it is gone.

        Raises:
            RunStorageError: If the file cannot be made.
        """
        try:
            self._lock.acquire(timeout=patience)
        except Timeout:
            return False
        except OSError as error:
            raise RunStorageError(f"{self._path} cannot be locked: {error.strerror or error}.") from error
        return True

    def release(self) -> None:
        """Give the lock back."""
        self._lock.release()
