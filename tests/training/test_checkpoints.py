"""Checkpoint files: whole or not there, damage found, nothing pickled."""

import errno
import io
import json
import os
import random
from collections import deque
from pathlib import Path

import ml_dtypes
import numpy as np
import pytest

from kplug.errors import RunStorageError
from kplug.training.checkpoints import Checkpoint, Checkpoints
from kplug.training.structures import StateWriter, read_back

pytestmark = pytest.mark.neutral


def checkpoint(step, value=0.0):
    return Checkpoint(step, {"value": value}, {"weights": np.full((3, 2), value, "float32")})


@pytest.fixture
def checkpoints(tmp_path):
    return Checkpoints(tmp_path / "checkpoints")


def test_what_was_saved_is_read_back(checkpoints):
    arrays = {
        "half": np.arange(4).astype(ml_dtypes.bfloat16),
        "none": np.zeros((0, 2)),
        "number": np.array(3, "int64"),
        "text": np.array("abc"),
        "dates": np.array(["2020-01-01", "NaT"], "datetime64[s]"),
        "spans": np.array([[3]], "timedelta64[ms]"),
    }
    checkpoints.save(Checkpoint(7, {"epoch": 2, "name": None}, arrays))
    found, problems = checkpoints.newest()
    assert problems == []
    assert (found.step, found.state) == (7, {"epoch": 2, "name": None})
    assert found.arrays.keys() == arrays.keys()
    for name, array in arrays.items():
        assert found.arrays[name].dtype == array.dtype
        np.testing.assert_array_equal(found.arrays[name], array)


def test_the_newest_two_are_kept(checkpoints, tmp_path):
    for step in (5, 40, 300):
        checkpoints.save(checkpoint(step, step))
    assert checkpoints.newest()[0].state == {"value": 300}
    assert sorted(path.name for path in (tmp_path / "checkpoints").iterdir()) == [
        f"step-{step:012d}.{ending}" for step in (40, 300) for ending in ("json", "npz")
    ]


def test_there_may_be_none(checkpoints):
    assert checkpoints.newest() == (None, [])


def test_damaged_ones_do_not_take_the_place_of_what_is_written_after_them(checkpoints, tmp_path):
    for step in (900, 1000):
        checkpoints.save(checkpoint(step))
    for path in (tmp_path / "checkpoints").glob("*.npz"):
        path.write_bytes(b"")
    assert checkpoints.newest()[0] is None
    begun_anew = Checkpoints(tmp_path / "checkpoints")
    for step in (50, 100, 150):
        begun_anew.save(checkpoint(step, step))
        assert begun_anew.newest()[0].state == {"value": step}
    assert sorted(path.stem for path in (tmp_path / "checkpoints").glob("*.json")) == [
        "step-000000000100",
        "step-000000000150",
    ]


def test_one_to_fall_back_on_is_the_one_that_the_run_was_taken_up_from(checkpoints, tmp_path):
    for step in (900, 1000):
        checkpoints.save(checkpoint(step, step))
    (tmp_path / "checkpoints" / "step-000000001000.npz").write_bytes(b"")
    taken_up = Checkpoints(tmp_path / "checkpoints", checkpoints.newest()[0].step)
    taken_up.save(checkpoint(950, 950))
    (tmp_path / "checkpoints" / "step-000000000950.npz").write_bytes(b"")
    found, problems = Checkpoints(tmp_path / "checkpoints").newest()
    assert (found.step, len(problems)) == (900, 1)


@pytest.mark.parametrize("part", ["json", "npz"])
@pytest.mark.parametrize("number", [errno.EIO, errno.EACCES, errno.ESTALE])
def test_one_that_cannot_be_read_is_not_taken_for_damaged(checkpoints, monkeypatch, part, number):
    checkpoints.save(checkpoint(1))
    original = io.open

    def broken(file, *arguments, **options):
        if str(file).endswith(f"1.{part}"):
            raise OSError(number, os.strerror(number))
        return original(file, *arguments, **options)

    monkeypatch.setattr(io, "open", broken)
    with pytest.raises(RunStorageError, match=f"step-000000000001.json cannot be read: {os.strerror(number)}"):
        checkpoints.newest()


def test_a_directory_that_cannot_be_listed_is_not_taken_for_empty(checkpoints, monkeypatch):
    checkpoints.save(checkpoint(1))

    def broken(*arguments):
        raise OSError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(os, "listdir", broken)
    monkeypatch.setattr(os, "scandir", broken)
    with pytest.raises(RunStorageError, match="checkpoints cannot be listed: Permission denied"):
        checkpoints.newest()


def test_an_old_one_that_cannot_be_removed_costs_nothing(checkpoints, monkeypatch):
    def broken(self, missing_ok=False):
        if not missing_ok:
            raise OSError(errno.EACCES, "Permission denied")

    for step in (1, 2):
        checkpoints.save(checkpoint(step, step))
    monkeypatch.setattr(Path, "unlink", broken)
    checkpoints.save(checkpoint(3, 3))
    assert checkpoints.newest()[0].state == {"value": 3}


@pytest.mark.parametrize("part", ["npz", "json"])
@pytest.mark.parametrize("damage", ["cut", "flipped", "gone", "empty"])
def test_a_damaged_one_is_passed_over_for_the_one_before(checkpoints, tmp_path, part, damage):
    checkpoints.save(checkpoint(1, 1.0))
    checkpoints.save(checkpoint(2, 2.0))
    path = tmp_path / "checkpoints" / f"step-{2:012d}.{part}"
    content = path.read_bytes()
    middle = len(content) // 2
    if damage == "gone":
        path.unlink()
    else:
        flipped = content[:middle] + bytes([content[middle] ^ 255]) + content[middle + 1 :]
        path.write_bytes({"cut": content[:middle], "flipped": flipped, "empty": b""}[damage])
    found, problems = checkpoints.newest()
    assert found.state == {"value": 1.0}
    # A checkpoint without its record was never finished.
    assert len(problems) == (0 if (part, damage) == ("json", "gone") else 1)
    assert all("step-000000000002 is damaged" in problem for problem in problems)


def test_an_unknown_format_is_passed_over(checkpoints, tmp_path):
    checkpoints.save(checkpoint(1))
    record = tmp_path / "checkpoints" / f"step-{1:012d}.json"
    record.write_text(json.dumps({**json.loads(record.read_text()), "format": 99}))
    found, (problem,) = checkpoints.newest()
    assert found is None
    assert "its format is 99" in problem


def test_nothing_pickled_is_loaded(checkpoints, tmp_path):
    with pytest.raises(TypeError, match="object: an array of dtype object cannot be kept"):
        checkpoints.save(Checkpoint(1, {}, {"object": np.array([{}], dtype=object)}))
    assert checkpoints.newest() == (None, [])


def test_a_full_disk_costs_the_new_one_alone(checkpoints, tmp_path, monkeypatch):
    checkpoints.save(checkpoint(1, 1.0))

    def full(file, **arrays):
        file.write(b"PK")
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(np, "savez", full)
    with pytest.raises(OSError, match="No space left"):
        checkpoints.save(checkpoint(2, 2.0))
    monkeypatch.undo()
    assert checkpoints.newest()[0].state == {"value": 1.0}
    assert len(list((tmp_path / "checkpoints").iterdir())) == 2


def test_structures_come_back_as_they_were():
    value = {
        "numbers": [1, 2.5, True, None, float("inf")],
        "pair": (1, ("a", np.float32(0.1))),
        "array": np.eye(2),
        "scalar": np.int64(4),
        "deep": {"empty": [], "zero": np.array(0.0)},
        "recent": deque([1, 2, 3], maxlen=3),
        "seen": {"b", "a"},
        "fixed": frozenset({1}),
        "by epoch": {0: "a", (1, 2): {3: None}},
        "odd": {"__array__": 1},
    }
    writer = StateWriter()
    written = json.loads(json.dumps(writer.written(value)))
    found = read_back(written, writer.arrays)
    assert found["numbers"] == value["numbers"]
    assert found["pair"] == value["pair"]
    assert isinstance(found["pair"][1][1], np.float32)
    assert isinstance(found["scalar"], np.int64)
    assert found["deep"]["zero"].shape == ()
    np.testing.assert_array_equal(found["array"], value["array"])
    for name in ("recent", "seen", "fixed", "by epoch", "odd"):
        assert (found[name], type(found[name])) == (value[name], type(value[name]))
    assert found["recent"].maxlen == 3


@pytest.mark.parametrize("bits", [np.random.PCG64, np.random.MT19937, np.random.Philox])
def test_random_generators_go_on_drawing(bits):
    generators = {"numpy": np.random.Generator(bits(3)), "python": random.Random(3)}
    generators["numpy"].normal(size=7)
    generators["python"].random()
    writer = StateWriter()
    found = read_back(json.loads(json.dumps(writer.written(generators))), writer.arrays)
    assert found["numpy"].normal() == generators["numpy"].normal()
    assert found["python"].random() == generators["python"].random()


@pytest.mark.parametrize("value", [object(), {1: len}, [len], np.array([None]), np.zeros(1, [("a", "f4")])])
def test_what_cannot_be_kept_is_refused(value):
    with pytest.raises(TypeError, match="cannot be kept in a checkpoint"):
        StateWriter().written(value)
