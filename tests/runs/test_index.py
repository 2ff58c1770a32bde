"""The index: as true as the directories, and no more needed than they."""

import json
import multiprocessing
import os
import time

import pytest

from kplug.runs.directory import RunDirectory, create_run_directory, write_atomically
from kplug.runs.index import INDEX_FILE, summaries
from kplug.runs.records import MetricRecord, RecordWriter
from kplug.runs.spec import spec_from
from kplug.runs.summary import last_epoch_metrics


def make(root, number=0, state="completed", **status):
    spec = spec_from({"model": {"name": "kplug/vae", "parameters": {"latent_dim": number}}, "dataset": "kplug/digits"})
    directory = create_run_directory(root, spec, {})
    writer = RecordWriter(directory.metrics)
    writer.write_metrics(MetricRecord(5, 0, 0.0, {"loss": float(number)}, epoch_end=True))
    writer.write_metrics(MetricRecord(6, 1, 0.0, {"loss": -1.0}))
    writer.close()
    set_state(directory, state, **status)
    return directory


def set_state(directory, state, **status):
    write_atomically(directory.status, json.dumps({"state": state, "created": time.time(), **status}))


def by_id(root):
    return {one["id"]: one for one in summaries(root)}


def test_runs_are_summed_up(tmp_path):
    directory = make(tmp_path, 7, epoch=1, test_metrics={"loss": 2.0})
    (found,) = summaries(tmp_path)
    assert found["id"] == directory.id
    assert (found["state"], found["model"], found["dataset"]) == ("completed", "kplug/vae", "kplug/digits")
    assert found["metrics"] == {"loss": 7.0}
    assert found["test_metrics"] == {"loss": 2.0}
    assert found["parameters"] == {"model.latent_dim": 7}
    assert summaries(tmp_path) == [found]


def test_what_changes_is_seen(tmp_path):
    first, second = make(tmp_path, 1), make(tmp_path, 2)
    assert len(by_id(tmp_path)) == 2
    set_state(first, "stopped", epoch=4)
    assert by_id(tmp_path)[first.id]["epoch"] == 4
    third = make(tmp_path, 3)
    assert by_id(tmp_path).keys() == {first.id, second.id, third.id}
    for path in sorted(second.path.rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()
    second.path.rmdir()
    assert by_id(tmp_path).keys() == {first.id, third.id}


def test_a_living_run_is_read_each_time(tmp_path):
    identity = {"host": "elsewhere", "pid": 1, "process_created": 0.0, "heartbeat": time.time()}
    directory = make(tmp_path, 1, "running", **identity)
    assert by_id(tmp_path)[directory.id]["state"] == "running"
    writer = RecordWriter(directory.metrics)
    writer.write_metrics(MetricRecord(9, 1, 0.0, {"loss": 0.5}, epoch_end=True))
    writer.close()
    assert by_id(tmp_path)[directory.id]["metrics"] == {"loss": 0.5}


@pytest.mark.parametrize("damage", ["gone", "garbage", "other version", "a directory"])
def test_the_index_comes_back(tmp_path, damage):
    directory = make(tmp_path, 1)
    expected = summaries(tmp_path)
    for path in tmp_path.glob(f"{INDEX_FILE}*"):
        path.unlink()
    index = tmp_path / INDEX_FILE
    if damage == "garbage":
        index.write_bytes(b"no database at all" * 100)
    elif damage == "other version":
        import sqlite3

        with sqlite3.connect(index) as connection:
            connection.execute("CREATE TABLE runs (other)")
        connection.close()
    elif damage == "a directory":
        index.mkdir()
    assert summaries(tmp_path) == expected
    assert by_id(tmp_path).keys() == {directory.id}


def test_there_may_be_no_runs_and_other_directories(tmp_path):
    assert summaries(tmp_path / "nowhere") == []
    assert not (tmp_path / "nowhere").exists()
    (tmp_path / "something").mkdir()
    assert summaries(tmp_path) == []


@pytest.mark.skipif(os.name != "posix" or os.getuid() == 0, reason="the superuser may write anywhere")
def test_a_directory_that_cannot_be_written_needs_no_index(tmp_path):
    make(tmp_path, 1)
    tmp_path.chmod(0o555)
    try:
        assert len(summaries(tmp_path)) == 1
    finally:
        tmp_path.chmod(0o755)


def _make_and_list(root):
    for number in range(5):
        make(root, number)
        summaries(root)
    return len(summaries(root))


def test_several_processes_list_and_write_at_once(tmp_path):
    with multiprocessing.get_context("spawn").Pool(4) as pool:
        counts = pool.map(_make_and_list, [tmp_path] * 4)
    assert max(counts) == 20
    assert len(summaries(tmp_path)) == 20
    assert len({one["id"] for one in summaries(tmp_path)}) == 20


def test_the_last_epoch_is_found_from_the_end(tmp_path):
    path = tmp_path / "metrics.jsonl"
    assert last_epoch_metrics(path) == {}
    epoch = b'{"step":1,"metrics":{"loss":%d,"odd":null},"epoch_end":true}\n'
    step = b'{"step":2,"metrics":{"loss":9}}\n'
    path.write_bytes(epoch % 3 + step * 10)
    assert last_epoch_metrics(path) == {"loss": 3.0, "odd": None}
    path.write_bytes(epoch % 3 + epoch % 4 + step * 10_000)
    assert last_epoch_metrics(path) == {"loss": 4.0, "odd": None}
    path.write_bytes(epoch % 3 + b'{"metrics":{"loss":5},"epoch_end":true}')
    assert last_epoch_metrics(path)["loss"] == 3.0
    path.write_bytes(epoch % 3 + b'damaged "epoch_end":true\n')
    assert last_epoch_metrics(path)["loss"] == 3.0


def test_a_run_whose_files_are_damaged_is_listed(tmp_path):
    directory = make(tmp_path, 1)
    directory.spec.write_text("{")
    directory.status.write_text("[1")
    (found,) = summaries(tmp_path)
    assert (found["state"], found["model"]) == ("lost", None)
    assert RunDirectory(directory.path).id == found["id"]
