"""The worker's account of itself, where the file server stutters or the run goes on elsewhere."""

import errno
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from kplug.errors import RunStorageError
from kplug.runs.directory import create_run_directory, write_atomically
from kplug.runs.run import Run
from kplug.runs.spec import spec_from
from kplug.training import status as status_module
from kplug.training.status import StatusWriter

pytestmark = pytest.mark.neutral

STOPPED_AT_ONCE = """
import os, signal, sys
from kplug.training.status import StatusWriter
update = StatusWriter.update
def update_and_stop(status, **fields):
    update(status, **fields)
    if "pid" in fields:
        for number in (signal.SIGINT, signal.SIGHUP, signal.SIGTERM):
            os.kill(os.getpid(), number)
StatusWriter.update = update_and_stop
from kplug.training.worker import main
sys.exit(main())
"""


@pytest.fixture
def directory(tmp_path):
    return create_run_directory(tmp_path, spec_from({"model": "m/m", "dataset": "d/d"}), {"max_running": 1})


@pytest.fixture(autouse=True)
def _fast(monkeypatch):
    monkeypatch.setattr(status_module, "_HEARTBEAT_SECONDS", 0.01)


def test_a_worker_that_is_stopped_as_soon_as_it_is_known_has_stopped(directory):
    command = [sys.executable, "-c", STOPPED_AT_ONCE, str(directory.path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
    assert Run(directory).state == "stopped"


@pytest.mark.parametrize("number", [errno.ESTALE, errno.EIO, errno.EACCES])
def test_a_file_server_that_stutters_does_not_end_the_heartbeat(directory, monkeypatch, number):
    exists = Path.exists
    asked = []

    def stale(self, **options):
        if self.name == "control" and len(asked) < 3:
            asked.append(self)
            raise OSError(number, os.strerror(number))
        return exists(self, **options)

    monkeypatch.setattr(Path, "exists", stale)
    with StatusWriter(directory) as status:
        directory.control.write_text("stop")
        assert status.stop_requested.wait(10)
    assert len(asked) == 3


@pytest.mark.parametrize(
    "theirs",
    [{"pid": 1, "host": "elsewhere", "state": "running"}, {"state": "starting", "resumed": time.time() + 60}],
    ids=["has begun", "begins"],
)
def test_a_worker_hears_that_the_run_was_resumed_elsewhere_and_writes_no_more(directory, theirs):
    with StatusWriter(directory) as status:
        status.update(state="running", step=3)
        status.insist_mine()
        until = time.monotonic() + 10
        while not status.stop_requested.wait(0.05) and time.monotonic() < until:
            write_atomically(directory.status, json.dumps(theirs))  # again and again, as the other's heartbeat does
        assert status.stop_requested.is_set()
        with pytest.raises(RunStorageError, match="was resumed elsewhere and goes on in process"):
            status.insist_mine()
        status.update(state="completed")
    assert json.loads(directory.status.read_text()) == theirs


def test_a_status_that_somebody_has_damaged_is_written_anew(directory):
    with StatusWriter(directory) as status:
        directory.status.write_text('{"sta')
        status.update(state="running")
        assert not status.stop_requested.is_set()
    assert Run(directory).status["state"] == "running"
