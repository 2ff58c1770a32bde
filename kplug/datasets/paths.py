"""The person's own files and folders: found, or refused in words."""

from __future__ import annotations

from pathlib import Path

from kplug.errors import DataError


def existing_file(path: str | Path) -> Path:
    """Return the path of a file that is there and not empty; `~` is the home folder.

    Raises:
        DataError: If there is no such file, it is a folder, or it is empty.
    """
    file = existing(path)
    if file.is_dir():
        raise DataError(f"{file} is a folder; a file is needed. Give the file's path.")
    if file.stat().st_size == 0:
        raise DataError(f"{file} is empty. Give a file with data.")
    return file


def existing_folder(path: str | Path) -> Path:
    """Return the path of a folder that is there; `~` is the home folder.

    Raises:
        DataError: If there is no such folder, or it is a file.
    """
    folder = existing(path)
    if not folder.is_dir():
        raise DataError(f"{folder} is a file; a folder is needed. Give the path of the folder.")
    return folder


def visible_files(folder: Path, suffixes: frozenset[str]) -> list[Path]:
    """Return a folder's files of some types (`".txt"`, …; upper case is the same) by name, hidden ones left out."""
    return sorted(file for file in folder.iterdir() if file.is_file() and _is_visible(file, suffixes))


def visible_folders(folder: Path) -> list[Path]:
    """Return the folders in a folder by name, hidden ones left out."""
    return sorted(entry for entry in folder.iterdir() if entry.is_dir() and not entry.name.startswith("."))


def existing(path: str | Path) -> Path:
    """Return the path of a file or folder that is there; `~` is the home folder.

    Raises:
        DataError: If there is none.
    """
    found = Path(path).expanduser()
    if not found.exists():
        raise DataError(f"There is no {found} (looked for from {Path.cwd()}). Correct the path.")
    return found


def _is_visible(file: Path, suffixes: frozenset[str]) -> bool:
    return not file.name.startswith(".") and file.suffix.lower() in suffixes
