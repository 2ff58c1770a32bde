"""What columns are for: curves of few points, data frames."""

import sys
import types

import numpy as np
import pytest

from kplug.errors import KplugError
from kplug.runs import Run
from kplug.runs.directory import RunDirectory
from kplug.runs.records import MetricRecord, RecordWriter
from kplug.runs.series import decimated


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
