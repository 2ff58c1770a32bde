"""Metric records as columns."""

import json
import math
import os
import sys
import types

import numpy as np
import orjson
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from kplug.errors import KplugError, RunStorageError
from kplug.runs import Run
from kplug.runs.directory import RunDirectory
from kplug.runs.records import MetricRecord, RecordReader, RecordWriter
from kplug.runs.series import SeriesReader, decimated, read_arrays


@pytest.fixture
def path(tmp_path):
    return tmp_path / "metrics.jsonl"


@pytest.fixture
def cache(path):
    return path.with_name(".metrics.jsonl.columns")


def write(path, steps, size=None, **metrics):
    """Append a record for each step, at a time of its own."""
    writer = RecordWriter(path, size)
    for step in steps:
        write.clock += 0.125
        writer.write_metrics(MetricRecord(step, step // 10, write.clock, {"loss": 1 / (1 + step), **metrics}))
    writer.close()


write.clock = 1e9


def records_of(arrays):
    """Return columns as records, without the metrics that are NaN."""
    return [
        (
            int(arrays.steps[row]),
            int(arrays.epochs[row]),
            float(arrays.times[row]),
            bool(arrays.epoch_end[row]),
            {name: float(values[row]) for name, values in arrays.metrics.items() if not math.isnan(values[row])},
        )
        for row in range(len(arrays))
    ]


def records_in(path):
    """Return the same of what `RecordReader` reads."""
    return [
        (
            one.step,
            one.epoch,
            one.time,
            one.epoch_end,
            {name: value for name, value in one.metrics.items() if not math.isnan(value)},
        )
        for one in RecordReader(path).read_metrics()
    ]


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


LARGE = 15_000


@pytest.fixture
def large(path):
    write(path, range(LARGE), size=0)
    return path


def test_small_files_have_no_cache(path):
    write(path, range(100))
    read_arrays(path)
    assert [one.name for one in path.parent.iterdir()] == ["metrics.jsonl"]


def test_columns_come_from_the_cache(large, cache, monkeypatch):
    read_arrays(large)
    assert cache.exists()

    def refused(*_):
        raise AssertionError("parsed")

    monkeypatch.setattr("kplug.runs.metric_arrays.LineParser.parse", refused)
    arrays = read_arrays(large)
    assert arrays.steps.tolist() == list(range(LARGE))
    assert arrays.metrics["loss"].tolist() == [1 / (1 + step) for step in range(LARGE)]
    assert arrays.metrics["loss"].flags.aligned
    # The same content in another file, as after a copy.
    content = large.read_bytes()
    large.unlink()
    large.write_bytes(content)
    assert records_of(read_arrays(large)) == records_in(large)


def test_what_is_new_is_added_to_what_is_cached(large, cache):
    with large.open("ab") as file:
        file.write(b"nonsense\n")
    read_arrays(large)
    write(large, range(LARGE, LARGE + 10), accuracy=0.5)
    reader = SeriesReader(large)
    reader.refresh()
    assert records_of(reader.arrays()) == records_in(large)
    assert reader.malformed == 1


def test_a_cache_of_other_records_is_not_believed(large, cache):
    lines = large.read_bytes().splitlines(keepends=True)
    read_arrays(large)
    # Of the same length, with the same ending.
    lines[3] = lines[3].replace(b"0.25", b"0.75")
    large.write_bytes(b"".join(lines))
    assert read_arrays(large).metrics["loss"][3] == 0.75
    write(large, range(5, 9), size=sum(map(len, lines[:5])))
    assert read_arrays(large).steps.tolist() == [0, 1, 2, 3, 4, 5, 6, 7, 8]


@pytest.mark.parametrize(
    "damage",
    [
        lambda content: b"",
        lambda content: b"\n",
        lambda content: content[:-1],
        lambda content: content + b"x",
        lambda content: content[:5000] + bytes([content[5000] ^ 1]) + content[5001:],
        lambda content: content.replace(b'"rows": 15000', b'"rows": 15001'),
        lambda content: b"null\n" * 3,
    ],
)
def test_a_damaged_cache_is_replaced(large, cache, damage):
    read_arrays(large)
    whole = cache.read_bytes()
    cache.write_bytes(damage(whole))
    assert records_of(read_arrays(large)) == records_in(large)
    assert cache.read_bytes() == whole


def test_a_cache_is_seldom_written(large, cache):
    def changes():
        """Return whether reading changes the directory, which is where the index looks."""
        before = large.parent.stat().st_mtime_ns
        read_arrays(large)
        return large.parent.stat().st_mtime_ns != before

    assert changes()
    assert not changes()
    write(large, range(LARGE, LARGE + 100))
    assert not changes()
    # Quiet for an hour: what is there is all there will be.
    os.utime(large, (large.stat().st_atime, large.stat().st_mtime - 3600))
    assert changes()
    assert not changes()
    write(large, range(LARGE))
    assert changes()


def test_a_live_reader_keeps_a_cache_too(large, cache):
    reader = SeriesReader(large)
    reader.refresh()
    first = cache.read_bytes()
    write(large, range(10))
    reader.refresh()
    assert cache.read_bytes() == first
    write(large, range(LARGE))
    reader.refresh()
    assert cache.read_bytes() != first
    assert records_of(read_arrays(large)) == records_in(large)


def test_a_directory_that_cannot_be_written_goes_without(large, cache, monkeypatch):
    def denied(*_):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("pathlib.Path.replace", denied)
    assert len(read_arrays(large)) == LARGE
    assert [one.name for one in large.parent.iterdir()] == ["metrics.jsonl"]


def test_a_thinned_out_curve_keeps_its_extremes_and_its_order():
    x = np.arange(100_000)
    y = np.sin(x / 1e4)
    y[12_345], y[77_777], y[500], y[501] = 5.0, -5.0, np.nan, np.inf
    kept_x, kept_y = decimated(x, y, 400)
    assert len(kept_x) <= 400
    assert (np.diff(kept_x) > 0).all()
    assert (y[kept_x] == kept_y).all()
    assert {0, 12_345, 77_777, 99_999} <= set(kept_x.tolist())


@pytest.mark.parametrize("points", [4, 5, 7, 8, 401])
def test_a_curve_has_as_many_points_as_asked_for_at_most(points):
    x = np.arange(1000)
    assert 2 <= len(decimated(x, x * 1.0, points)[0]) <= points


def test_short_curves_are_kept_without_what_is_not_finite():
    x, y = decimated(np.arange(5), np.array([1.0, np.nan, 3.0, np.inf, 5.0]), 4)
    assert (x.tolist(), y.tolist()) == ([0, 2, 4], [1.0, 3.0, 5.0])
    assert len(decimated(np.arange(9), np.full(9, np.nan), 4)[0]) == 0
    with pytest.raises(ValueError, match="points=3"):
        decimated(np.arange(5), np.arange(5), 3)


@pytest.fixture
def run(tmp_path):
    directory = RunDirectory(tmp_path)
    writer = RecordWriter(directory.metrics)
    writer.write_metrics(MetricRecord(3, 0, 1.5, {"loss": 0.5, "time": 9.0}))
    writer.write_metrics(MetricRecord(4, 0, 2.5, {"loss": 0.25}, epoch_end=True))
    samples = RecordWriter(directory.system)
    samples.write({"time": 1.0, "cpu_percent": 50.0, "gpus": [{"memory_bytes": 7}, {"memory_bytes": None}]})
    return Run(directory)


def test_a_run_gives_its_metrics_as_arrays_and_as_a_data_frame(run):
    pytest.importorskip("pandas")
    assert run.metric_arrays().metrics["loss"].tolist() == [0.5, 0.25]
    frame = run.metric_frame()
    assert list(frame.columns) == ["step", "epoch", "time", "epoch_end", "loss", "metrics.time"]
    assert frame["loss"].tolist() == [0.5, 0.25]
    assert frame["time"].tolist() == [1.5, 2.5]
    assert frame["metrics.time"].isna().tolist() == [False, True]
    assert frame[frame["epoch_end"]]["step"].tolist() == [4]


def test_samples_of_the_machine_become_a_data_frame(run):
    pytest.importorskip("pandas")
    frame = run.system_frame()
    assert list(frame.columns) == ["time", "cpu_percent", "gpus.0.memory_bytes", "gpus.1.memory_bytes"]
    assert frame["gpus.0.memory_bytes"].tolist() == [7]


def test_what_a_data_frame_is_made_of(run, monkeypatch):
    # TensorFlow imports pandas wherever it is, which takes half a second: it is not among what tests install.
    monkeypatch.setitem(sys.modules, "pandas", types.SimpleNamespace(DataFrame=lambda data: data))
    frame = run.metric_frame()
    assert list(frame) == ["step", "epoch", "time", "epoch_end", "loss", "metrics.time"]
    assert frame["loss"].tolist() == [0.5, 0.25]
    assert frame["time"].tolist() == [1.5, 2.5]
    assert np.isnan(frame["metrics.time"]).tolist() == [False, True]
    assert run.system_frame() == [
        {"time": 1.0, "cpu_percent": 50.0, "gpus.0.memory_bytes": 7, "gpus.1.memory_bytes": None}
    ]


def test_without_pandas_it_is_named(run, monkeypatch):
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(KplugError, match="pip install pandas"):
        run.metric_frame()


def test_listing_runs_imports_neither_numpy_nor_msgspec(modules_after):
    code = "import kplug.runs; kplug.runs.list_runs(); kplug.runs.Run.metric_arrays"
    assert modules_after(code) & {"numpy", "msgspec", "tsdownsample"} == set()
