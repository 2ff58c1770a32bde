"""Runs exported for TensorBoard, read back by TensorBoard's own reader."""

import math
import sys

import numpy as np
import pytest

from kplug.errors import RunStorageError, SpecError
from kplug.runs import Run
from kplug.runs.directory import RunDirectory
from kplug.runs.exchange import export_run
from kplug.runs.records import MetricRecord, RecordWriter


@pytest.fixture
def run(tmp_path):
    path = tmp_path / "20261121-034555-vae-digits-1f3a"
    path.mkdir()
    writer = RecordWriter(RunDirectory(path).metrics)
    for epoch in range(2):
        for step in (1, 2):
            number = 2 * epoch + step
            writer.write_metrics(MetricRecord(number, epoch, 100.0 + number, {"loss": 1 / number}))
        metrics = {"loss": 0.7 - epoch, "accuracy": math.nan, "val_loss": 0.1 + epoch}
        writer.write_metrics(MetricRecord(2 * epoch + 2, epoch, 200.5 + epoch, metrics, epoch_end=True))
    writer.close()
    return Run(RunDirectory(path))


def read_back(folder):
    """Return `tag -> [(step, time, value), …]` as TensorBoard sees it."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
    from tensorboard.util.tensor_util import make_ndarray

    events = EventAccumulator(str(folder), size_guidance={"tensors": 0})
    events.Reload()
    assert {events.SummaryMetadata(tag).plugin_data.plugin_name for tag in events.Tags()["tensors"]} == {"scalars"}
    return {
        tag: [(one.step, one.wall_time, make_ndarray(one.tensor_proto).item()) for one in events.Tensors(tag)]
        for tag in events.Tags()["tensors"]
    }


def single(value):
    """Return a number as single precision has it, which is what TensorBoard keeps."""
    return float(np.float32(value))


def test_tensorboard_reads_what_was_recorded(run, tmp_path):
    export_run(run, tmp_path / "logs")
    assert sorted(one.name for one in (tmp_path / "logs").iterdir()) == ["train", "validation"]
    train = read_back(tmp_path / "logs" / "train")
    assert set(train) == {"batch_loss", "epoch_loss", "epoch_accuracy"}
    assert train["batch_loss"] == [(step, 100.0 + step, single(1 / step)) for step in (1, 2, 3, 4)]
    assert train["epoch_loss"] == [(0, 200.5, single(0.7)), (1, 201.5, single(-0.3))]
    assert [math.isnan(value) for _, _, value in train["epoch_accuracy"]] == [True, True]
    validation = read_back(tmp_path / "logs" / "validation")
    assert validation == {"epoch_loss": [(0, 200.5, single(0.1)), (1, 201.5, single(1.1))]}


@pytest.mark.slow
def test_the_layout_is_that_of_keras_own_callback(run, tmp_path):
    import keras

    model = keras.Sequential([keras.layers.Input((2,)), keras.layers.Dense(1)])
    model.compile(loss="mse")
    data = np.zeros((8, 2)), np.zeros((8, 1))
    callback = keras.callbacks.TensorBoard(tmp_path / "keras", write_graph=False, update_freq=1)
    model.fit(*data, epochs=2, batch_size=4, validation_data=data, callbacks=[callback], verbose=0)
    export_run(run, tmp_path / "logs")
    for folder, tags in (("train", {"batch_loss", "epoch_loss"}), ("validation", {"epoch_loss"})):
        theirs, ours = (read_back(tmp_path / logs / folder) for logs in ("keras", "logs"))
        assert tags <= set(theirs)
        for tag in tags:
            assert [one[0] for one in ours[tag]] == [one[0] for one in theirs[tag]]


def test_a_run_without_metrics_is_an_empty_directory(tmp_path):
    (tmp_path / "run").mkdir()
    export_run(Run(RunDirectory(tmp_path / "run")), tmp_path / "logs", "tensorboard")
    assert list((tmp_path / "logs").iterdir()) == []


def test_the_directories_above_are_made(run, tmp_path):
    export_run(run, tmp_path / "all" / "logs")
    assert "epoch_loss" in read_back(tmp_path / "all" / "logs" / "train")


def test_a_directory_with_something_in_it_is_left_alone(run, tmp_path):
    (tmp_path / "logs").mkdir()
    (tmp_path / "logs" / "mine").write_text("ink")
    with pytest.raises(RunStorageError, match="logs cannot be written"):
        export_run(run, tmp_path / "logs")
    assert (tmp_path / "logs" / "mine").read_text() == "ink"
    assert sorted(one.name for one in tmp_path.iterdir()) == [run.id, "logs"]


def test_without_tensorboard_it_is_named_and_nothing_is_left(run, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorboard.compat.proto.event_pb2", None)
    with pytest.raises(SpecError, match="pip install tensorboard"):
        export_run(run, tmp_path / "logs")
    assert [one.name for one in tmp_path.iterdir()] == [run.id]


def test_exporting_imports_no_tensorflow(run, tmp_path, modules_after):
    code = f"""
from pathlib import Path
from kplug.runs import Run
from kplug.runs.directory import RunDirectory
from kplug.runs.exchange import export_run
export_run(Run(RunDirectory(Path({str(run.directory.path)!r}))), Path({str(tmp_path / "logs")!r}))
"""
    assert modules_after(code) & {"tensorflow", "keras", "pandas"} == set()
