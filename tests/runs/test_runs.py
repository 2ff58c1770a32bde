"""Runs as a reader sees them, without a worker."""

import json
import math
import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from kplug import runs
from kplug.errors import RunNotFoundError, RunStorageError, SpecError
from kplug.places import cache_root, runs_root
from kplug.runs.directory import RunDirectory, create_run_directory, write_atomically
from kplug.runs.process import identity, is_alive
from kplug.runs.records import MetricRecord, RecordWriter
from kplug.runs.spec import spec_from

SPEC = spec_from({"model": "kplug/vae", "dataset": "kplug/digits", "name": "mine"})


@pytest.fixture
def run(tmp_path):
    return runs.Run(create_run_directory(tmp_path, SPEC, {"command": ["kplug"]}))


def set_status(run, **fields):
    write_atomically(run.directory.status, json.dumps(fields))


def test_a_new_directory_holds_the_spec_and_a_starting_status(run):
    assert run.spec == SPEC
    assert run.state == "starting"
    assert run.status["command"] == ["kplug"]
    assert run.metrics() == []
    assert run.last_metrics() == {}
    assert run.artifacts() == []
    assert run.log() == ""


def test_ids_sort_by_time_and_say_what_the_run_is(run):
    assert run.id[:8].isdigit()
    assert "-vae-digits-" in run.id


def test_a_directory_that_cannot_be_made_leaves_nothing_behind(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(RunStorageError, match=r"cannot be written.*--runs-dir or KPLUG_HOME"):
        create_run_directory(tmp_path / "file" / "runs", SPEC, {})
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file"]


def test_parents_made_for_nothing_are_removed_again(tmp_path, monkeypatch):
    def no_space(self, target):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("pathlib.Path.rename", no_space)
    with pytest.raises(RunStorageError, match="No space left on device"):
        create_run_directory(tmp_path / "a" / "b", SPEC, {})
    assert list(tmp_path.iterdir()) == []


def test_the_last_metrics_are_read_from_the_end_of_the_records(run, monkeypatch):
    with run.directory.metrics.open("w") as file:
        file.write('{"step":1,"epoch":0,"time":1.0,"metrics":{"loss":1.5,"mae":null},"epoch_end":true}\n')
        file.writelines(f'{{"step":{step},"epoch":1,"time":1.0,"metrics":{{"loss":1.0}}}}\n' for step in range(1000))
    monkeypatch.setattr(runs.Run, "metrics", lambda run: pytest.fail("all records were read"))
    found = run.last_metrics()
    assert (found["loss"], math.isnan(found["mae"])) == (1.5, True)


def test_the_last_metrics_are_those_of_the_last_whole_epoch(run):
    writer = RecordWriter(run.directory.metrics)
    writer.write_metrics(MetricRecord(1, 0, 1.0, {"loss": 3.0}))
    writer.write_metrics(MetricRecord(2, 0, 2.0, {"loss": 2.0}, epoch_end=True))
    writer.write_metrics(MetricRecord(3, 1, 3.0, {"loss": 1.0}))
    assert run.last_metrics() == {"loss": 2.0}


def test_a_run_whose_process_is_this_one_goes_on(run):
    set_status(run, state="running", **identity())
    assert run.state == "running"


def test_a_run_whose_process_is_gone_is_lost(run):
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    created = psutil.Process(child.pid).create_time()
    set_status(run, state="running", host=socket.gethostname(), pid=child.pid, process_created=created)
    assert run.state == "running"
    child.communicate(b"\n")
    assert run.state == "lost"


def test_a_reused_pid_is_not_the_run(run):
    for other in ({"process_created": 1.0, "process_start": None}, {"process_start": "another"}):
        set_status(run, state="running", **{**identity(), **other})
        assert run.state == "lost"


def test_an_ended_run_stays_what_it_is(run):
    set_status(run, state="completed", **{**identity(), "process_created": 1.0})
    assert run.state == "completed"


def test_a_run_on_another_host_is_believed_while_its_heart_beats(run):
    elsewhere = {"state": "running", "host": "elsewhere", "pid": 1, "process_created": 1.0}
    set_status(run, **elsewhere, heartbeat=time.time())
    assert is_alive(run.status) is None
    assert run.state == "running"
    set_status(run, **elsewhere, heartbeat=time.time() - 3600)
    assert run.state == "lost"


def test_a_run_that_never_got_a_process_is_lost_after_a_while(run):
    set_status(run, state="starting", created=time.time())
    assert run.state == "starting"
    set_status(run, state="starting", created=time.time() - 3600)
    assert run.state == "lost"


@pytest.mark.parametrize("content", ["", "{", "[]", '"text"', "{}"])
def test_a_damaged_status_is_a_lost_run_not_a_crash(run, content):
    run.directory.status.write_text(content)
    assert run.state == "lost"


def test_a_damaged_spec_is_named(run):
    run.directory.spec.write_text("{")
    with pytest.raises(SpecError, match=r"spec\.json is not valid JSON"):
        run.spec  # noqa: B018


def test_runs_are_listed_newest_first_and_strangers_passed_over(tmp_path):
    for name in ("20250101-000000-a", "20260101-000000-b", ".hidden", "no-spec"):
        (tmp_path / name).mkdir()
        if name[0] == "2":
            write_atomically(RunDirectory(tmp_path / name).spec, SPEC.model_dump_json())
    assert [run.id for run in runs.list_runs(tmp_path)] == ["20260101-000000-b", "20250101-000000-a"]


def test_a_root_that_does_not_exist_has_no_runs(tmp_path):
    assert runs.list_runs(tmp_path / "nothing") == []


def test_a_run_is_opened_by_id_by_a_part_of_it_and_by_name(run, tmp_path):
    for key in (run.id, run.id[:12], run.id.rpartition("-")[2], "mine"):
        assert runs.open(key, tmp_path).id == run.id


def test_an_unknown_or_ambiguous_key_is_refused(run, tmp_path):
    create_run_directory(tmp_path, SPEC, {})
    with pytest.raises(RunNotFoundError, match="There is no run 'other'"):
        runs.open("other", tmp_path)
    with pytest.raises(RunNotFoundError, match="could mean 2 runs"):
        runs.open("mine", tmp_path)


def test_places_follow_the_choice_then_the_environment_then_the_platform(tmp_path, monkeypatch):
    monkeypatch.setenv("KPLUG_HOME", str(tmp_path / "home"))
    assert runs_root(tmp_path / "chosen") == tmp_path / "chosen"
    assert runs_root() == tmp_path / "home" / "runs"
    assert cache_root() == tmp_path / "home" / "cache"
    monkeypatch.delenv("KPLUG_HOME")
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    if sys.platform == "linux":
        assert runs_root() == tmp_path / "data" / "kplug" / "runs"
        assert cache_root() == tmp_path / "cache" / "kplug"


def test_a_root_that_may_not_be_looked_into_is_named(monkeypatch, tmp_path):
    # The superuser may look everywhere, so access is denied by hand.
    def denied(*_, **__):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "stat", denied)
    monkeypatch.setattr(Path, "mkdir", denied)
    with pytest.raises(RunStorageError, match="cannot be written: Permission denied"):
        create_run_directory(tmp_path / "closed" / "runs", SPEC, {})
