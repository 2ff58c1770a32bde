import json
import math
import os

import pytest

from kplug.runs.records import MetricRecord, RecordReader, RecordWriter


@pytest.fixture
def path(tmp_path):
    return tmp_path / "metrics.jsonl"


def record(step, **metrics):
    return MetricRecord(step=step, epoch=0, time=1.5, metrics=metrics)


def test_what_is_written_is_read(path):
    writer, reader = RecordWriter(path), RecordReader(path)
    writer.write_metrics(record(1, loss=0.5))
    writer.write_metrics(MetricRecord(step=2, epoch=0, time=2.5, metrics={"loss": 0.25}, epoch_end=True))
    assert reader.read_metrics() == [
        MetricRecord(1, 0, 1.5, {"loss": 0.5}, False),
        MetricRecord(2, 0, 2.5, {"loss": 0.25}, True),
    ]


def test_a_reader_returns_each_record_once(path):
    writer, reader = RecordWriter(path), RecordReader(path)
    writer.write_metrics(record(1, loss=1.0))
    assert [one.step for one in reader.read_metrics()] == [1]
    assert reader.read_metrics() == []
    writer.write_metrics(record(2, loss=1.0))
    assert [one.step for one in reader.read_metrics()] == [2]


def test_values_that_are_not_finite_are_read_back_as_nan(path):
    RecordWriter(path).write_metrics(record(1, loss=math.inf, accuracy=math.nan))
    assert json.loads(path.read_text())["metrics"] == {"loss": None, "accuracy": None}
    (read,) = RecordReader(path).read_metrics()
    assert all(math.isnan(value) for value in read.metrics.values())


def test_a_reader_stops_at_the_last_newline(path):
    RecordWriter(path).write_metrics(record(1, loss=1.0))
    whole = path.read_bytes()
    path.write_bytes(whole + b'{"step": 2, "ep')
    reader = RecordReader(path)
    assert [one.step for one in reader.read_metrics()] == [1]
    with path.open("ab") as file:
        file.write(b'och": 0, "time": 2, "metrics": {}}\n')
    assert [one.step for one in reader.read_metrics()] == [2]
    assert reader.malformed == 0


@pytest.mark.parametrize("tail", [b'{"torn', b"x" * 200_000])
def test_a_writer_cuts_off_a_torn_tail(path, tail):
    RecordWriter(path).write_metrics(record(1, loss=1.0))
    with path.open("ab") as file:
        file.write(tail)
    RecordWriter(path).write_metrics(record(2, loss=1.0))
    assert [one.step for one in RecordReader(path).read_metrics()] == [1, 2]


def test_a_file_that_is_all_torn_becomes_empty(path):
    path.write_bytes(b"no newline at all")
    RecordWriter(path)
    assert path.read_bytes() == b""


def test_malformed_lines_are_counted_and_passed_over(path):
    path.write_bytes(b'nonsense\n[1]\n{"step": "x"}\n{"step": 1, "epoch": 0, "time": 0, "metrics": {"loss": 1}}\n')
    reader = RecordReader(path)
    assert [one.step for one in reader.read_metrics()] == [1]
    assert reader.malformed == 3


def test_a_missing_file_has_no_records(path):
    assert RecordReader(path).read_metrics() == []


def test_two_writers_of_one_file_take_nothing_from_each_other(path):
    one, other = RecordWriter(path), RecordWriter(path)
    for step in range(5):
        one.write_metrics(record(2 * step, loss=1.0))
        other.write_metrics(record(2 * step + 1, loss=1.0))
    assert [one.step for one in RecordReader(path).read_metrics()] == list(range(10))


def test_a_record_is_one_write(path, monkeypatch):
    writer = RecordWriter(path)
    writes = []
    monkeypatch.setattr(os, "write", lambda descriptor, line: writes.append(bytes(line)) or len(line))
    writer.write_metrics(record(1, loss=0.5))
    assert len(writes) == 1
    assert writes[0].endswith(b"\n")


def test_a_short_write_is_completed(path, monkeypatch):
    writer = RecordWriter(path)
    original = os.write
    monkeypatch.setattr(os, "write", lambda descriptor, line: original(descriptor, line[:7]))
    writer.write_metrics(record(1, loss=0.5))
    assert [one.step for one in RecordReader(path).read_metrics()] == [1]
