"""One run's directory: what is in it, and how its files are written so that a crash leaves them whole."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import secrets
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kplug.errors import KplugError, RunStorageError

if TYPE_CHECKING:
    from kplug.runs.spec import RunSpec


@dataclass(frozen=True)
class RunDirectory:
    """The files of one run."""

    path: Path

    @property
    def id(self) -> str:
        """The run's id, which is the directory's name."""
        return self.path.name

    @property
    def spec(self) -> Path:
        """What was asked; never changes."""
        return self.path / "spec.json"

    @property
    def status(self) -> Path:
        """State, process, progress; replaced atomically."""
        return self.path / "status.json"

    @property
    def metrics(self) -> Path:
        """Metric records, append-only."""
        return self.path / "metrics.jsonl"

    @property
    def system(self) -> Path:
        """Samples of CPU, memory and GPUs, append-only."""
        return self.path / "system.jsonl"

    @property
    def log(self) -> Path:
        """Everything the worker printed."""
        return self.path / "output.log"

    @property
    def events(self) -> Path:
        """What happened to the run, append-only: started, checkpoint, stopped, resumed, failed."""
        return self.path / "events.jsonl"

    @property
    def labels(self) -> Path:
        """What people call and note of it; replaced atomically."""
        return self.path / "labels.json"

    @property
    def lock(self) -> Path:
        """Locked by the worker for as long as it lives."""
        return self.path / "lock"

    @property
    def checkpoints(self) -> Path:
        """The newest training states."""
        return self.path / "checkpoints"

    @property
    def job(self) -> Path:
        """What the launcher calls the worker that it has started, where it is not this machine that does."""
        return self.path / "job.json"

    @property
    def control(self) -> Path:
        """A request to the worker: `stop`."""
        return self.path / "control"

    @property
    def files(self) -> Path:
        """Copies of the files that parts of the run are in; there only if there are such parts."""
        return self.path / "files"

    @property
    def artifacts(self) -> Path:
        """What the run leaves for people."""
        return self.path / "artifacts"


def create_run_directory(
    root: Path, spec: RunSpec, environment: dict[str, Any], fill: Callable[[RunDirectory], None] | None = None
) -> RunDirectory:
    """Make a new run's directory, whole or not at all.

    Args:
        root: The directory that holds the runs; made if need be.
        spec: What was asked.
        environment: What else is known at this moment (command line, working directory), kept with the status.
        fill: Puts into it what else belongs there.

    Raises:
        RunStorageError: If the directory cannot be made; nothing is left behind.
        KplugError: Whatever `fill` raises; nothing is left behind then either.
    """
    made = _missing_parents(root)
    now = time.time()
    status = json.dumps({**starting(now, environment.get("max_running")), "created": now, **environment}, indent=2)
    aside: Path | None = None  # ours, once it is made
    try:
        root.mkdir(parents=True, exist_ok=True)
        while True:
            run_id = _new_id(spec)
            directory = RunDirectory(root / f".{run_id}.{secrets.token_hex(8)}.new")
            directory.path.mkdir()
            aside = directory.path
            directory.artifacts.mkdir()
            write_atomically(directory.spec, spec.model_dump_json(indent=2) + "\n", flush=True)
            write_atomically(directory.status, status, flush=True)
            if fill is not None:
                fill(directory)
            try:
                aside.rename(root / run_id)
            except OSError as error:
                if error.errno not in {errno.EEXIST, errno.ENOTEMPTY}:
                    raise
                shutil.rmtree(aside)  # another run of this second has drawn the same id
            else:
                flush_directory(root)
                return RunDirectory(root / run_id)
    except (OSError, KplugError) as error:
        if aside is not None:
            shutil.rmtree(aside, ignore_errors=True)
        _remove_empty(made)
        if isinstance(error, KplugError):
            raise
        raise RunStorageError(
            f"The runs directory {root} cannot be written: {error.strerror or error}. "
            "Choose another with --runs-dir or KPLUG_HOME."
        ) from error


def starting(now: float, max_running: int | None) -> dict[str, Any]:
    """Return the state of a run that has no worker yet, and the mark by which the worker that is started knows it."""
    state = {"state": "starting"} if max_running is None else {"state": "queued", "queued": now}
    return {**state, "start": secrets.token_hex(8)}


def write_atomically(path: Path, text: str, flush: bool = False) -> None:
    """Replace a file's content so that a reader sees the old or the new, never a part.

    Args:
        path: The file.
        text: Its new content.
        flush: Whether to see to it that content and name are on the disk, for what must outlast a loss of power.

    Raises:
        OSError: If it cannot be written; nothing is left beside the file.
    """
    # No other process, thread or host has the same one at the same time.
    aside = path.with_name(f".{path.name}.{secrets.token_hex(4)}.new")
    try:
        with aside.open("w", encoding="utf-8") as file:
            file.write(text)
            if flush:
                file.flush()
                os.fsync(file.fileno())
        aside.replace(path)
        if flush:
            flush_directory(path.parent)
    except OSError:
        aside.unlink(missing_ok=True)
        raise


def flush_directory(folder: Path) -> None:
    """See to it that the names in a directory are on the disk, where the system can do that."""
    with contextlib.suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def remove_leftovers(path: Path) -> None:
    """Remove what killed processes have left of attempts to replace a file; nobody may be replacing it now."""
    with contextlib.suppress(OSError):
        for leftover in path.parent.iterdir():
            if leftover.name.startswith(f".{path.name}.") and leftover.name.endswith(".new"):
                leftover.unlink(missing_ok=True)


def write_in_place(path: Path, text: str) -> None:
    """Replace a file's content in the space that it has, on a full disk say, where there is none for another file.

    Args:
        path: The file, which holds JSON.
        text: Its new content, JSON as well; with spaces behind it, if it is shorter than the old.

    Raises:
        OSError: If the content is too long for that; the old one stays what it was.
    """
    content = text.encode()
    with path.open("r+b", buffering=0) as file:
        size = file.seek(0, os.SEEK_END)
        missing = len(content) - size
        # Spaces behind JSON do no harm if there is room for some of them only.
        if missing > 0 and file.write(b" " * missing) < missing:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        file.seek(0)
        file.write(content.ljust(size))


def _new_id(spec: RunSpec) -> str:
    """Return an id that sorts by time and says what it is: `20261121-034555-vae-digits-1f3a`."""
    moment = time.strftime("%Y%m%d-%H%M%S")
    words = "-".join(_slug(one.name) for one in (spec.model, spec.dataset))
    return f"{moment}-{words}-{secrets.token_hex(2)}"


def _slug(name: str) -> str:
    bare = name.rpartition("/")[2]
    return "".join(character if character.isascii() and character.isalnum() else "-" for character in bare).lower()[:40]


def _missing_parents(root: Path) -> list[Path]:
    return [folder for folder in (root, *root.parents) if not os.path.exists(folder)]  # noqa: PTH110 - Path.exists raises where access is denied


def _remove_empty(folders: list[Path]) -> None:
    for folder in folders:
        try:
            folder.rmdir()
        except OSError:
            return
