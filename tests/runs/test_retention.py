"""What is kept, and what goes."""

import json
import socket
import time

import pytest

from kplug.errors import SpecError
from kplug.runs.directory import create_run_directory, write_atomically
from kplug.runs.labels import tag
from kplug.runs.retention import (
    bytes_in,
    checkpointed,
    drop_checkpoints,
    seconds_in,
    size_of,
    size_of_checkpoints,
    superfluous,
)
from kplug.runs.run import Run
from kplug.runs.spec import spec_from

DAY = 86400.0


@pytest.fixture
def runs(tmp_path, monkeypatch):
    """Five runs of about 1 MB, the first one four days old."""
    made = []
    for number in range(5):
        monkeypatch.setattr(time, "strftime", lambda form, number=number: f"2026110{number}-000000")
        directory = create_run_directory(tmp_path, spec_from({"model": "kplug/vae", "dataset": "kplug/digits"}), {})
        state = "running" if number == 1 else "completed"
        moment = time.time() - (4 - number) * DAY
        identity = {"host": "elsewhere", "pid": 1, "heartbeat": time.time() + 60}
        write_atomically(directory.status, json.dumps({"state": state, "created": moment, "ended": moment, **identity}))
        directory.checkpoints.mkdir()
        (directory.checkpoints / "step-1.npz").write_bytes(b"0" * 10**6)
        made.append(Run(directory))
    return made


def numbers(runs, found):
    return [[run.id for run in runs].index(one.id) for one in found]


def test_old_runs_go(runs, tmp_path):
    assert numbers(runs, superfluous(tmp_path, older_than=1.5 * DAY)) == [0, 2]
    tag(runs[0].directory, ["paper"])
    assert numbers(runs, superfluous(tmp_path, older_than=1.5 * DAY)) == [2]


def test_the_newest_stay(runs, tmp_path):
    assert numbers(runs, superfluous(tmp_path, keep=2)) == [0, 2]
    assert numbers(runs, superfluous(tmp_path, keep=0)) == [0, 2, 3, 4]
    assert superfluous(tmp_path, keep=5) == []


def test_the_oldest_go_until_the_others_fit(runs, tmp_path):
    assert 10**6 < size_of(runs[0]) < 1.1 * 10**6
    # The running one stays, and counts.
    assert numbers(runs, superfluous(tmp_path, max_bytes=4_500_000)) == [0]
    assert numbers(runs, superfluous(tmp_path, max_bytes=3_500_000)) == [0, 2]


def grow(run, size):
    (run.directory.path / "more").write_bytes(b"0" * size)


def test_a_large_new_run_does_not_let_older_ones_stay(runs, tmp_path):
    grow(runs[4], 10**7)
    # The oldest go first; that they do not help does not make them stay.
    assert numbers(runs, superfluous(tmp_path, max_bytes=12_500_000)) == [0, 2, 3]
    assert numbers(runs, superfluous(tmp_path, max_bytes=5_000_000)) == [0, 2, 3, 4]


def test_the_rules_go_together(runs, tmp_path):
    grow(runs[0], 10**7)
    assert numbers(runs, superfluous(tmp_path, older_than=3.5 * DAY, max_bytes=4_500_000)) == [0]


@pytest.mark.parametrize("moment", ["heartbeat", "resumed"])
def test_a_lost_run_is_as_old_as_its_last_sign_of_life(runs, tmp_path, moment):
    now = time.time()
    status = {"state": "running", "host": socket.gethostname(), "pid": 4194304, "process_created": 1.0}
    for run, at in ((runs[0], now - 3600), (runs[2], now - 40 * DAY)):
        write_atomically(run.directory.status, json.dumps({**status, "created": now - 40 * DAY, moment: at}))
    assert numbers(runs, superfluous(tmp_path, older_than=30 * DAY)) == [2]


def test_without_a_rule_all_stay(runs, tmp_path):
    assert superfluous(tmp_path) == []


def test_checkpoints_of_completed_runs_are_dropped(runs, tmp_path):
    tag(runs[4].directory, ["keep"])
    found = checkpointed(tmp_path)
    assert [size_of_checkpoints(run) for run in found] == [10**6] * 3
    for run in found:
        drop_checkpoints(run)
    assert [run.directory.checkpoints.exists() for run in runs] == [False, True, False, False, True]


@pytest.mark.parametrize(("text", "seconds"), [("90s", 90), ("1.5h", 5400), ("30d", 30 * DAY), ("2W", 14 * DAY)])
def test_durations(text, seconds):
    assert seconds_in(text) == seconds


@pytest.mark.parametrize(("text", "size"), [("500 B", 500), ("1.5 kB", 1500), ("20GB", 20 * 10**9)])
def test_sizes(text, size):
    assert bytes_in(text) == size


@pytest.mark.parametrize(
    ("read", "text"), [(seconds_in, "30"), (seconds_in, "-1d"), (bytes_in, "x"), (bytes_in, "20"), (bytes_in, "1PB")]
)
def test_what_is_none_is_refused(read, text):
    with pytest.raises(SpecError, match=f"Received: '{text}'"):
        read(text)
