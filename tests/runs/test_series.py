"""Metric records as columns."""

import json
import math

import numpy as np
import orjson
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from metric_files import records_in, records_of, write

from kplug.errors import RunStorageError
from kplug.runs.records import MetricRecord, RecordReader, RecordWriter
from kplug.runs.series import SeriesReader, read_arrays


@pytest.fixture
def path(tmp_path):
    return tmp_path / "metrics.jsonl"


@pytest.fixture
def cache(path):
    return path.with_name(".metrics.jsonl.columns")


def test_records_become_columns(path):
    writer = RecordWriter(path)
    writer.write_metrics(MetricRecord(3, 0, 1.5, {"loss": 0.5, "accuracy": math.inf}))
    writer.write_metrics(MetricRecord(4, 0, 2.5, {"loss": 0.25, "val_loss": 0.75}, epoch_end=True))
    arrays = read_arrays(path)
    assert arrays.steps.tolist() == [3, 4]
    assert arrays.epochs.tolist() == [0, 0]
    assert arrays.times.tolist() == [1.5, 2.5]
    assert arrays.epoch_end.tolist() == [False, True]
    assert list(arrays.metrics) == ["loss", "accuracy", "val_loss"]
    assert arrays.metrics["loss"].tolist() == [0.5, 0.25]
    assert np.isnan(arrays.metrics["accuracy"]).all()
    assert arrays.metrics["val_loss"].tolist() == [pytest.approx(math.nan, nan_ok=True), 0.75]
    assert [column.dtype.name for column in (arrays.steps, arrays.epochs, arrays.times, arrays.epoch_end)] == [
        "int64",
        "int64",
        "float64",
        "bool",
    ]
    with pytest.raises(ValueError, match="read-only"):
        arrays.metrics["loss"][0] = 1


def test_no_file_and_an_empty_one_have_no_records(path):
    assert len(read_arrays(path)) == 0
    path.touch()
    assert len(read_arrays(path)) == 0


def test_a_file_that_cannot_be_read_is_named(path):
    path.mkdir()
    with pytest.raises(RunStorageError, match=r"metrics\.jsonl cannot be read"):
        read_arrays(path)


_NUMBERS = st.one_of(
    st.floats(allow_nan=False, allow_infinity=False).map(repr),
    st.integers(-(10**25), 10**25).map(str),
    st.sampled_from(
        ["null", "true", '"1.5"', '"x"', "1e999", "1e-999", "-0", "-0.0", "01", "1.", "[]", "{}", "NaN", ""]
    ),
)
_NAMES = st.one_of(
    st.sampled_from(["loss", "val_loss", "step", "m0", "a\u00fc", "", ",", ":", '":1', "a\\b", 'q"q', "\u2028"]),
    st.text(st.characters(exclude_categories=["Cs"]), max_size=4),
)


@st.composite
def written_lines(draw):
    """A line as `RecordWriter` writes it, more or less."""
    metrics = draw(st.lists(st.tuples(_NAMES.map(json.dumps), _NUMBERS), max_size=3))
    fields = {
        '"step"': draw(st.one_of(st.integers(0, 9).map(str), _NUMBERS)),
        '"epoch"': draw(st.one_of(st.just("0"), _NUMBERS)),
        '"time"': draw(st.one_of(st.just("1.5"), _NUMBERS)),
        '"metrics"': "{" + ",".join(f"{name}:{value}" for name, value in metrics) + "}",
    }
    if draw(st.booleans()):
        fields['"epoch_end"'] = draw(st.sampled_from(["true", "true", "false", "null", "1"]))
    if draw(st.integers(0, 9)) == 0:
        fields['"more"'] = draw(_NUMBERS)
    comma, colon = draw(st.sampled_from([(",", ":"), (", ", ": "), (",\r", ":"), (",\n", ":")]))
    line = "{" + comma.join(f"{name}{colon}{value}" for name, value in fields.items()) + "}"
    ending = draw(st.sampled_from(["\n"] * 20 + ["\r\n", "\r", " \n", "\n\n", "", "\n \n"]))
    return (line + ending).encode()


_FOREIGN = st.one_of(st.binary(max_size=20), st.sampled_from([b"[1]\n", b"{}\n", b"{\n", b"}\n{", b'"x"\n', b"\xff\n"]))
_GOOD = b'{"step":1,"epoch":0,"time":2.5,"metrics":{"loss":0.5}}\n'


@given(st.lists(st.one_of(written_lines(), written_lines(), st.just(_GOOD), _FOREIGN), max_size=12))
@example([_GOOD, _GOOD[:-1] + _GOOD, b"\n"])
@example([_GOOD.replace(b",", b",\n", 1), _GOOD[:-1] + _GOOD])
@example([_GOOD, _GOOD.replace(b"1", b"9223372036854775808"), _GOOD.replace(b"1", b"-9223372036854775808")])
@example([_GOOD, _GOOD.replace(b"}}", b'},"step":7}')])
def test_columns_hold_what_the_record_reader_reads(tmp_path_factory, parts):
    check_against_the_record_reader(tmp_path_factory, b"".join(parts))


_METRICS = st.dictionaries(
    st.sampled_from(["loss", "val_loss", "m0", "\u00fc"]),
    st.one_of(st.none(), st.floats(allow_nan=False, allow_infinity=False), st.integers(-(2**63), 2**63 - 1)),
    max_size=3,
)
_LINES = st.lists(st.tuples(st.integers(-(2**63), 2**63 - 1), _METRICS, st.booleans()), min_size=1, max_size=4)


@given(
    _LINES,
    st.integers(0),
    st.integers(0, 2),
    st.sampled_from([b"", *(bytes([one]) for one in b'{}[],:"\\\n\r\t 0.-en')]),
)
def test_so_they_do_when_one_byte_is_another(tmp_path_factory, lines, place, removed, inserted):
    content = b"".join(
        orjson.dumps({"step": step, "epoch": 0, "time": 2.5, "metrics": metrics, "epoch_end": end}) + b"\n"
        for step, metrics, end in lines
    )
    place %= len(content)
    check_against_the_record_reader(tmp_path_factory, content[:place] + inserted + content[place + removed :])


def check_against_the_record_reader(tmp_path_factory, content):
    path = tmp_path_factory.mktemp("run") / "metrics.jsonl"
    reader, oracle = SeriesReader(path), RecordReader(path)
    # Names that are known are decoded in another way than new ones: everything comes twice.
    for _ in range(2):
        with path.open("ab") as file:
            file.write(content)
        reader.refresh()
    assert records_of(reader.arrays()) == records_in(path)
    oracle.read_metrics()
    assert reader.malformed == oracle.malformed


def test_a_large_file_with_odd_lines_is_read_as_the_record_reader_reads_it(path):
    write(path, range(3000))
    with path.open("ab") as file:
        file.write(b"nonsense\n" + b'{"step": 7, "epoch": 0, "time": 0, "metrics": {"' + b"n" * 200_000 + b'": 1}}\n')
    write(path, range(3000), accuracy=0.5)
    with path.open("ab") as file:
        file.write(b'{"step": 8, "ep')
    assert len(read_arrays(path)) == 6001
    assert records_of(read_arrays(path)) == records_in(path)


def test_more_names_than_a_decoder_takes_are_read_too(path):
    writer = RecordWriter(path)
    for step in range(3):
        writer.write_metrics(MetricRecord(step, 0, 1.0, {f"m{index}": step + index for index in range(300)}))
    assert read_arrays(path).metrics["m299"].tolist() == [299, 300, 301]


def test_only_what_is_new_is_read(path):
    reader = SeriesReader(path)
    assert not reader.refresh()
    write(path, range(5))
    assert reader.refresh()
    assert not reader.refresh()
    before = reader.arrays()
    with path.open("ab") as file:
        file.write(b'{"step": 5, "epoch": 0,')
    assert not reader.refresh()
    with path.open("ab") as file:
        file.write(b' "time": 1, "metrics": {"loss": 9, "late": 1}}\n')
    assert reader.refresh()
    assert reader.arrays().steps.tolist() == [0, 1, 2, 3, 4, 5]
    assert reader.arrays().metrics["late"].tolist()[-1] == 1
    assert records_of(reader.arrays()) == records_in(path)
    assert before.steps.tolist() == [0, 1, 2, 3, 4]
    assert list(before.metrics) == ["loss"]


def test_a_file_that_was_cut_and_goes_on_otherwise_is_read_anew(path):
    reader = SeriesReader(path)
    write(path, range(20))
    kept = sum(map(len, path.read_bytes().splitlines(keepends=True)[:7]))
    reader.refresh()
    before = reader.arrays()
    # As a resumed run does: cut, then beyond the old end before anybody looks.
    write(path, range(7, 40), size=kept)
    assert reader.refresh()
    assert reader.arrays().steps.tolist() == list(range(40))
    assert records_of(reader.arrays()) == records_in(path)
    assert before.steps.tolist() == list(range(20))
    write(path, [], size=kept)
    assert reader.refresh()
    assert reader.arrays().steps.tolist() == list(range(7))
    path.unlink()
    assert reader.refresh()
    assert not reader.refresh()
    assert len(reader.arrays()) == 0
