"""What people call and note of a run, beside what was asked: name, tags, note. They may change at any time."""

from __future__ import annotations

import contextlib
import json
import unicodedata
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, replace

from kplug.errors import RunStorageError, SpecError
from kplug.runs.directory import RunDirectory, remove_leftovers, write_atomically
from kplug.runs.json_file import read_json_object
from kplug.runs.lock import RunLock

_LOCK = ".labels.lock"
_LOCK_PATIENCE = 10.0
_LONGEST = {"name": 200, "tag": 60, "note": 10_000}
_JOINERS = "\N{ZERO WIDTH NON-JOINER}\N{ZERO WIDTH JOINER}"
"""Format characters that words of several languages, and emoji, are made with."""


@dataclass(frozen=True)
class Labels:
    """A run's labels.

    Attributes:
        name: What it is called, or `None` for what its spec says.
        tags: In the order of the alphabet.
        note: Any text.
    """

    name: str | None = None
    tags: tuple[str, ...] = ()
    note: str = ""


def read_labels(directory: RunDirectory) -> Labels:
    """Return a run's labels; none where the file is missing or damaged."""
    with contextlib.suppress(OSError, ValueError):
        return _read(directory)
    return Labels()


def rename(directory: RunDirectory, name: str) -> Labels:
    """Call a run something else; an empty name brings back the one of its spec.

    Raises:
        SpecError: If the name is too long, or has control characters.
        RunStorageError: If it cannot be kept.
    """
    name = checked_name(name)
    return _changed(directory, lambda before: replace(before, name=name or None))


def tag(directory: RunDirectory, add: Iterable[str] = (), remove: Iterable[str] = ()) -> Labels:
    """Add tags to a run, and remove some.

    Raises:
        SpecError: If a tag is empty, too long, or has white space or control characters.
        RunStorageError: If they cannot be kept.
    """
    added, removed = {_checked_tag(one) for one in add}, {one.strip() for one in remove}
    return _changed(directory, lambda before: replace(before, tags=tuple(sorted((set(before.tags) | added) - removed))))


def annotate(directory: RunDirectory, note: str) -> Labels:
    """Note something of a run; an empty note removes the one there is.

    Raises:
        SpecError: If the note is too long.
        RunStorageError: If it cannot be kept.
    """
    if len(note) > _LONGEST["note"]:
        raise SpecError(f"A note may have {_LONGEST['note']} characters. Received: {len(note)}")
    return _changed(directory, lambda before: replace(before, note=note.strip()))


def checked_name(name: str) -> str:
    """Return a name as it is kept, without space around it.

    Raises:
        SpecError: If it is too long, or has control characters.
    """
    return _checked("name", name)


def _read(directory: RunDirectory) -> Labels:
    """Return a run's labels.

    Raises:
        OSError: If they cannot be read.
        ValueError: If they are damaged.
    """
    try:
        content = read_json_object(directory.labels)
    except FileNotFoundError:
        return Labels()
    name, tags, note = content.get("name"), content.get("tags", []), content.get("note", "")
    if not isinstance(tags, list) or not all(isinstance(one, str) for one in (name or "", note, *tags)):
        raise ValueError("a name, a tag or the note is no text")
    return Labels(name, tuple(sorted(tags)), note)


def _changed(directory: RunDirectory, change: Callable[[Labels], Labels]) -> Labels:
    """Change the labels as they are, while no other process changes them.

    Raises:
        RunStorageError: If they cannot be read or written, or somebody else does not come to an end with them.
    """
    lock = RunLock(directory.path / _LOCK)
    if not lock.acquire(_LOCK_PATIENCE):
        raise RunStorageError(f"{directory.labels} is being changed by another process, which does not end.")
    try:
        remove_leftovers(directory.labels)
        return _written(directory, change(_before(directory)))
    finally:
        lock.release()


def _before(directory: RunDirectory) -> Labels:
    """Return the labels that are about to change; a damaged file is kept beside them.

    Raises:
        RunStorageError: If there are some that cannot be read, and would be lost.
    """
    try:
        return _read(directory)
    except ValueError:
        with contextlib.suppress(OSError):
            directory.labels.replace(directory.labels.with_suffix(".json.damaged"))
        return Labels()
    except OSError as error:
        raise RunStorageError(f"{directory.labels} cannot be read: {error.strerror or error}.") from error


def _checked(what: str, text: str) -> str:
    text = text.strip()
    if len(text) > _LONGEST[what]:
        raise SpecError(f"A {what} may have {_LONGEST[what]} characters. Received: {len(text)}")
    if any(unicodedata.category(one) in {"Cc", "Cf", "Cs", "Zl", "Zp"} and one not in _JOINERS for one in text):
        raise SpecError(f"A {what} may not have control characters. Received: {text!r}")
    return text


def _checked_tag(text: str) -> str:
    text = _checked("tag", text)
    if not text or any(character.isspace() or character == "," for character in text):
        raise SpecError(f"A tag is one word, without commas. Received: {text!r}")
    return text


def _written(directory: RunDirectory, labels: Labels) -> Labels:
    try:
        write_atomically(directory.labels, json.dumps(asdict(labels), indent=2), flush=True)
    except OSError as error:
        raise RunStorageError(f"{directory.labels} cannot be written: {error.strerror or error}.") from error
    return labels
