"""Deleted runs, and what happens to them meanwhile."""

import json
import shutil

import pytest

from kplug.errors import RunNotFoundError, RunStateError, RunStorageError
from kplug.runs import Run
from kplug.runs import trash as trash_module
from kplug.runs.directory import create_run_directory, write_atomically
from kplug.runs.lock import RunLock
from kplug.runs.process import identity
from kplug.runs.spec import spec_from
from kplug.runs.trash import delete, deleted, discard, restore

pytestmark = pytest.mark.neutral


@pytest.fixture
def run(tmp_path):
    made = Run(create_run_directory(tmp_path, spec_from({"model": "kplug/vae", "dataset": "kplug/digits"}), {}))
    write_atomically(made.directory.status, json.dumps({"state": "stopped"}))
    return made


def test_a_run_that_is_resumed_while_it_is_deleted_stays(run, monkeypatch):
    class Late(RunLock):
        def acquire(self, patience=0.0):
            write_atomically(run.directory.status, json.dumps({"state": "running", **identity()}))
            return super().acquire(patience)

    monkeypatch.setattr(trash_module, "RunLock", Late)
    with pytest.raises(RunStateError, match=r"is running\. Stop it first"):
        delete(run)
    assert run.state == "running"
    assert RunLock(run.directory.lock).acquire()


def test_a_run_that_is_deleted_twice_leaves_nothing_in_its_place(run, tmp_path):
    delete(run)
    with pytest.raises(RunNotFoundError, match="any more"):
        delete(run)
    assert not run.directory.path.exists()
    assert restore(run.id, tmp_path).state == "stopped"


def test_a_lock_makes_no_directory(run):
    lock = RunLock(run.directory.lock)
    shutil.rmtree(run.directory.path)
    with pytest.raises(RunStorageError, match="cannot be locked: No such file or directory"):
        lock.acquire()
    assert not run.directory.path.exists()


def test_a_lock_in_a_directory_that_goes_while_it_is_taken_is_none(run, monkeypatch):
    lock = RunLock(run.directory.lock)
    take = lock._lock.acquire

    def late(**options):
        run.directory.path.rename(run.directory.path.with_name("elsewhere"))
        return take(**options)

    monkeypatch.setattr(lock._lock, "acquire", late)
    with pytest.raises(RunStorageError, match="cannot be locked"):
        lock.acquire()
    assert not run.directory.path.exists()


def test_two_runs_of_one_id_are_in_the_trash_beside_each_other(run, tmp_path):
    shutil.copytree(run.directory.path, tmp_path / ".copy")
    delete(run)
    (tmp_path / ".copy").rename(run.directory.path)
    write_atomically(run.directory.status, json.dumps({"state": "failed"}))
    delete(run)
    assert [one.id for one in deleted(tmp_path)] == [f"{run.id}~2", run.id]
    assert restore(f"{run.id}~2", tmp_path).state == "failed"
    delete(run)
    assert restore(run.id, tmp_path).state == "stopped"
    with pytest.raises(RunStorageError, match="cannot be moved"):
        restore(f"{run.id}~2", tmp_path)


@pytest.mark.parametrize(
    ("status", "stays"),
    [
        ({"state": "failed", "refused": True}, False),
        ({"state": "failed", "refused": False}, True),
        ({"state": "starting", "refused": True, **identity()}, True),
    ],
)
def test_only_a_refused_run_is_discarded(run, status, stays):
    write_atomically(run.directory.status, json.dumps(status))
    discard(run)
    assert run.directory.path.exists() is stays


def test_a_refused_run_that_has_a_worker_again_is_not_discarded(run, monkeypatch):
    monkeypatch.setattr(trash_module, "_WORKER_PATIENCE", 0.1)
    write_atomically(run.directory.status, json.dumps({"state": "failed", "refused": True}))
    lock = RunLock(run.directory.lock)
    assert lock.acquire()
    discard(run)
    assert run.directory.path.exists()
    lock.release()
