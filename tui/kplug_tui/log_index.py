"""Where the lines of a large text file are, so that any of them can be read at once. No widget; used in a thread."""

from __future__ import annotations

import os
from array import array
from bisect import bisect_right
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from kplug.plain_text import safe_line

_BLOCK_BYTES = 1 << 16
_TAIL_BYTES = 64
_LONGEST_BYTES = 1 << 14


class LogIndex:
    """The beginnings of lines of a file that grows, is cut, or goes away.

    One place in every 64 KiB is kept, so that a file of 100 MB costs 25 KB of memory.

    Args:
        path: The file; it need not be there yet.

    Attributes:
        lines: How many lines it has, as far as it is known.
        size: Its bytes, as far as it is known.
        there: Whether there is such a file.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._begin()
        self.there = False

    def _begin(self) -> None:
        self.size = 0
        self._newlines = 0
        self._open_line = False
        self._tail = b""
        self._file: tuple[int, int] | None = None
        # Line number and offset of a place in each block.
        self._numbers = array("q", [0])
        self._offsets = array("q", [0])

    @property
    def lines(self) -> int:
        """How many lines there are; the last one may have no end yet."""
        return self._newlines + self._open_line

    def update(self, most: int) -> bool:
        """Go on through what is new, at most so many bytes, and say whether there is more.

        Raises:
            OSError: If the file cannot be read.
        """
        try:
            with self.path.open("rb") as file:
                self._check(file)
                self.there = True
                return self._go_on(file, most)
        except FileNotFoundError:
            self._begin()
            self.there = False
            return False

    def read(self, first: int, count: int) -> list[str]:
        """Return lines, safe to show and cut where they are endless; fewer at the end of the file."""
        if count < 1 or not self.there:
            return []
        at = max(0, bisect_right(self._numbers, first) - 1)
        found: list[str] = []
        number = self._numbers[at]
        try:
            with self.path.open("rb") as file:
                file.seek(self._offsets[at])
                while len(found) < count:
                    line = file.readline(_LONGEST_BYTES)
                    if not line:
                        break
                    _skip_rest(file, line)
                    if number >= first:
                        found.append(shown(line))
                    number += 1
        except OSError:
            return found
        return found

    def find(self, text: str, start: int, backwards: bool = False) -> int | None:
        """Return the number of the next line with a text in it, from a line on and around the end.

        Args:
            text: What to look for; lower and upper case are the same.
            start: The line to begin at, which counts.
            backwards: Whether to look upwards.

        Returns:
            The line's number, or `None` if there is no such line.
        """
        needle = text.lower()
        if not needle or not self.lines:
            return None
        start = max(0, min(start, self.lines - 1))
        at = max(0, bisect_right(self._numbers, start) - 1)
        places = list(range(len(self._numbers)))
        order = [*places[at:], *places[: at + 1]]
        if backwards:
            order = [*reversed(places[: at + 1]), *reversed(places[at:])]
        try:
            with self.path.open("rb") as file:
                for turn, place in enumerate(order):
                    lines = self._matches(file, place, needle)
                    if turn == 0:
                        lines = [line for line in lines if (line <= start if backwards else line >= start)]
                    if lines:
                        return lines[-1] if backwards else lines[0]
        except OSError:
            return None
        return None

    def _matches(self, file: BinaryIO, place: int, needle: str) -> list[int]:
        """Return the numbers of the lines with a text in them, from one kept place to the next."""
        end = self._offsets[place + 1] if place + 1 < len(self._offsets) else self.size
        file.seek(self._offsets[place])
        content = file.read(end - self._offsets[place]).decode("utf-8", errors="replace").lower()
        found: list[int] = []
        number, counted, at = self._numbers[place], 0, content.find(needle)
        while at >= 0:
            number += content.count("\n", counted, at)
            found.append(number)
            counted = at
            end_of_line = content.find("\n", at)
            at = content.find(needle, end_of_line) if end_of_line >= 0 else -1
        return found

    def _check(self, file: BinaryIO) -> None:
        """Begin anew if the file is another one, or was cut."""
        its = os.fstat(file.fileno())
        which = (its.st_dev, its.st_ino)
        file.seek(max(0, self.size - len(self._tail)))
        if (self._file is not None and which != self._file) or file.read(len(self._tail)) != self._tail:
            self._begin()
        self._file = which

    def _go_on(self, file: BinaryIO, most: int) -> bool:
        import numpy as np

        file.seek(self.size)
        until = self.size + most
        while self.size < until:
            content = file.read(_BLOCK_BYTES)
            if not content:
                return False
            ends = np.flatnonzero(np.frombuffer(content, np.uint8) == ord("\n"))
            if len(ends):
                self._newlines += len(ends)
                self._numbers.append(self._newlines)
                self._offsets.append(self.size + int(ends[-1]) + 1)
            self._open_line = not content.endswith(b"\n")
            self.size += len(content)
            self._tail = (self._tail + content)[-_TAIL_BYTES:]
        return True


def shown(line: bytes) -> str:
    """Return a line as it is shown: of a progress bar that was drawn over itself the last state, without colours."""
    text = line.rstrip(b"\r\n").decode("utf-8", errors="replace")
    return safe_line(text.rpartition("\r")[2].expandtabs(8))


def _skip_rest(file: BinaryIO, line: bytes) -> None:
    """Go to the end of a line of which the beginning was read."""
    for part in _parts(file) if not line.endswith(b"\n") and len(line) == _LONGEST_BYTES else ():
        if part.endswith(b"\n"):
            return


def _parts(file: BinaryIO) -> Iterator[bytes]:
    while part := file.readline(_BLOCK_BYTES):
        yield part
