"""Processes that are not what a status says: other hosts, copies, clocks that were set, pids of others."""

import json
import math
import os
import shutil
import signal
import subprocess
import sys
import threading
import time

import psutil
import pytest

from kplug.errors import RunStateError, RunStorageError
from kplug.runs import Run, process
from kplug.runs.directory import RunDirectory, create_run_directory, write_atomically
from kplug.runs.index import summaries
from kplug.runs.launch import resume
from kplug.runs.lock import RunLock
from kplug.runs.process import identity, is_alive, place_of
from kplug.runs.spec import spec_from

pytestmark = pytest.mark.neutral


def make(root):
    return Run(create_run_directory(root, spec_from({"model": "kplug/vae", "dataset": "kplug/digits"}), {}))


def set_status(run, **fields):
    write_atomically(run.directory.status, json.dumps(fields))


@pytest.fixture
def run(tmp_path):
    return make(tmp_path / "runs")


@pytest.fixture
def sent(monkeypatch):
    """The signals that were sent; none arrives."""
    signals = []
    monkeypatch.setattr(os, "kill", lambda pid, number: signals.append((pid, number)) if number else None)
    monkeypatch.setattr(os, "killpg", lambda pid, number: signals.append((-pid, number)))
    return signals


@pytest.fixture
def worker():
    """A process that stands for a worker: in a session of its own, until its input ends."""
    child = subprocess.Popen(
        [sys.executable, "-c", "import sys; sys.stdin.read()"], stdin=subprocess.PIPE, start_new_session=True
    )
    yield child
    child.communicate()


def identity_of(child):
    one = psutil.Process(child.pid)
    start = process._start_of(child.pid)
    return {**identity(), "pid": child.pid, "process_created": one.create_time(), "process_start": start}


@pytest.mark.parametrize("pid", ["1", "-1", -1, 0, 1, True, None, 1.5, 2**31, 2**70, [1], {}, math.nan])
@pytest.mark.parametrize("state", ["running", "stopping", "completed", "dancing"])
def test_a_pid_that_is_none_gets_no_signal(run, sent, pid, state):
    set_status(run, **{**identity(), "pid": pid, "state": state})
    assert run.state == ("completed" if state == "completed" else "lost")
    run.stop()
    with pytest.raises(RunStateError, match="there is no process to kill"):
        run.kill()
    assert sent == []


def test_the_systems_own_process_gets_no_signal(run, sent, monkeypatch):
    monkeypatch.setattr(process, "is_alive", lambda identified: True)
    for pid in (0, 1):
        process.request_stop(run.directory, {"pid": pid})
        assert not process.kill({"pid": pid})
    assert sent == []


def test_a_process_that_has_got_the_pid_gets_no_signal(run, sent):
    for other in ({"process_created": 1.0, "process_start": None}, {"process_start": "boot/1"}):
        set_status(run, **{**identity(), **other, "state": "running"})
        assert run.state == "lost"
        run.stop()
        with pytest.raises(RunStateError, match="there is no process to kill"):
            run.kill()
    assert sent == []


@pytest.fixture
def other_boot(monkeypatch, tmp_path):
    """This machine was started a minute ago."""
    (tmp_path / "uptime").write_text("60.00 100.00\n")
    monkeypatch.setattr(process, "_UPTIME", tmp_path / "uptime")
    return {**identity(), "state": "running", "process_start": "another-boot/1"}


def test_a_process_of_a_machine_of_the_same_name_is_believed_by_its_heartbeat(run, sent, other_boot):
    set_status(run, **other_boot, place=[1, 2], heartbeat=time.time())
    assert run.state == "running"
    run.stop()
    with pytest.raises(RunStateError, match="there is no process to kill"):
        run.kill()
    assert sent == []


def test_a_process_from_before_the_machine_was_started_is_gone(run, other_boot):
    set_status(run, **other_boot, heartbeat=time.time() - 61)
    assert (run.state, "gone without a word" in run.status["error"]) == ("lost", True)


def test_a_process_of_another_container_is_believed_by_its_heartbeat(run, sent):
    elsewhere = {**identity(), "state": "running", "pid_namespace": "pid:[7]", "pid": 4194304}
    set_status(run, **elsewhere, heartbeat=time.time())
    assert run.state == "running"
    run.stop()
    assert sent == []
    set_status(run, **elsewhere, heartbeat=time.time() - 121)
    assert run.state == "lost"


def test_the_process_of_a_tracked_run_is_not_killed(run, sent):
    set_status(run, **identity(), state="running", tracked=True)
    with pytest.raises(RunStateError, match=r"recorded by kplug\.track.*kplug runs stop"):
        run.kill()
    assert sent == []


@pytest.mark.parametrize("content", ['{"state": "running", "pid": "odd", "later": 7}', '{"state"', None])
def test_a_run_whose_worker_cannot_be_started_is_what_it_was(run, monkeypatch, content):
    if content is None:
        run.directory.status.unlink()
    else:
        run.directory.status.write_text(content)
    (run.directory.path / ".status.json.17.new").touch()

    def refuse(directory, backend):
        raise RunStorageError("no process")

    monkeypatch.setattr("kplug.runs.launch.start_worker", refuse)
    with pytest.raises(RunStorageError, match="no process"):
        resume(run)
    assert (run.directory.status.read_text() if run.directory.status.exists() else None) == content
    assert list(run.directory.path.glob(".status.json.*")) == []


def test_a_process_is_not_ended_for_a_run_that_has_ended(run, sent):
    # A notebook that recorded a run, say.
    set_status(run, **identity(), state="completed", tracked=True)
    run.stop()
    with pytest.raises(RunStateError, match="is completed: there is no process to kill"):
        run.kill()
    assert sent == []


def test_somebody_elses_process_is_named(run, worker, monkeypatch):
    set_status(run, **identity_of(worker), state="running")

    def refuse(pid, number):
        raise PermissionError

    monkeypatch.setattr(os, "kill", refuse)
    monkeypatch.setattr(os, "killpg", refuse)
    with pytest.raises(RunStateError, match="or somebody else's"):
        run.kill()


def test_a_run_is_stopped_where_its_directory_cannot_be_written(run, worker, sent):
    set_status(run, **identity_of(worker), state="running")
    run.directory.control.mkdir()
    run.stop()
    assert sent == [(worker.pid, signal.SIGTERM)]
    set_status(run, host="elsewhere", pid=1, state="running", heartbeat=time.time())
    with pytest.raises(RunStorageError, match="control cannot be written"):
        run.stop()


@pytest.mark.parametrize(
    "fields",
    [
        {"heartbeat": math.nan},
        {"heartbeat": "now"},
        {"heartbeat": None},
        {"heartbeat": -5},
        {"created": {}, "resumed": "x"},
        {"process_created": None},
        {"process_created": "x", "process_start": 7},
        {"epoch": "three", "epochs": 1e400, "step": 10**400, "steps_per_epoch": True},
        {"test_metrics": {"loss": "low"}, "execution": 7, "gpus": 3},
        {"host": ["a"], "error": {"a": 1}, "phase": 3, "waiting_for": "x", "place": 7},
    ],
)
@pytest.mark.parametrize("host", [None, "elsewhere"])
def test_odd_values_are_left_out_and_named(run, fields, host):
    named = identity() if host is None else {"host": host, "pid": 5}
    set_status(run, **{"state": "running", **named, "created": time.time(), **fields})
    status = run.status
    assert status["state"] in {"running", "lost"}
    assert summaries(run.directory.path.parent)[0]["state"] == status["state"]
    for name in ("heartbeat", "created", "epoch", "step"):
        assert status.get(name) is None or 0 <= status[name] < 2**53
    wrong = [name for name, value in fields.items() if value is not None]
    if status["state"] == "running" and wrong:
        assert wrong[0] in status["error"]


def test_a_state_that_nobody_knows_is_lost(run):
    for state in ("dancing", 7, None, [], {}):
        set_status(run, **identity(), state=state)
        assert run.status["error"] == "status.json has no usable state"
        assert run.state == "lost"


@pytest.mark.skipif(
    not process._start_of(os.getpid()), reason="only Linux tells when a process began, whatever the clock"
)
@pytest.mark.parametrize("step", [-86400.0 * 3, -3600.0, 3600.0, 86400.0 * 3])
def test_a_clock_that_is_set_loses_no_run(run, worker, monkeypatch, step):
    set_status(run, **identity_of(worker), state="running", created=time.time(), heartbeat=time.time())
    created, now = psutil.Process.create_time, time.time
    # Where the system counts from its start, setting the clock changes when every process seems to have been created.
    monkeypatch.setattr(psutil.Process, "create_time", lambda self: created(self) + step)
    monkeypatch.setattr(time, "time", lambda: now() + step)
    assert run.state == "running"
    with pytest.raises(RunStateError, match="is running"):
        resume(run)


def test_without_the_systems_count_the_time_of_day_counts(run, worker, monkeypatch):
    monkeypatch.setattr(process, "_start_of", lambda pid: None)
    set_status(run, **identity_of(worker), state="running")
    assert run.state == "running"
    set_status(run, **{**identity_of(worker), "process_created": time.time() + 3600}, state="running")
    assert run.state == "lost"


def test_a_process_that_may_not_be_looked_at_is_judged_by_its_heartbeat(run, monkeypatch):
    def refuse(pid):
        raise psutil.AccessDenied

    monkeypatch.setattr(psutil, "Process", refuse)
    told = {"host": process.socket.gethostname(), "pid": 12345, "process_created": 1.0}
    set_status(run, **told, state="running", heartbeat=time.time())
    assert is_alive(run.status) is None
    assert run.state == "running"
    set_status(run, **told, state="running", heartbeat=time.time() - 3600)
    assert run.state == "lost"


@pytest.mark.parametrize("age", [3600.0, -3600.0])
def test_a_run_of_another_host_is_lost_when_silent_and_resumed_here(run, monkeypatch, age):
    elsewhere = {**identity(), "host": "elsewhere", "process_start": "boot/1"}
    set_status(run, **elsewhere, state="running", heartbeat=time.time())
    assert run.state == "running"
    with pytest.raises(RunStateError, match="this machine; it was started on elsewhere"):
        run.kill()
    # Its clock may be wrong in either direction.
    set_status(run, **elsewhere, state="running", heartbeat=time.time() - age)
    assert f"process {os.getpid()} on elsewhere has given no sign of life for 36" in run.status["error"]
    started = []
    monkeypatch.setattr("kplug.runs.launch.start_worker", lambda directory, backend: started.append(directory.id))
    resume(run)
    assert started == [run.id]
    assert run.state == "starting"


def test_a_copy_of_a_running_run_is_no_running_run(run, worker, sent, monkeypatch):
    set_status(run, **identity_of(worker), place=place_of(run.directory), state="running")
    lock = RunLock(run.directory.lock)
    assert lock.acquire()
    copy = Run(RunDirectory(run.directory.path.with_name("copy")))
    shutil.copytree(run.directory.path, copy.directory.path)
    assert (run.state, copy.state) == ("running", "lost")
    assert "is a copy" in copy.status["error"]
    copy.stop()
    with pytest.raises(RunStateError, match="there is no process to kill"):
        copy.kill()
    assert sent == []
    assert not run.directory.control.exists()
    started = []
    monkeypatch.setattr("kplug.runs.launch.start_worker", lambda directory, backend: started.append(directory.id))
    resume(copy)
    assert started == ["copy"]
    assert (run.state, copy.state) == ("running", "starting")
    lock.release()
    # The directory itself may get another name.
    moved = Run(RunDirectory(run.directory.path.rename(run.directory.path.with_name("moved"))))
    assert moved.state == "running"


@pytest.mark.parametrize("count", [2, 5])
def test_of_several_who_resume_one_starts_a_worker(run, monkeypatch, count):
    set_status(run, state="stopped", created=time.time(), execution={"threads": 1})
    started, refused = [], []
    gate = threading.Barrier(count)
    monkeypatch.setattr("kplug.runs.launch.start_worker", lambda directory, backend: started.append(directory.id))

    def go():
        gate.wait()
        try:
            resume(run)
        except RunStateError as error:
            refused.append(str(error))

    threads = [threading.Thread(target=go) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert started == [run.id]
    assert refused == [f"{run.id} is starting. Stop it first: kplug runs stop {run.id}"] * (count - 1)
    assert run.status["execution"] == {"threads": 1}


def test_a_resume_whose_worker_cannot_be_started_changes_nothing(run):
    set_status(run, state="stopped", created=time.time(), step=7)
    run.directory.log.mkdir()
    with pytest.raises(RunStorageError, match="cannot be started"):
        resume(run)
    assert (run.state, run.status["step"]) == ("stopped", 7)


def test_a_resume_of_a_run_without_a_spec_changes_nothing(run):
    set_status(run, state="stopped", step=7)
    run.directory.spec.unlink()
    with pytest.raises(ValueError, match=r"There is no file .*spec\.json"):
        resume(run)
    assert run.state == "stopped"
