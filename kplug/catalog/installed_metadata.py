"""Reading the metadata of installed distributions: a thousand folders in the time that a command may take."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Iterator
from importlib import metadata
from importlib.machinery import PathFinder
from pathlib import Path

_NOTHING_THERE = (FileNotFoundError, NotADirectoryError, IsADirectoryError, PermissionError)


def metadata_folders(place: str) -> list[str]:
    """Return the folders with the metadata of distributions that lie in a directory of `sys.path`.

    Raises:
        OSError: If it is no directory that can be read.
    """
    return [
        entry.path for entry in os.scandir(place or ".") if entry.name.endswith((".dist-info", ".egg-info", "EGG-INFO"))
    ]


def distributions_with(word: str) -> Iterator[metadata.Distribution]:
    """Give the installed distributions in whose entry points a word occurs, or may occur; the first on the path first.

    They are those of `importlib.metadata.distributions()`, without making an object of each of a thousand.

    Args:
        word: The word, in ASCII.
    """
    for finder in sys.meta_path:
        if finder is PathFinder:
            for place in sys.path:
                yield from _in_place(place, word)
        elif hasattr(finder, "find_distributions"):
            yield from _with_word(word, finder.find_distributions(metadata.DistributionFinder.Context()))


def _in_place(place: str, word: str) -> Iterator[metadata.Distribution]:
    try:
        folders = metadata_folders(place)
    except OSError:  # an archive, or nothing
        yield from _with_word(word, PathFinder.find_distributions(metadata.DistributionFinder.Context(path=[place])))
        return
    for folder in folders:
        try:
            # Reading bytes takes half as long as reading text.
            with open(f"{folder}{os.sep}entry_points.txt", "rb", buffering=0) as file:  # noqa: PTH123
                found = word.encode() in file.read()
        except _NOTHING_THERE:
            continue
        except OSError:  # whoever reads it again is told
            found = True
        if found:
            yield metadata.Distribution.at(folder)


def _with_word(word: str, distributions: Iterable[metadata.Distribution]) -> Iterator[metadata.Distribution]:
    for one in distributions:
        try:
            found = word in (one.read_text("entry_points.txt") or "")
        except (ValueError, OSError):
            found = True
        if found:
            yield one


def is_distribution(name: str) -> bool:
    """Say whether a distribution of that name is installed."""
    try:
        metadata.distribution(name)
    except (metadata.PackageNotFoundError, ValueError):
        return False
    return True


def read_text(distribution: metadata.Distribution, name: str) -> str:
    """Return what a file of a distribution's metadata holds; empty if there is none.

    Raises:
        ValueError: If it is no text.
        OSError: If it cannot be read.
    """
    folder = getattr(distribution, "_path", None)
    if not isinstance(folder, Path):
        return distribution.read_text(name) or ""
    # Path.joinpath and Path.read_text take several times as long as reading the file does.
    try:
        with open(f"{folder}{os.sep}{name}", encoding="utf-8") as file:  # noqa: PTH123
            return file.read()
    except _NOTHING_THERE:
        return ""


def read_headers(distribution: metadata.Distribution) -> dict[str, list[str]]:
    """Return the headers of a distribution's metadata: name in lower case -> values, in their order.

    Raises:
        ValueError: If they do not say what it is called, and in which version.
        OSError: If they cannot be read.
    """
    headers: dict[str, list[str]] = {}
    # The standard library parses the whole file as an e-mail, README and all.
    for line in (read_text(distribution, "METADATA") or read_text(distribution, "PKG-INFO")).split("\n"):
        if not line.strip():
            break
        name, colon, value = line.partition(":")
        if colon and not line[0].isspace():
            headers.setdefault(name.lower(), []).append(value.strip())
    if not all(headers.get(name, [""])[0] for name in ("name", "version")):
        raise ValueError("its metadata names no distribution and version")
    return headers
