"""What a worker printed, read piece by piece: a log may have gigabytes."""

from __future__ import annotations

import codecs
import io
import re
from collections.abc import Iterator
from pathlib import Path

from kplug.errors import RunStorageError

_PIECE = 1 << 20
_TAIL = 1 << 16
_BEGUN_COLOUR = re.compile(r"\x1b(\[[0-9;]{0,30})?\Z")


class LogReader:
    """Reads what has been printed since the last call.

    Args:
        path: The log; there may be none yet.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._offset = 0
        self._begun = ""
        # A character, or a colour, may be written in two parts.
        self._decoder = io.IncrementalNewlineDecoder(codecs.getincrementaldecoder("utf-8")("replace"), translate=True)

    def read(self, ended: bool = False) -> Iterator[str]:
        """Yield the text that is new, a megabyte at most at a time.

        Args:
            ended: Whether nothing will follow, so that what was begun is as complete as it gets.

        Raises:
            RunStorageError: If the log cannot be read.
        """
        try:
            with self._path.open("rb") as file:
                file.seek(self._offset)
                while piece := file.read(_PIECE):
                    self._offset += len(piece)
                    yield self._text(self._decoder.decode(piece))
        except FileNotFoundError:
            pass
        except OSError as error:
            raise RunStorageError(f"{self._path} cannot be read: {error.strerror or error}.") from error
        if ended:
            text, self._begun = self._begun + self._decoder.decode(b"", final=True), ""
            yield text

    def _text(self, new: str) -> str:
        text = self._begun + new
        found = _BEGUN_COLOUR.search(text, max(0, len(text) - 32))
        end = len(text) if found is None else found.start()
        self._begun = text[end:]
        return text[:end]


def last_lines(path: Path, count: int) -> list[str]:
    """Return the last lines of a log, as far as they are in its last 64 KiB; none where there is no log."""
    try:
        with path.open("rb") as file:
            start = max(0, file.seek(0, io.SEEK_END) - _TAIL)
            file.seek(start)
            lines = file.read().decode("utf-8", "replace").splitlines()
            return lines[1:][-count:] if start and len(lines) > 1 else lines[-count:]  # the first may be half a line
    except FileNotFoundError:
        return []
    except OSError as error:
        raise RunStorageError(f"{path} cannot be read: {error.strerror or error}.") from error
