"""Runs out of the house and in again: metrics as tables or for TensorBoard, whole runs as zip files."""

from __future__ import annotations

import contextlib
import csv
import importlib
import json
import secrets
import shutil
import stat
import time
import zipfile
import zlib
from pathlib import Path, PurePosixPath

from kplug.errors import RunStorageError, SpecError
from kplug.places import runs_root
from kplug.runs.directory import RunDirectory
from kplug.runs.run import Run, is_run
from kplug.runs.spec import read_spec_values, spec_from
from kplug.runs.tensorboard import write_events

FORMATS = ("csv", "parquet", "tensorboard", "zip")
_NOT_EXPORTED = frozenset({"lock", "control"})


def export_run(run: Run, path: Path, file_format: str | None = None) -> None:
    """Write a run's metrics as a table or for TensorBoard, or the whole run as a zip file.

    A table has one row for each record: `step`, `epoch`, `time`, `epoch_end` and a column for each metric. For
    TensorBoard, a directory is made that has what Keras' own callback would have written.

    Args:
        run: The run.
        path: Where to.
        file_format: `csv`, `parquet` (needs pyarrow), `tensorboard` (needs tensorboard) or `zip`; by default what the
            ending of `path` says, and `tensorboard` where it has none.

    Raises:
        SpecError: If there is no such format, or the package that it needs is missing.
        RunStorageError: If the file cannot be written.
    """
    writers = {"csv": _write_csv, "parquet": _write_parquet, "tensorboard": write_events, "zip": _write_zip}
    write = writers[_format_of(path, file_format)]
    if path.name in {"", ".."}:
        raise SpecError(f"{path} is a directory that is there. Name the file or directory to be made: {path}/NAME")
    aside = path.with_name(f".{path.name}.{secrets.token_hex(4)}.new")
    try:
        write(run, aside)
        aside.replace(path)
    except RunStorageError:
        raise
    except OSError as error:
        which = f": {error.filename}" if error.filename not in {None, str(aside)} else ""
        raise RunStorageError(f"{path} cannot be written: {error.strerror or error}{which}.") from error
    finally:
        with contextlib.suppress(OSError):
            _remove(aside)


def import_run(path: Path, root: Path | None = None) -> Run:
    """Bring in a run that was exported as a zip file; it keeps its id.

    Args:
        path: The file.
        root: The directory that holds the runs.

    Raises:
        SpecError: If the file is no exported run, or is unsafe or damaged.
        RunStorageError: If there is a run of that id already, or the directory cannot be written.
    """
    folder = runs_root(root)
    aside: Path | None = None
    try:
        with zipfile.ZipFile(path) as archive:
            run_id = _checked_id(archive, path)
            _insist_new(folder / run_id)
            folder.mkdir(parents=True, exist_ok=True)
            _insist_room(archive, path, folder)
            aside = folder / f".{run_id}.{secrets.token_hex(8)}.import"
            aside.mkdir()
            archive.extractall(aside)
        directory = RunDirectory(aside / run_id)
        if not is_run(directory):
            raise SpecError(f"{path} is no exported run: it has no spec.json.")
        spec_from(read_spec_values(directory.spec), f"spec.json of {path}")
        _insist_new(folder / run_id)
        directory.path.rename(folder / run_id)
    except (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError) as error:  # the last: encrypted, say
        raise SpecError(f"{path} is no zip file, or is damaged: {error}") from error
    except FileNotFoundError as error:
        raise SpecError(f"There is no file {error.filename or path}.") from error
    except OSError as error:
        if isinstance(error, RunStorageError):
            raise
        raise RunStorageError(f"{path} cannot be brought into {folder}: {error.strerror or error}.") from error
    finally:
        if aside is not None:
            shutil.rmtree(aside, ignore_errors=True)
    return Run(RunDirectory(folder / run_id))


def _checked_id(archive: zipfile.ZipFile, path: Path) -> str:
    """Return the one directory that is in an archive, if nothing in it points elsewhere."""
    tops = set()
    for entry in archive.infolist():
        name = PurePosixPath(entry.filename)
        unsafe = name.is_absolute() or ".." in name.parts or "\\" in entry.filename or ":" in entry.filename
        if unsafe or stat.S_ISLNK(entry.external_attr >> 16):
            raise SpecError(f"{path} is unsafe: {entry.filename!r} would lie outside of the run's directory.")
        tops.add(name.parts[0] if name.parts else "")
    (top, *others) = tops or {""}
    if others or not top or top.startswith(".") or not top.isprintable():
        raise SpecError(f"{path} is no exported run: it must hold one directory, the run's.")
    return top


def _insist_new(place: Path) -> None:
    """See to it that there is no run in a place.

    Raises:
        RunStorageError: If there is.
    """
    if place.exists():
        raise RunStorageError(f"There is a run {place.name} in {place.parent} already.")


def _insist_room(archive: zipfile.ZipFile, path: Path, folder: Path) -> None:
    """See to it that what an archive says it holds fits on the disk; zipfile unpacks no more than that.

    Raises:
        RunStorageError: If it does not fit.
    """
    needed, free = sum(entry.file_size for entry in archive.infolist()), shutil.disk_usage(folder).free
    if needed > free:
        raise RunStorageError(
            f"{path} holds {needed / 1e9:.1f} GB, and {folder} has room for {free / 1e9:.1f} GB. If that is more than "
            "a run should have, the file is not what it seems."
        )


def _format_of(path: Path, given: str | None) -> str:
    chosen = given or path.suffix.removeprefix(".") or "tensorboard"
    if chosen not in FORMATS:
        received = f"--format {given}" if given else path.name
        raise SpecError(
            f"A run is exported as {', '.join(FORMATS)}. Received: {received}. The name's ending says which "
            "(a name without one is a directory for TensorBoard), or --format."
        )
    return chosen


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _write_csv(run: Run, path: Path) -> None:
    names, rows = _table(run)
    with path.open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file)
        table.writerow(names)
        table.writerows(rows)


def _write_parquet(run: Run, path: Path) -> None:
    try:
        pyarrow, parquet = (importlib.import_module(name) for name in ("pyarrow", "pyarrow.parquet"))
    except ImportError:
        raise SpecError("Parquet files need pyarrow. Install it with: pip install pyarrow") from None
    names, rows = _table(run)
    columns = list(zip(*rows, strict=True)) if rows else [()] * len(names)
    parquet.write_table(pyarrow.table(dict(zip(names, columns, strict=True))), path)


def _table(run: Run) -> tuple[list[str], list[list]]:
    records = run.metrics()
    metrics = list(dict.fromkeys(name for record in records for name in record.metrics))
    rows = [
        [one.step, one.epoch, one.time, one.epoch_end, *(one.metrics.get(name) for name in metrics)] for one in records
    ]
    return ["step", "epoch", "time", "epoch_end", *metrics], rows


def _write_zip(run: Run, path: Path) -> None:
    # A clock that was wrong must not matter: zip files know no time before 1980.
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, strict_timestamps=False) as archive:
        for file in sorted(run.directory.path.rglob("*")):
            inside = file.relative_to(run.directory.path)
            if file.is_symlink() or not file.is_file() or inside.name in _NOT_EXPORTED or inside.name.startswith("."):
                continue
            if inside.name == "status.json":
                # Wherever it is read, its process is not there.
                entry = zipfile.ZipInfo(f"{run.id}/status.json", max(time.localtime()[:6], (1980, 1, 1, 0, 0, 0)))
                entry.compress_type = zipfile.ZIP_DEFLATED
                entry.external_attr = 0o600 << 16
                archive.writestr(entry, json.dumps(run.status, indent=2))
            else:
                archive.write(file, f"{run.id}/{inside.as_posix()}")
