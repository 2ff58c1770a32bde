"""The order in which runs wait for a place."""

import json
import socket
import threading
import time

import pytest

from kplug.runs import queue
from kplug.runs.directory import create_run_directory, write_atomically
from kplug.runs.process import identity
from kplug.runs.queue import runs_before, wait_for_place
from kplug.runs.spec import spec_from

pytestmark = pytest.mark.neutral

SPEC = spec_from({"model": "kplug/vae", "dataset": "kplug/digits"})


def one(run_id, state, queued=None, device="auto", host=None):
    return {"id": run_id, "state": state, "queued": queued, "created": 0.0, "device": device, "host": host}


def test_runs_that_go_on_and_those_that_waited_longer_are_before():
    known = [
        one("mine", "queued", 20.0),
        one("longer", "queued", 10.0),
        one("later", "queued", 30.0),
        one("training", "running"),
        one("ending", "stopping"),
        one("over", "completed"),
        one("gone", "lost"),
    ]
    assert set(runs_before("mine", known)) == {"longer", "training", "ending"}


def test_of_two_that_began_to_wait_at_once_exactly_one_is_before():
    known = [one("a", "queued", 10.0), one("b", "queued", 10.0)]
    assert (runs_before("a", known), runs_before("b", known)) == ([], ["a"])


def test_runs_on_other_machines_and_other_gpus_take_no_place():
    known = [
        one("mine", "queued", 1.0, device="gpu:0"),
        one("elsewhere", "running", device="gpu:0", host="another"),
        one("here", "running", device="gpu:0,1", host=socket.gethostname()),
        one("other", "running", device="gpu:1"),
    ]
    assert runs_before("mine", known) == ["here"]


def live(root, state, **fields):
    directory = create_run_directory(root, SPEC, {})
    write_atomically(directory.status, json.dumps({"state": state, **identity(), **fields}))
    return directory


def end(directory):
    write_atomically(directory.status, json.dumps({"state": "completed", **identity()}))


@pytest.fixture
def quick(monkeypatch):
    monkeypatch.setattr(queue, "_POLL_SECONDS", 0.01)


def test_a_run_gets_its_place_when_another_ends(tmp_path, quick):
    training, mine = live(tmp_path, "running"), live(tmp_path, "queued", queued=time.time())
    told, results = [], []
    thread = threading.Thread(
        target=lambda: results.append(wait_for_place(mine, 1, told.append, lambda: False)), daemon=True
    )
    thread.start()
    thread.join(0.5)
    assert thread.is_alive()
    assert told == [[training.id]]
    end(training)
    thread.join(20.0)
    assert results == [True]


def test_with_a_place_free_nothing_is_waited_for(tmp_path, quick):
    live(tmp_path, "running")
    mine = live(tmp_path, "queued", queued=time.time())
    told = []
    assert wait_for_place(mine, 2, told.append, lambda: False)
    assert told == []


def test_a_run_that_is_asked_to_stop_gives_up_its_place(tmp_path, quick):
    live(tmp_path, "running")
    mine = live(tmp_path, "queued", queued=time.time())
    moments = iter([False, False, True])
    assert not wait_for_place(mine, 1, lambda before: None, lambda: next(moments, True))
