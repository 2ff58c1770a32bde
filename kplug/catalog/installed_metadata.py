"""Reading the metadata of installed distributions: a thousand files in the time that a command may take."""

from __future__ import annotations

import os
from importlib import metadata
from pathlib import Path


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
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError, PermissionError):
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
