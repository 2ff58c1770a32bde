"""Runs that are interrupted and taken up again end as those that were not."""

import json
import os
import shutil
import signal
from pathlib import Path

import keras
import numpy as np
import pytest
from waiting import wait

import kplug
from kplug.errors import KplugError, LauncherError, RunStateError, SpecError
from kplug.runs import Run, open_run
from kplug.runs.completion import complete
from kplug.runs.directory import RunDirectory, write_atomically
from kplug.runs.launch import launch, resume
from kplug.runs.lock import RunLock
from kplug.runs.records import RecordReader
from kplug.training.checkpoints import Checkpoints

pytestmark = pytest.mark.slow

VALUES = {
    "model": "vae",
    "dataset": "digits",
    "epochs": 6,
    "batch_size": 16,
    "callbacks": ["reduce_lr_on_plateau", "early_stopping"],
    "best": "val_loss",
    "checkpoint_seconds": 0.0,
}
SETTINGS = [
    "model.architecture=dense",
    "model.units=[16]",
    "model.annealing_steps=200",
    "reduce_lr_on_plateau.patience=1",
    "reduce_lr_on_plateau.min_delta=0.8",
    "early_stopping.patience=2",
    "early_stopping.restore_best_weights=true",
    "optimizer.use_ema=true",
    "optimizer.ema_momentum=0.9",
]


def start(root, **values):
    values = {**VALUES, "backend": keras.backend.backend(), **values}
    settings = [one for one in SETTINGS if one.startswith(("model", "optimizer")) or values["callbacks"]]
    return launch(complete(values, settings), root)


def events(run, kind):
    return [record for record in RecordReader(run.directory.events).read() if record["event"] == kind]


def in_the_middle(run):
    """Whether a checkpoint in the middle of the third epoch or a later one is there."""
    return run.ended or any(one["epoch"] >= 2 and one["batch"] for one in events(run, "checkpoint"))


def forget_the_end_of_an_epoch(run):
    """Leave the checkpoint before as the newest, if the newest is at an epoch's end: that one is in the middle."""
    checkpoints = Checkpoints(run.directory.checkpoints)
    newest = checkpoints.newest()[0]
    if newest.state["position"]["batch"] == 0:
        (run.directory.checkpoints / f"step-{newest.step:012d}.json").unlink()
    assert checkpoints.newest()[0].state["position"]["batch"] > 0


def records(run):
    reader = RecordReader(run.directory.metrics)
    found = [(one.step, one.epoch, dict(one.metrics), one.epoch_end) for one in reader.read_metrics()]
    assert reader.malformed == 0
    return found


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    return wait(start(tmp_path_factory.mktemp("runs")))


@pytest.fixture(scope="module")
def killed(tmp_path_factory):
    """A run that was killed in its middle; tests take up copies of it."""
    run = start(tmp_path_factory.mktemp("runs"))
    wait(run, in_the_middle)
    os.kill(run.status["pid"], signal.SIGKILL)
    return wait(run)


def copy_of(run, root):
    return Run(RunDirectory(Path(shutil.copytree(run.directory.path, root / run.id))))


@pytest.mark.parametrize("kill", [signal.SIGKILL, signal.SIGTERM])
def test_a_resumed_run_equals_the_uninterrupted_one_to_the_bit(whole, killed, tmp_path, kill):
    if kill == signal.SIGKILL:
        run = copy_of(killed, tmp_path)
    else:
        run = start(tmp_path)
        wait(run, in_the_middle)
        os.kill(run.status["pid"], kill)
        wait(run)
    assert run.state == {signal.SIGKILL: "lost", signal.SIGTERM: "stopped"}[kill], run.log()
    if kill == signal.SIGKILL:
        forget_the_end_of_an_epoch(run)
    resume(run)
    wait(run)
    assert run.state == whole.state == "completed", run.log()
    (again,) = events(run, "resumed")
    assert again["step"] % 81 != 0 or kill == signal.SIGTERM
    assert records(run) == records(whole)
    first, second = (Checkpoints(one.directory.checkpoints).newest()[0] for one in (whole, run))
    assert first.arrays.keys() == second.arrays.keys()
    for name, array in first.arrays.items():
        np.testing.assert_array_equal(second.arrays[name], array)
    assert run.status["test_metrics"] == whole.status["test_metrics"]
    assert [path.name for path in run.artifacts()] == [path.name for path in whole.artifacts()]
    assert "best.keras" in [path.name for path in run.artifacts()]
    # Checkpoints are taken before the moving averages become the weights.
    equal_models(run, whole)


def equal_models(run, other):
    first, second = (kplug.load_model(one.directory.artifacts / "model.keras").get_weights() for one in (run, other))
    for one, two in zip(first, second, strict=True):
        np.testing.assert_array_equal(one, two)


@pytest.mark.neutral
def test_a_run_killed_before_its_first_checkpoint_begins_anew(whole, tmp_path):
    run = start(tmp_path, checkpoint_seconds=None)
    wait(run, lambda run: len(run.metrics()) > 1)
    os.kill(run.status["pid"], signal.SIGKILL)
    wait(run)
    resume(run)
    wait(run)
    assert records(run) == records(whole)


@pytest.mark.neutral
def test_a_damaged_checkpoint_is_passed_over_with_a_warning(whole, killed, tmp_path):
    run = copy_of(killed, tmp_path)
    newest = max(run.directory.checkpoints.glob("*.npz"))
    newest.write_bytes(newest.read_bytes()[:-100])
    resume(run)
    wait(run)
    assert records(run) == records(whole)
    (warning,) = events(run, "warning")
    assert newest.stem in warning["message"]
    assert "damaged" in run.log()


def test_a_completed_run_is_not_resumed(whole):
    with pytest.raises(RunStateError, match=f"{whole.id} has completed.*kplug runs clone"):
        resume(whole)


def test_a_completed_run_goes_on_with_more_epochs_as_if_it_had_had_them_at_once(tmp_path):
    parts = {"callbacks": [], "best": None}
    whole, first = wait(start(tmp_path / "whole", epochs=4, **parts)), wait(start(tmp_path / "part", epochs=2, **parts))
    resume(first, epochs=4)
    wait(first)
    assert first.state == "completed" and first.spec.epochs == 4, first.log()
    assert records(first) == records(whole)
    models = [kplug.load_model(run.directory.artifacts / "model.keras") for run in (whole, first)]
    for one, other in zip(*(model.weights for model in models), strict=True):
        np.testing.assert_array_equal(one, other)
    assert first.status["test_metrics"] == whole.status["test_metrics"]


def test_epochs_that_a_run_cannot_have_are_refused(whole, tmp_path):
    done = whole.status["epoch"]
    for epochs in (done, done - 1, 0):
        with pytest.raises(SpecError, match=f"has done {done} epochs.*epochs={epochs}"):
            resume(whole, epochs=epochs)
    scheduled = copy_of(whole, tmp_path)
    values = json.loads(scheduled.directory.spec.read_text())
    scheduled.directory.spec.write_text(json.dumps({**values, "schedule": {"name": "kplug/cosine_decay"}}))
    with pytest.raises(SpecError, match=r"on schedule kplug/cosine_decay, which spans 6 epochs.*clone"):
        resume(scheduled, epochs=20)
    assert scheduled.spec.epochs == 6 and scheduled.state == "completed"


@pytest.mark.parametrize("failing", ["start_worker", "starting"])
def test_a_run_that_cannot_be_started_again_keeps_its_spec_and_status(whole, tmp_path, monkeypatch, failing):
    run = copy_of(whole, tmp_path)
    before = run.directory.spec.read_bytes(), run.directory.status.read_bytes()

    def fail(*_):
        raise LauncherError("no room") if failing == "start_worker" else OSError(28, "No space left on device")

    if failing == "start_worker":
        monkeypatch.setattr("kplug.runs.launch.start_worker", fail)
    else:
        kept = write_atomically
        monkeypatch.setattr(
            "kplug.runs.launch.write_atomically",
            lambda path, *rest, **more: fail() if path == run.directory.status else kept(path, *rest, **more),
        )
    with pytest.raises(KplugError, match=r"no room|No space left"):
        resume(run, epochs=20)
    assert (run.directory.spec.read_bytes(), run.directory.status.read_bytes()) == before
    assert run.spec.epochs == 6


@pytest.mark.neutral
def test_other_data_are_refused_and_nothing_is_lost(tmp_path):
    np.savez(tmp_path / "data.npz", x=np.random.default_rng(0).random((200, 4)))
    values = {"dataset": {"name": "npz", "parameters": {"path": str(tmp_path / "data.npz"), "standardize": False}}}
    run = start(tmp_path / "runs", epochs=100_000, callbacks=[], best=None, **values)
    wait(run, lambda run: bool(events(run, "checkpoint")))
    run.stop()
    wait(run)
    kept = records(run)
    np.savez(tmp_path / "data.npz", x=np.random.default_rng(1).random((200, 4)))
    resume(run)
    wait(run)
    assert run.state == "failed"
    assert "are not those that the run began with" in run.status["error"]
    assert not run.status["refused"]
    assert records(run) == kept
    assert (run.directory.artifacts / "model.keras").exists()


@pytest.mark.neutral
def test_what_happened_and_where_is_recorded(whole):
    (started,) = events(whole, "started")
    assert started["versions"]["keras"] == keras.__version__
    assert started["python"]
    assert len(events(whole, "checkpoint")) >= 6
    assert len(events(whole, "completed")) == 1
    assert len(json.loads(whole.directory.status.read_text())["data_sha256"]) == 64
    assert open_run(whole.id, whole.directory.path.parent).state == "completed"


@pytest.mark.neutral
def test_a_running_run_is_not_resumed_and_others_wait_for_its_place_until_stopped_or_killed(tmp_path):
    values = {"epochs": 100_000, "callbacks": [], "best": None}
    going_on = start(tmp_path, **values)
    wait(going_on, lambda run: "pid" in run.status)
    spec = going_on.spec
    stopped, killed, next_one = (launch(spec, tmp_path, max_running=1) for _ in range(3))
    for run in (stopped, killed, next_one):
        wait(run, lambda run: run.status.get("before_it"))
        assert run.state == "queued"
    stopped.stop()
    wait(stopped)
    os.kill(killed.status["pid"], signal.SIGKILL)
    wait(killed)
    assert (stopped.state, killed.state, next_one.state) == ("stopped", "lost", "queued")
    assert not stopped.metrics()
    wait(going_on, lambda run: run.ended or run.metrics())
    with pytest.raises(RunStateError, match=r"is running\. Stop it first"):
        resume(going_on)
    # A status that says otherwise does not help.
    assert not RunLock(going_on.directory.lock).acquire()
    going_on.stop()
    wait(going_on)
    wait(next_one, lambda run: run.ended or run.metrics())
    assert (going_on.state, next_one.state) == ("stopped", "running")
    resume(killed, max_running=1)
    wait(killed, lambda run: run.status.get("before_it"))
    killed.stop()
    next_one.stop()
    assert [wait(run).state for run in (killed, next_one)] == ["stopped", "stopped"]
