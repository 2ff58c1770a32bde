"""The index: as true as the directories, and no more needed than they."""

import json
import multiprocessing
import os
import random
import shutil
import sqlite3
import time
from concurrent.futures import ProcessPoolExecutor

import pytest

from kplug.errors import QueryError
from kplug.runs import freshness
from kplug.runs.directory import RunDirectory, create_run_directory, write_atomically
from kplug.runs.index import INDEX_FILE, RunIndex, find, names, summaries
from kplug.runs.index_file import index_file
from kplug.runs.labels import rename, tag
from kplug.runs.query import matching, ordered
from kplug.runs.records import MetricRecord, RecordWriter
from kplug.runs.spec import spec_from
from kplug.runs.summary import last_epoch_metrics, summary_of


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


def settle(directory, seconds_ago=3600):
    """Let a directory have changed long ago, as most have."""
    moment = time.time() - seconds_ago
    os.utime(directory.path, (moment, moment))
    return directory


@pytest.fixture
def read(monkeypatch):
    """Give the ids of the runs that are read from their directories from now on."""
    ids = []

    def noted(run):
        ids.append(run.id)
        return summary_of(run)

    monkeypatch.setattr(freshness, "summary_of", noted)
    return ids


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
    directory = settle(make(tmp_path, 1))
    expected = summaries(tmp_path)
    for path in tmp_path.glob(f"{INDEX_FILE}*"):
        path.unlink()
    index = tmp_path / INDEX_FILE
    if damage == "garbage":
        index.write_bytes(b"no database at all" * 100)
    elif damage == "other version":
        with sqlite3.connect(index) as connection:
            connection.execute("CREATE TABLE runs (other)")
        connection.close()
    elif damage == "a directory":
        index.mkdir()
    assert find(tmp_path, "latent_dim=1").runs == expected
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


LIVE = {"host": "elsewhere", "pid": 1, "process_created": 0.0}


def _live_and_look(root, seed):
    """Make, finish, name, delete and ask about runs, and return how many are left."""
    chance = random.Random(seed)
    mine = []
    for number in range(12):
        directory = make(root, number, "running", heartbeat=time.time(), **LIVE)
        mine.append(directory)
        if chance.random() < 0.8:
            set_state(directory, "completed", epoch=number)
            settle(directory, chance.uniform(3, 9000))
        other = chance.choice(mine)
        if chance.random() < 0.5:
            tag(other, [f"tag{number}"])
            settle(other, chance.uniform(3, 9000))
        if chance.random() < 0.2:
            mine.remove(other)
            shutil.rmtree(other.path)
        found = find(root, f"latent_dim<={number}", sort="-latent_dim").runs
        values = [run["parameters"]["model.latent_dim"] for run in found]
        assert values == sorted(values, reverse=True), values
        assert {one.id for one in mine} - {run["id"] for run in found} == set(), len(found)
    return len(mine)


@pytest.mark.parametrize("ask", [lambda root: [run["id"] for run in find(root).runs], lambda root: list(names(root))])
def test_a_run_that_another_process_takes_out_of_the_file_meanwhile_is_found(tmp_path, monkeypatch, ask):
    runs = [settle(make(tmp_path, number)) for number in range(3)]
    summaries(tmp_path)
    look = freshness.look

    def looked(folder, known):
        found = look(folder, known)
        with sqlite3.connect(tmp_path / INDEX_FILE) as connection:  # it saw the run while its tags were written
            connection.execute("DELETE FROM runs WHERE id = ?", [runs[1].id])
        connection.close()
        monkeypatch.setattr("kplug.runs.index.look", look)
        return found

    monkeypatch.setattr("kplug.runs.index.look", looked)
    assert sorted(ask(tmp_path)) == sorted(run.id for run in runs)


def test_nobody_waits_for_the_file_longer_than_a_moment(tmp_path):
    settle(make(tmp_path, 1))
    summaries(tmp_path)
    late = settle(make(tmp_path, 2))
    connection = sqlite3.connect(tmp_path / INDEX_FILE, isolation_level=None)
    connection.execute("BEGIN IMMEDIATE")  # somebody writes, and does not end
    for ask in (lambda: find(tmp_path, "latent_dim>1").runs, lambda: RunIndex(tmp_path).refresh().runs):
        begun = time.perf_counter()
        assert late.id in {run["id"] for run in ask()}
        assert time.perf_counter() - begun < 2.5  # a quarter of a second; SQLite's own patience is five
    connection.close()


def test_ten_processes_write_and_ask_at_once(tmp_path):
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(10, mp_context=context) as pool:
        kept_by_each = list(pool.map(_live_and_look, [tmp_path] * 10, range(10)))
    assert len(summaries(tmp_path)) == sum(kept_by_each)
    kept = summaries(tmp_path)
    with sqlite3.connect(tmp_path / INDEX_FILE) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        rows = "SELECT id, name, place, kind, value, shown FROM fields JOIN runs USING (run) ORDER BY id, name, place"
        before = connection.execute(rows).fetchall()
    connection.close()
    for path in tmp_path.glob(f"{INDEX_FILE}*"):
        path.unlink()
    assert summaries(tmp_path) == kept
    with sqlite3.connect(tmp_path / INDEX_FILE) as connection:
        assert connection.execute(rows).fetchall() == before
    connection.close()
    assert {"completed", "running"} == {run["state"] for run in kept}


def test_what_has_ended_and_not_changed_is_not_read_again(tmp_path, read):
    settled, live = settle(make(tmp_path, 1)), make(tmp_path, 2, "running", heartbeat=time.time(), **LIVE)
    settle(live)
    assert len(find(tmp_path).runs) == 2
    assert sorted(read) == sorted([settled.id, live.id])
    read.clear()
    assert [run["epoch"] for run in find(tmp_path, "latent_dim<9").runs] == [None, None]
    assert len(summaries(tmp_path)) == len(names(tmp_path)) == 2
    assert read == [live.id] * 3
    set_state(settled, "failed")
    assert [run["id"] for run in find(tmp_path, "state=failed").runs] == [settled.id]


@pytest.mark.parametrize("seconds_ago", [0, -3600])
def test_a_change_in_the_same_tick_as_the_reading_is_seen(tmp_path, seconds_ago):
    # The file system's clock stands still: the directory has changed, and its time has not. A clock that was wrong once
    # (the second case) is no better.
    directory = settle(make(tmp_path, 1), seconds_ago)
    moment = directory.path.stat().st_mtime_ns
    index = RunIndex(tmp_path)
    assert index.refresh().runs[0]["state"] == find(tmp_path).runs[0]["state"] == "completed"
    set_state(directory, "failed")
    os.utime(directory.path, ns=(moment, moment))
    assert index.refresh().runs[0]["state"] == find(tmp_path).runs[0]["state"] == "failed"


def test_a_refresh_says_what_has_changed(tmp_path, read):
    first, second = settle(make(tmp_path, 1)), settle(make(tmp_path, 2))
    live = make(tmp_path, 3, "running", heartbeat=time.time(), **LIVE)
    index = RunIndex(tmp_path)
    snapshot = index.refresh()
    ids = sorted([first.id, second.id, live.id], reverse=True)
    assert [run["id"] for run in snapshot.runs] == ids
    assert (snapshot.changed, snapshot.gone) == (set(ids), frozenset())
    read.clear()
    quiet = index.refresh()
    assert (quiet.changed, quiet.gone, read) == (frozenset(), frozenset(), [live.id])
    assert quiet.runs is snapshot.runs
    tag(settle(first), ["best"])
    set_state(live, "completed")
    shutil.rmtree(second.path)
    after = index.refresh()
    assert (after.changed, after.gone) == ({first.id, live.id}, {second.id})
    assert {run["id"]: (run["state"], run["tags"]) for run in after.runs} == {
        first.id: ("completed", ["best"]),
        live.id: ("completed", []),
    }
    assert snapshot.runs[-1]["tags"] == []
    assert RunIndex(tmp_path).refresh().changed == {first.id, live.id}


def test_a_run_that_lives_again_is_read_anew(tmp_path):
    directory = settle(make(tmp_path, 1))
    index = RunIndex(tmp_path)
    index.refresh()
    set_state(directory, "running", heartbeat=time.time(), **LIVE)
    settle(directory, 1800)
    assert index.refresh().runs[0]["state"] == "running"
    set_state(directory, "running", heartbeat=time.time(), epoch=3, **LIVE)
    settle(directory, 1800)
    assert index.refresh().runs[0]["epoch"] == find(tmp_path, "state=running").runs[0]["epoch"] == 3


@pytest.mark.parametrize(
    ("where", "sort", "limit"),
    [
        (None, None, None),
        (None, None, 3),
        ("loss<4", None, 2),
        ("tags=odd or latent_dim=2", "-loss", None),
        ("not state=running", "latent_dim", 3),
        ("model!=vae", None, None),
        (None, "-latent_dim", 5),
        ("state=running", "state", 1),
    ],
)
def test_questions_span_what_is_kept_and_what_is_read_anew(tmp_path, where, sort, limit):
    for number in range(8):
        directory = make(tmp_path, number, *(["running"] if number % 3 == 0 else []), heartbeat=time.time(), **LIVE)
        if number % 2:
            tag(directory, ["odd"])
        if number != 5:
            settle(directory)
    expected = summaries(tmp_path)
    expected = expected if where is None else matching(expected, where)
    expected = expected if sort is None else ordered(expected, sort)
    for _ in range(2):
        found = find(tmp_path, where, sort, limit)
        assert (found.runs, found.of) == (expected[:limit], 8)


def test_a_field_that_no_run_has_is_refused_with_suggestions(tmp_path):
    settle(make(tmp_path, 1))
    summaries(tmp_path)
    with pytest.raises(QueryError, match=r"No run has a field 'latent_dm'\. Did you mean"):
        find(tmp_path, "latent_dm=1")
    with pytest.raises(QueryError, match="No run has a field 'los'"):
        find(tmp_path, sort="-los")
    assert find(tmp_path / "nowhere", "anything=1").runs == []


def test_a_question_too_large_for_sqlite_is_still_answered(tmp_path):
    directory = make(tmp_path, 3)
    rename(directory, "n999")
    settle(directory)
    question = " or ".join(f"name=n{number}" for number in range(1000))
    assert [run["id"] for run in find(tmp_path, question).runs] == [directory.id]


def test_an_index_damaged_in_its_middle_is_thrown_away(tmp_path):
    for number in range(40):
        settle(make(tmp_path, number))
    expected = matching(summaries(tmp_path), "latent_dim>20")
    index = tmp_path / INDEX_FILE
    content = bytearray(index.read_bytes())
    content[4096:] = os.urandom(len(content) - 4096)
    index.write_bytes(content)
    assert find(tmp_path, "latent_dim>20").runs == expected
    assert find(tmp_path, "latent_dim>20").runs == expected
    with index_file(tmp_path) as file:
        assert len(file.changes()) == 40


def test_a_locked_index_blocks_nobody(tmp_path):
    first = settle(make(tmp_path, 1))
    summaries(tmp_path)
    second = settle(make(tmp_path, 2))
    connection = sqlite3.connect(tmp_path / INDEX_FILE, isolation_level=None)
    connection.execute("BEGIN IMMEDIATE")
    begun = time.perf_counter()
    assert [run["id"] for run in find(tmp_path, "latent_dim>1").runs] == [second.id]
    assert by_id(tmp_path).keys() == names(tmp_path).keys() == {first.id, second.id}
    assert time.perf_counter() - begun < 4
    connection.execute("ROLLBACK")
    connection.close()


def test_an_index_deleted_under_a_reader_comes_back(tmp_path):
    settle(make(tmp_path, 1))
    index = RunIndex(tmp_path)
    index.refresh()
    for path in tmp_path.glob(f"{INDEX_FILE}*"):
        path.unlink()
    settle(make(tmp_path, 2))
    assert len(index.refresh().runs) == 2
    assert len(summaries(tmp_path)) == find(tmp_path).of == 2


def test_values_that_json_or_sqlite_cannot_hold_are_rounded_or_replaced(tmp_path):
    directory = make(tmp_path, 1)
    spec = json.loads(directory.spec.read_text())
    spec["model"]["parameters"] = {"large": 2**70, "half": "\ud800x", "unsigned": 2**64 - 1, "list": [2**70]}
    directory.spec.write_text(json.dumps(spec))
    settle(directory)
    expected = {"model.large": 2.0**70, "model.half": "?x", "model.unsigned": 2**64 - 1, "model.list": [2.0**70]}
    for _ in range(2):
        assert find(tmp_path, "large>1e21 and unsigned>1e19 and half~x").runs[0]["parameters"] == expected


@pytest.mark.skipif(os.name != "posix", reason="elsewhere, names of files are text")
def test_a_directory_whose_name_is_no_text_is_passed_over(tmp_path):
    directory = settle(make(tmp_path, 1))
    shutil.copytree(directory.path, os.fsdecode(os.fsencode(tmp_path) + b"/run-\xff"))
    assert [run["id"] for run in find(tmp_path).runs] == [run["id"] for run in summaries(tmp_path)] == [directory.id]


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
