"""Full disks, files that others shorten, directories that go: what was written stays, what waits is written."""

import errno
import json
import os
import time
import zipfile

import pytest

from kplug.errors import RunStorageError
from kplug.runs import Run
from kplug.runs.directory import create_run_directory, write_atomically, write_in_place
from kplug.runs.exchange import export_run, import_run
from kplug.runs.labels import Labels, read_labels, tag
from kplug.runs.records import MetricRecord, RecordReader, RecordWriter
from kplug.runs.spec import spec_from
from kplug.runs.trash import delete, deleted, empty
from kplug.training import status as status_module
from kplug.training.status import StatusWriter

pytestmark = pytest.mark.neutral


@pytest.fixture
def run(tmp_path):
    return Run(
        create_run_directory(tmp_path / "runs", spec_from({"model": "kplug/vae", "dataset": "kplug/digits"}), {})
    )


@pytest.fixture
def disk(monkeypatch):
    """A disk with room for as many bytes as `room` says: `os.write` writes those and no more."""

    class Disk:
        room = 10**9

    write = os.write

    def limited(descriptor, content):
        if not Disk.room:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        written = write(descriptor, content[: Disk.room])
        Disk.room -= written
        return written

    monkeypatch.setattr(os, "write", limited)
    return Disk


def record(step):
    return MetricRecord(step, 0, 1.5, {"loss": 0.5})


def steps(path):
    reader = RecordReader(path)
    found = [one.step for one in reader.read_metrics()]
    assert reader.malformed == 0
    return found


@pytest.mark.parametrize("room", [0, 1, 30, 59, 60, 61, 100, 125])
def test_a_full_disk_leaves_whole_lines_and_the_others_wait(tmp_path, disk, room):
    path = tmp_path / "metrics.jsonl"
    writer = RecordWriter(path)
    writer.write_metrics(record(1))
    line = path.stat().st_size
    disk.room = room
    for step in (2, 3, 4):
        writer.write_metrics(record(step))
        assert path.stat().st_size % line == 0
    fitting = steps(path)
    assert fitting == [1, 2, 3, 4][: len(fitting)]
    disk.room = 0
    with pytest.raises(OSError, match="No space left"):
        writer.flushed_size()
    disk.room = 10**9
    writer.write_metrics(record(5))
    assert steps(path) == [1, 2, 3, 4, 5]
    assert writer.flushed_size() == path.stat().st_size
    writer.close()


def test_records_that_never_fit_are_counted(tmp_path, disk):
    writer = RecordWriter(tmp_path / "metrics.jsonl")
    disk.room = 70
    for step in (1, 2, 3):
        writer.write_metrics(record(step))
    with pytest.raises(RunStorageError, match=r"No space left on device\. Records that are not in it: 2"):
        writer.close()
    assert steps(tmp_path / "metrics.jsonl") == [1]


def test_half_a_line_that_cannot_be_taken_back_is_taken_back_later(tmp_path, disk, monkeypatch):
    path = tmp_path / "metrics.jsonl"
    writer = RecordWriter(path)
    disk.room = 10

    def broken(descriptor, size):
        raise OSError(errno.EIO, "Input/output error")

    with monkeypatch.context() as context:
        context.setattr(os, "ftruncate", broken)
        writer.write_metrics(record(1))
    assert path.stat().st_size == 10
    assert steps(path) == []
    disk.room = 10**9
    writer.write_metrics(record(2))
    assert steps(path) == [1, 2]


@pytest.mark.parametrize("left", [0, 10, 65])
def test_a_file_that_somebody_has_shortened_goes_on_with_whole_lines(tmp_path, left):
    path = tmp_path / "metrics.jsonl"
    writer = RecordWriter(path)
    for step in (1, 2):
        writer.write_metrics(record(step))
    os.truncate(path, left)
    writer.write_metrics(record(3))
    assert steps(path) == ([1, 3] if left == 65 else [3])


def test_a_reader_begins_again_where_records_were_cut_and_written_anew(tmp_path):
    path = tmp_path / "metrics.jsonl"
    writer, reader = RecordWriter(path), RecordReader(path)
    writer.write_metrics(record(1))
    size = writer.flushed_size()
    writer.write_metrics(record(2))
    writer.write_metrics(record(3))
    assert [one.step for one in reader.read_metrics()] == [1, 2, 3]
    writer.close()
    again = RecordWriter(path)
    again.cut(size)
    for step in (20, 300, 4000, 5):
        again.write_metrics(record(step))
    assert [one.step for one in reader.read_metrics()] == [1, 20, 300, 4000, 5]
    assert (reader.restarts, reader.malformed) == (1, 0)
    again.write_metrics(record(6))
    assert [one.step for one in reader.read_metrics()] == [6]


def test_a_line_of_a_hundred_megabytes_and_bytes_that_are_no_text_are_passed_over(tmp_path):
    path = tmp_path / "metrics.jsonl"
    RecordWriter(path).write_metrics(record(1))
    with path.open("ab") as file:
        file.write(b'{"step": "' + b"x" * 10**8 + b'"}\n' + bytes(range(256)) + b"\n\x00\x00\n[]\n")
    RecordWriter(path).write_metrics(record(2))
    reader = RecordReader(path)
    assert [one.step for one in reader.read_metrics()] == [1, 2]
    # The bytes from 0 to 255 have a newline and a carriage return among them.
    assert reader.malformed == 6


def test_a_status_is_kept_up_when_there_is_room_again(run, monkeypatch):
    monkeypatch.setattr(status_module, "_HEARTBEAT_SECONDS", 0.01)

    def full(path, text, flush=False):
        raise OSError(errno.ENOSPC, "No space left on device")

    with StatusWriter(run.directory) as status:
        status.update(state="running")
        with monkeypatch.context() as context:
            context.setattr(status_module, "write_atomically", full)
            status.update(epoch=3)
            time.sleep(0.05)
            assert "epoch" not in run.status
        deadline = time.monotonic() + 10
        while run.status.get("epoch") != 3 and time.monotonic() < deadline:
            time.sleep(0.01)
        assert (run.state, run.status["epoch"]) == ("running", 3)
        assert not status.gone.is_set()


@pytest.mark.parametrize("error", ["", "No space left on device " * 30])
def test_a_run_says_how_it_ended_on_a_full_disk(run, monkeypatch, error):
    def full(path, text, flush=False):
        raise OSError(errno.ENOSPC, "No space left on device")

    with StatusWriter(run.directory) as status:
        monkeypatch.setattr(status_module, "write_atomically", full)
        status.update(state="failed", error=error, traceback="long " * 1000)
    assert run.state == "failed"
    assert run.status["error"] == error


def test_a_file_is_rewritten_in_its_place_or_left_as_it_was(tmp_path, monkeypatch):
    path = tmp_path / "status.json"
    path.write_text(json.dumps({"state": "running", "command": ["kplug"]}))
    write_in_place(path, '{"state": "failed"}')
    assert json.loads(path.read_text()) == {"state": "failed"}
    with pytest.raises(FileNotFoundError):
        write_in_place(tmp_path / "missing", "{}")


def test_a_worker_hears_that_its_directory_is_gone(run, monkeypatch):
    monkeypatch.setattr(status_module, "_HEARTBEAT_SECONDS", 0.01)
    folder = run.directory.path
    with StatusWriter(run.directory) as status:
        folder.rename(folder.with_name("elsewhere"))
        assert status.stop_requested.wait(10)
        with pytest.raises(RunStorageError, match="was moved or removed while the run went on"):
            status.insist_mine()
    # Another directory in its place is not it either.
    assert not folder.exists()


def test_damaged_labels_are_kept_beside_the_new_ones(run):
    run.directory.labels.write_text('{"name": "dear", "no')
    tag(run.directory, ["new"])
    assert read_labels(run.directory) == Labels(None, ("new",), "")
    assert run.directory.labels.with_suffix(".json.damaged").read_text() == '{"name": "dear", "no'


def test_runs_of_a_wrong_clock_are_exported(run, tmp_path):
    write_atomically(run.directory.status, '{"state": "completed"}')
    os.utime(run.directory.spec, (0, 0))
    with pytest.MonkeyPatch.context() as clock:
        clock.setattr(time, "localtime", lambda *given: time.gmtime(0))
        export_run(run, tmp_path / "run.zip")
    assert import_run(tmp_path / "run.zip", tmp_path / "elsewhere").state == "completed"


@pytest.mark.parametrize("name", ["a\x1b[31mb", "a\nb", "../a", "/a", ".a", "a\u202eb"])
def test_a_run_with_a_name_that_does_harm_is_not_brought_in(run, tmp_path, name):
    with zipfile.ZipFile(tmp_path / "run.zip", "w") as archive:
        archive.writestr(f"{name}/spec.json", run.directory.spec.read_bytes())
    with pytest.raises(ValueError, match=r"is unsafe|is no exported run"):
        import_run(tmp_path / "run.zip", tmp_path / "elsewhere")
    assert list((tmp_path / "elsewhere").glob("*")) == []


def test_the_trash_is_emptied_of_what_is_left_of_runs(run, tmp_path):
    write_atomically(run.directory.status, '{"state": "completed"}')
    delete(run)
    trash = tmp_path / "runs" / ".trash"
    (trash / "half").mkdir()
    (trash / "half" / "metrics.jsonl").touch()
    (trash / "file").touch()
    assert len(deleted(tmp_path / "runs")) == 1
    assert empty(tmp_path / "runs") == 1
    assert list(trash.iterdir()) == []
