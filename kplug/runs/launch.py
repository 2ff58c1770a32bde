"""From a checked spec to a running worker."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

from kplug.errors import RunStorageError
from kplug.runs.directory import create_run_directory
from kplug.runs.process import start_worker
from kplug.runs.run import Run
from kplug.runs.spec import RunSpec


def launch(spec: RunSpec, root: Path) -> Run:
    """Start a run, detached from this process, and return it.

    Args:
        spec: What to do, as `complete` returns it.
        root: The directory that holds the runs.

    Raises:
        RunStorageError: If the run's directory cannot be made or its process not be started; nothing is left behind.
    """
    directory = create_run_directory(root, spec, {"command": sys.argv, "cwd": os.fspath(Path.cwd())})
    try:
        start_worker(directory, spec.backend)
    except RunStorageError:
        shutil.rmtree(directory.path, ignore_errors=True)
        raise
    return Run(directory)
