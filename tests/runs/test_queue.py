"""The order in which runs wait for a place."""

import json
import socket
import threading
import time

import pytest

from kplug.errors import RunStorageError
from kplug.runs import queue
from kplug.runs.directory import RunDirectory, create_run_directory, write_atomically
from kplug.runs.process import identity
from kplug.runs.queue import Survey, runs_before, wait_for_place
from kplug.runs.spec import spec_from

pytestmark = pytest.mark.neutral

SPEC = {"model": "kplug/vae", "dataset": "kplug/digits"}


def one(run_id, state, queued=None, device="auto", host=None, gpus=None):
    return {
        **{"id": run_id, "state": state, "queued": queued, "created": 0.0},
        **{"device": device, "host": host, "gpus": gpus},
    }


def ids_before(run_id, known):
    return [run["id"] for run in runs_before(run_id, known)]


def test_runs_that_go_on_come_first_and_then_those_that_waited_longer():
    known = [
        one("mine", "queued", 20.0),
        one("second", "queued", 15.0),
        one("longest", "queued", 10.0),
        one("later", "queued", 30.0),
        one("training", "running"),
        one("ending", "stopping"),
        one("over", "completed"),
        one("gone", "lost"),
    ]
    assert ids_before("mine", known) == ["ending", "training", "longest", "second"]


def test_of_two_that_began_to_wait_at_once_exactly_one_is_before():
    known = [one("a", "queued", 10.0), one("b", "queued", 10.0)]
    assert (ids_before("a", known), ids_before("b", known)) == ([], ["a"])


def test_runs_on_other_machines_and_other_gpus_take_no_place():
    known = [
        one("mine", "queued", 1.0, device="gpu:0", gpus=["A"]),
        one("elsewhere", "running", device="gpu:0", host="another", gpus=["A"]),
        one("here", "running", device="gpu:0,1", host=socket.gethostname(), gpus=["A", "B"]),
        one("other", "running", device="gpu:1", gpus=["B"]),
        one("automatic", "running", device="auto", gpus=["A"]),
    ]
    assert ids_before("mine", known) == ["automatic", "here"]


def test_a_run_that_is_not_seen_itself_knows_nothing_of_its_place():
    assert runs_before("mine", [one("other", "running")]) is None


def live(root, state, device="auto", **fields):
    directory = create_run_directory(root, spec_from({**SPEC, "device": device}), {})
    write_atomically(directory.status, json.dumps({"state": state, **identity(), **fields}))
    return directory


def end(directory):
    write_atomically(directory.status, json.dumps({"state": "completed", **identity()}))


def begin(directory):
    write_atomically(directory.status, json.dumps({"state": "starting", **identity()}))


@pytest.fixture
def quick(monkeypatch):
    for seconds in ("_POLL_SECONDS", "_FAR_POLL_SECONDS"):
        monkeypatch.setattr(queue, seconds, 0.01)


class Waiter:
    """A run that waits in a thread."""

    def __init__(self, directory, places=1):
        self.told, self.results, self.given_up = [], [], threading.Event()
        arguments = (directory, places, self.told.append, self.given_up.is_set, lambda: begin(directory))
        self._thread = threading.Thread(target=lambda: self.results.append(wait_for_place(*arguments)), daemon=True)
        self._thread.start()

    def ended(self, seconds=20.0):
        self._thread.join(seconds)
        return not self._thread.is_alive()


def until(condition):
    deadline = time.monotonic() + 20.0
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_a_survey_says_which_gpus_runs_have_or_wait_for(tmp_path):
    training = live(tmp_path, "running", gpus=[{"index": 0, "uuid": "A", "name": "B100"}])
    waiting = live(tmp_path, "queued", "gpu:1", queued=5.0, awaited_gpus=["B"])
    unknown = live(tmp_path, "starting")
    end(live(tmp_path, "running"))
    found = {run["id"]: (run["state"], run["device"], run["gpus"]) for run in Survey(tmp_path).look()}
    assert found == {
        training.id: ("running", "auto", ["A"]),
        waiting.id: ("queued", "gpu:1", ["B"]),
        unknown.id: ("starting", "auto", None),
    }


def test_a_run_gets_its_place_when_another_ends(tmp_path, quick):
    training, mine = live(tmp_path, "running"), live(tmp_path, "queued", queued=time.time())
    waiter = Waiter(mine)
    until(lambda: waiter.told)
    assert not waiter.ended(0.3)
    assert waiter.told == [[training.id]]
    end(training)
    assert waiter.ended()
    assert waiter.results == [True]
    assert json.loads(mine.status.read_text())["state"] == "starting"


def test_a_run_on_a_named_gpu_waits_for_one_that_took_it_by_itself(tmp_path, quick):
    training = live(tmp_path, "running", gpus=[{"index": 0, "uuid": "A", "name": "B100"}])
    mine = live(tmp_path, "queued", "gpu:0", queued=time.time(), awaited_gpus=["A"])
    waiter = Waiter(mine)
    assert not waiter.ended(0.3)
    end(training)
    assert waiter.ended()


def test_with_a_place_free_nothing_is_waited_for(tmp_path, quick):
    live(tmp_path, "running")
    mine = live(tmp_path, "queued", queued=time.time())
    waiter = Waiter(mine, places=2)
    assert waiter.ended()
    assert (waiter.told, waiter.results) == ([], [True])


def test_a_run_that_is_asked_to_stop_gives_up_its_place(tmp_path, quick):
    live(tmp_path, "running")
    waiter = Waiter(live(tmp_path, "queued", queued=time.time()))
    until(lambda: waiter.told)
    waiter.given_up.set()
    assert waiter.ended()
    assert waiter.results == [False]


def test_a_directory_that_cannot_be_read_for_a_moment_ends_no_waiting_and_begins_nothing(tmp_path, quick, monkeypatch):
    training, mine = live(tmp_path, "running"), live(tmp_path, "queued", queued=time.time())
    look, looks = Survey.look, []

    def troubled(survey):
        looks.append(survey)
        if len(looks) < 4:
            raise RunStorageError("Input/output error")
        if len(looks) < 7:
            return []  # the waiting run itself is not seen
        return look(survey)

    monkeypatch.setattr(Survey, "look", troubled)
    waiter = Waiter(mine)
    until(lambda: waiter.told)
    assert waiter.told == [[training.id]]
    end(training)
    assert waiter.ended()


def test_of_two_that_decide_at_once_one_begins_though_it_saw_the_other_late(tmp_path, quick, monkeypatch):
    earlier, later = live(tmp_path, "queued", queued=10.0), live(tmp_path, "queued", queued=20.0)
    hidden = RunDirectory(tmp_path / ".hidden")
    earlier.path.rename(hidden.path)  # its directory becomes visible after the other has begun to decide
    look = Survey.look

    def slow(survey):
        found = look(survey)
        if hidden.path.exists():
            hidden.path.rename(earlier.path)
        return found

    monkeypatch.setattr(Survey, "look", slow)
    second = Waiter(later)
    until(earlier.path.exists)
    first = Waiter(earlier)
    until(lambda: first.results or second.results)
    assert not (first.ended(0.5) and second.ended(0.5))
    states = sorted(json.loads(one.status.read_text())["state"] for one in (earlier, later))
    assert states == ["queued", "starting"]
    for waiter in (first, second):
        waiter.given_up.set()
        assert waiter.ended()


def test_who_is_far_from_its_turn_watches_the_run_before_it_alone(tmp_path, quick, monkeypatch):
    live(tmp_path, "running")
    waiting = [live(tmp_path, "queued", queued=float(number)) for number in range(6)]
    read = []
    monkeypatch.setattr(queue.Run, "state", property(lambda run: read.append(run.id) or run.status["state"]))
    far = Waiter(waiting[5])
    until(lambda: len(read) > 5)
    assert set(read) == {waiting[4].id}
    begin(waiting[4])
    until(lambda: len(far.told) == 2)  # all runs were looked at again
    far.given_up.set()
    assert far.ended()
