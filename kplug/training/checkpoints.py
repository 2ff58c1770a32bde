"""Checkpoint files: written aside, flushed to the disk, renamed; known by a checksum; read without pickle."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any
from zipfile import BadZipFile

import ml_dtypes
import numpy as np

from kplug.errors import RunStorageError

FORMAT = 2
_PLAIN_KINDS = "biufcSU"
_DATES = "mM"
_DAMAGED = (ValueError, LookupError, TypeError, AttributeError, RecursionError, EOFError, BadZipFile)


@dataclass(frozen=True)
class Checkpoint:
    """A training state at one moment.

    Attributes:
        step: Optimizer steps done.
        state: What JSON can hold of it.
        arrays: The rest, by name.
    """

    step: int
    state: Mapping[str, Any]
    arrays: Mapping[str, np.ndarray]


class Checkpoints:
    """The checkpoints of one run, in a directory of their own.

    Each is two files: `step-<number>.npz` with the arrays, and `step-<number>.json` with the rest and the SHA-256 of
    both. The second is put in place last: a checkpoint without it does not exist.

    Args:
        directory: Made when the first checkpoint is saved.
        whole: Step of the newest one known to be whole, or `None`.
    """

    def __init__(self, directory: Path, whole: int | None = None) -> None:
        self._directory = directory
        self._whole = None if whole is None else _stem(whole)

    def save(self, checkpoint: Checkpoint) -> None:
        """Write a checkpoint, then drop all but this one and the newest before it that is known to be whole.

        Raises:
            OSError: If it cannot be written; the earlier ones are whole, and nothing of it is left.
            TypeError: If one of its arrays is of a kind that cannot be kept.
        """
        self._directory.mkdir(exist_ok=True)
        name = _stem(checkpoint.step)
        arrays, dtypes = _plain(checkpoint.arrays)
        data, record = (self._directory / f"{name}.{ending}" for ending in ("npz", "json"))
        new_data, new_record = (self._directory / f".{name}.{ending}.new" for ending in ("npz", "json"))
        try:
            with new_data.open("wb") as file:
                np.savez(file, allow_pickle=False, **arrays)
                _flush(file)
            content = {
                "format": FORMAT,
                "step": checkpoint.step,
                "time": time.time(),
                "sha256": _digest(new_data),
                "dtypes": dtypes,
                "state": checkpoint.state,
            }
            with new_record.open("w", encoding="utf-8") as file:
                json.dump({**content, "record_sha256": _digest_of(content)}, file)
                _flush(file)
            # An earlier checkpoint of this step loses its record first, so that no record stands beside other data.
            record.unlink(missing_ok=True)
            new_data.replace(data)
            new_record.replace(record)
        except OSError:
            new_data.unlink(missing_ok=True)
            new_record.unlink(missing_ok=True)
            raise
        flush_directory(self._directory)
        self._keep({name, self._whole})
        self._whole = name

    def newest(self) -> tuple[Checkpoint | None, list[str]]:
        """Return the newest checkpoint that is whole, or `None`, and what is wrong with those passed over.

        Raises:
            RunStorageError: If a file is there and cannot be read, which says nothing about what is in it.
        """
        problems: list[str] = []
        for record in self._records():
            try:
                found = _read(record)
            except (*_DAMAGED, FileNotFoundError) as error:
                problems.append(f"checkpoint {record.stem} is damaged and was passed over: {error}")
            except OSError as error:
                raise RunStorageError(
                    f"Checkpoint {record} cannot be read: {error.strerror or error}. "
                    "When it can, resume the run; remove it to go on from the one before."
                ) from error
            else:
                self._whole = record.stem
                return found, problems
        self._whole = None
        return None, problems

    def _records(self) -> list[Path]:
        """Return the checkpoints' records, newest first."""
        try:
            files = list(self._directory.iterdir())
        except FileNotFoundError:
            return []
        except OSError as error:
            raise RunStorageError(f"{self._directory} cannot be listed: {error.strerror or error}.") from error
        return sorted((path for path in files if path.match("step-*.json")), reverse=True)

    def _keep(self, kept: set[str | None]) -> None:
        """Remove all others. What cannot be removed stays: the one just written is there all the same."""
        with contextlib.suppress(OSError):
            for path in list(self._directory.iterdir()):
                if path.stem not in kept:
                    with contextlib.suppress(OSError):
                        path.unlink()


def _stem(step: int) -> str:
    return f"step-{step:012d}"


def _read(record: Path) -> Checkpoint:
    content = json.loads(record.read_text(encoding="utf-8"))
    if content["format"] != FORMAT:
        raise ValueError(f"its format is {content['format']}, this kplug reads {FORMAT}")
    if content.pop("record_sha256") != _digest_of(content):
        raise ValueError(f"{record.name} does not have the checksum that it was written with")
    data = record.with_suffix(".npz")
    if _digest(data) != content["sha256"]:
        raise ValueError(f"{data.name} does not have the checksum that it was written with")
    with np.load(data, allow_pickle=False) as stored:
        arrays = {name: _as(stored[name], content["dtypes"].get(name)) for name in stored.files}
    return Checkpoint(int(content["step"]), content["state"], arrays)


def _plain(arrays: Mapping[str, np.ndarray]) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    """Return the arrays in dtypes that a `.npz` file can hold, and the names of the dtypes that it cannot."""
    plain, dtypes = {}, {}
    for name, array in arrays.items():
        if array.dtype.kind in _PLAIN_KINDS:
            plain[name] = array
        elif can_be_kept(array.dtype):  # bfloat16 and its like, dates
            plain[name] = array.view(f"u{array.dtype.itemsize}")
            dtypes[name] = array.dtype.name
        else:
            raise TypeError(f"{name}: an array of dtype {array.dtype} cannot be kept in a checkpoint")
    return plain, dtypes


def can_be_kept(dtype: np.dtype) -> bool:
    """Say whether arrays of a dtype can be kept in a checkpoint; references to Python objects and records cannot."""
    return dtype.kind in _PLAIN_KINDS or dtype.kind in _DATES or hasattr(ml_dtypes, dtype.name)


def _as(array: np.ndarray, dtype: str | None) -> np.ndarray:
    if dtype is None:
        return array
    return array.view(getattr(ml_dtypes, dtype, dtype))


def _digest_of(content: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def _flush(file: IO) -> None:
    file.flush()
    os.fsync(file.fileno())


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def flush_directory(directory: Path) -> None:
    """See to it that the names in a directory are on the disk."""
    if os.name != "posix":
        return
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
