"""Runs of scripts, recorded beside the others."""

import shutil

import keras
import numpy as np
import pytest

import kplug
from kplug.errors import RunStateError, SpecError
from kplug.runs.launch import resume
from kplug.runs.records import RecordReader
from kplug.training import status as status_module

X = np.random.default_rng(0).normal(size=(20, 3)).astype("float32")


@pytest.fixture
def model():
    made = keras.Sequential([keras.layers.Dense(1)], name="line")
    made.compile(keras.optimizers.SGD(0.01), loss="mse")
    return made


def test_a_fit_becomes_a_run(model, tmp_path):
    spec = {"dataset": "my_data", "batch_size": 5, "model": {"name": "mine", "parameters": {"width": 3}}}
    tracker = kplug.track("first", spec=spec, runs_dir=tmp_path)
    history = model.fit(
        X, X[:, :1], epochs=3, batch_size=5, validation_split=0.2, callbacks=[tracker], verbose=0
    ).history
    run = kplug.runs.open("first", tmp_path)
    assert run.id == tracker.run.id
    assert run.state == "completed"
    assert (run.spec.model.name, run.spec.dataset.name, run.spec.batch_size, run.spec.epochs) == (
        "mine",
        "my_data",
        5,
        3,
    )
    assert run.spec.optimizer.name == "sgd"
    assert run.spec.optimizer.parameters["learning_rate"] == pytest.approx(0.01)
    epochs = [record for record in run.metrics() if record.epoch_end]
    assert [record.metrics["val_loss"] for record in epochs] == pytest.approx(history["val_loss"])
    assert [record.step for record in epochs] == [4, 8, 12]
    assert [record["event"] for record in RecordReader(run.directory.events).read()] == ["started", "completed"]
    np.testing.assert_array_equal(
        kplug.load_model(run.directory.artifacts / "model.keras").predict(X, verbose=0), model.predict(X, verbose=0)
    )
    with pytest.raises(RunStateError, match=r"recorded by kplug\.track"):
        resume(run)


def test_each_fit_is_a_run(model, tmp_path):
    tracker = kplug.track(save=False, runs_dir=tmp_path)
    for _ in range(2):
        model.fit(X, X[:, :1], verbose=0, callbacks=[tracker])
    runs = kplug.runs.list_runs(tmp_path)
    assert [run.state for run in runs] == ["completed", "completed"]
    assert {run.spec.model.name for run in runs} == {"script/line"}
    assert not any(run.artifacts() for run in runs)


def test_an_error_in_fit_is_recorded_and_raised(model, tmp_path):
    def fail(epoch, logs):
        raise OSError("the disk is on fire")

    with pytest.raises(OSError, match="on fire"), kplug.track("bad", runs_dir=tmp_path) as tracker:
        model.fit(X, X[:, :1], verbose=0, callbacks=[tracker, keras.callbacks.LambdaCallback(on_epoch_end=fail)])
    run = kplug.runs.open("bad", tmp_path)
    assert run.state == "failed"
    assert run.status["error"] == "OSError: the disk is on fire"
    assert RecordReader(run.directory.events).read()[-1]["traceback"].startswith("Traceback")


def test_a_tracked_fit_is_stopped_and_the_script_goes_on(model, tmp_path):
    tracker = kplug.track(runs_dir=tmp_path)

    def stop(batch, logs):
        tracker.run.stop()

    stopper = keras.callbacks.LambdaCallback(on_train_batch_begin=stop)
    model.fit(X, X[:, :1], batch_size=1, epochs=100_000, verbose=0, callbacks=[stopper, tracker])
    assert tracker.run.state == "stopped"
    assert (tracker.run.directory.artifacts / "model.keras").exists()


def test_removing_the_runs_directory_does_not_stop_the_scripts_fit(model, tmp_path, monkeypatch):
    monkeypatch.setattr(status_module, "_HEARTBEAT_SECONDS", 0.01)
    tracker = kplug.track(runs_dir=tmp_path)
    epochs = []

    def remove(epoch, logs):
        epochs.append(epoch)
        status = tracker._parts.status
        if epoch == 0:
            while tracker.run.directory.path.exists():
                shutil.rmtree(tracker.run.directory.path, ignore_errors=True)
            assert status.gone.wait(10)
        assert not status.stop_requested.is_set()

    remover = keras.callbacks.LambdaCallback(on_epoch_end=remove)
    model.fit(X, X[:, :1], epochs=3, verbose=0, callbacks=[tracker, remover])
    assert epochs == [0, 1, 2]
    assert not tracker.run.directory.path.exists()


@pytest.mark.parametrize("name", ["a\x1b[31m", "two\nlines"])
def test_a_name_that_is_no_text_is_refused(name, tmp_path):
    for options in ({"name": name}, {"spec": {"name": name}}):
        with pytest.raises(SpecError, match="A name may not have control characters"):
            kplug.track(**options, runs_dir=tmp_path)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("spec", [{"batch_size": 0}, {"model": 5}])
def test_a_wrong_spec_is_refused_before_anything_starts(spec, tmp_path):
    with pytest.raises(SpecError, match=f"kplug.track: {next(iter(spec))}"):
        kplug.track(spec=spec, runs_dir=tmp_path)
    assert not list(tmp_path.iterdir())


def test_a_scripts_own_values_count_as_parameters_of_its_model(model, tmp_path):
    spec = {"lr": 0.1, "model": {"name": "mine", "parameters": {"width": 8}}}
    tracker = kplug.track(spec=spec, save=False, runs_dir=tmp_path)
    model.fit(X, X[:, :1], verbose=0, callbacks=[tracker])
    assert tracker.run.spec.model.parameters == {"width": 8, "lr": 0.1}
