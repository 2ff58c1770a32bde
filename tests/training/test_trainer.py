"""Trainings that end in their middle and are taken up again, within this process and on any backend."""

import contextlib
import errno
import json
import os
import queue
from collections import defaultdict, deque
from pathlib import Path

import keras
import numpy as np
import pytest

import kplug
from kplug.errors import CheckpointError, DataError, RunStorageError
from kplug.runs.directory import create_run_directory, write_atomically
from kplug.runs.records import RecordReader, RecordWriter
from kplug.runs.spec import spec_from
from kplug.training.artifacts import save_model
from kplug.training.assembly import Assembly
from kplug.training.checkpoints import Checkpoints
from kplug.training.performance import Execution, Machine
from kplug.training.pipeline import first_batch
from kplug.training.resumed import Resumed
from kplug.training.status import StatusWriter
from kplug.training.trainer import train
from kplug.training.worker import _ending

X = np.random.default_rng(0).normal(size=(1000, 3)).astype("float32")
Y = X[:, :1] * 2 + 1
SPEC = {"model": "m/m", "dataset": "d/d", "epochs": 3, "batch_size": 10, "checkpoint_seconds": None}


class Killed(BaseException):
    """The training's process is gone."""


class Killer(keras.callbacks.Callback):
    """Ends the training behind a batch, or before an epoch's end is recorded, as a kill would."""

    def __init__(self, epoch, batch=None):
        super().__init__()
        self.at = epoch, batch

    def on_epoch_begin(self, epoch, logs=None):
        self.epoch = epoch

    def on_train_batch_end(self, batch, logs=None):
        if self.epoch == self.at[0] and self.at[1] is not None and batch >= self.at[1]:
            raise Killed

    def on_epoch_end(self, epoch, logs=None):
        if epoch == self.at[0]:
            raise Killed

    def training_state(self):
        return None

    def restore_training_state(self, state):
        pass


class Training:
    """A run whose parts are made anew each time that it is taken up.

    Attributes:
        model: The model of the last time.
        recorder: What the last time knows of how far it went.
    """

    def __init__(self, root, train_split=(X, Y), validation=None, make=None, callbacks=list, optimizer=None, **values):
        self.spec = spec_from({**SPEC, "backend": keras.backend.backend(), **values})
        self.directory = create_run_directory(root, self.spec, {})
        self.train_split = train_split if callable(train_split) else lambda: train_split
        self.validation = validation
        self.make = make or (lambda: keras.Sequential([keras.layers.Dense(4), keras.layers.Dense(1)]))
        self.callbacks = callbacks
        self.optimizer = optimizer or (lambda: keras.optimizers.Adam(0.01))
        self.callbacks_made = []

    def go_on(self, killed=None, stop=False):
        """Train from the newest checkpoint on, to the end or until it is killed."""
        keras.utils.set_random_seed(0)
        dataset = kplug.Dataset(train=self.train_split(), validation=self.validation, info={})
        self.callbacks_made = self.callbacks()
        killer = Killer(*(killed or (-1,)))
        self.model = self.make()
        compiling = {"optimizer": self.optimizer(), "loss": "mse", "metrics": ["mae"]}
        self.assembly = Assembly(self.model, dataset, compiling, [killer, *self.callbacks_made])
        checkpoint, self.problems = Checkpoints(self.directory.checkpoints).newest()
        with (
            StatusWriter(self.directory) as status,
            contextlib.closing(RecordWriter(self.directory.events)) as events,
            contextlib.closing(RecordWriter(self.directory.metrics)) as records,
        ):
            self.status = status
            if stop:
                status.request_stop()
            machine = Machine("cpu", 2, 0, 0)
            resumed = Resumed(checkpoint)
            with pytest.raises(Killed) if killed else contextlib.nullcontext():
                self.recorder = train(
                    self.spec, self.assembly, machine, self.directory, status, events, records, resumed
                )
                self.ending = _ending(self.spec, self.assembly, self.recorder, self.directory, status, 1)
        return self

    def weights(self):
        return [keras.ops.convert_to_numpy(one).copy() for one in self.model.weights]

    def saved(self):
        return keras.saving.load_model(self.directory.artifacts / "model.keras")

    def records(self):
        reader = RecordReader(self.directory.metrics)
        found = [(one.step, one.epoch, dict(one.metrics), one.epoch_end) for one in reader.read_metrics()]
        assert reader.malformed == 0
        return found

    def position(self):
        found, _ = Checkpoints(self.directory.checkpoints).newest()
        return found.state["position"]


def equal(one, other):
    for first, second in zip(one, other, strict=True):
        np.testing.assert_array_equal(first, second)


def test_a_run_that_is_stopped_before_it_is_taken_up_keeps_its_trained_model(tmp_path):
    run = Training(tmp_path, checkpoint_epochs=1).go_on(killed=(2, 50))
    run.model.save(run.directory.artifacts / "model.keras")
    trained, records = run.weights(), run.records()
    run.go_on(stop=True)
    assert run.ending["state"] == "stopped"
    equal([keras.ops.convert_to_numpy(one) for one in run.saved().weights], trained)
    assert run.records() == records


class Two(keras.callbacks.Callback):
    """One callback more."""


@pytest.mark.parametrize("change", ["model", "callbacks"])
def test_a_run_that_cannot_be_taken_up_says_why_and_loses_no_records(tmp_path, change):
    batches = [(X[:10], Y[:10])] * 30
    run = Training(tmp_path, lambda: Batches(batches), checkpoint_epochs=2).go_on(killed=(2, 25))
    records = run.records()
    assert records[-1][0] > 60
    if change == "model":
        run.make = lambda: keras.Sequential([keras.layers.Dense(1)])
        expected = "The model has 2 variables, in the checkpoint 4"
    else:
        run.callbacks = lambda: [Two()]
        expected = "The checkpoint is of a run with 1 callbacks; this one has 2"
    with pytest.raises(CheckpointError, match=expected):
        run.go_on()
    assert run.records() == records


class Batches(keras.utils.PyDataset):
    """Batches as they are given."""

    def __init__(self, batches):
        super().__init__()
        self.batches = batches

    def __len__(self):
        return len(self.batches)

    def __getitem__(self, index):
        return self.batches[index]


def averaging():
    return keras.optimizers.Adam(0.01, use_ema=True, ema_momentum=0.9)


class EndsAfter(keras.callbacks.Callback):
    """Ends the training after an epoch."""

    def __init__(self, epoch):
        super().__init__()
        self.epoch = epoch

    def on_epoch_end(self, epoch, logs=None):
        self.model.stop_training = epoch == self.epoch


@pytest.mark.parametrize(
    ("killed", "ends_after"),
    [((1, 50), 9), ((2, 50), 9), ((1, 50), 1), ((1, None), 9)],
    ids=["before the last epoch", "in the last", "in the one that a callback ends", "at an epoch's end"],
)
def test_moving_averages_are_the_models_weights_at_the_end_though_it_was_killed(tmp_path, killed, ends_after):
    options = {"optimizer": averaging, "checkpoint_batches": 5, "callbacks": lambda: [EndsAfter(ends_after)]}
    whole = Training(tmp_path / "whole", **options).go_on()
    run = Training(tmp_path / "killed", **options).go_on(killed)
    assert run.position()["batch"] > 0
    run.go_on()
    equal(run.weights(), whole.weights())
    equal(run.saved().get_weights(), whole.saved().get_weights())
    assert run.records() == whole.records()


def test_a_run_killed_after_its_last_checkpoint_has_the_moving_averages_too(tmp_path):
    run = Training(tmp_path, optimizer=averaging, checkpoint_epochs=1).go_on()
    expected = run.weights()
    (run.directory.artifacts / "model.keras").unlink()
    equal(run.go_on().saved().get_weights(), expected)


def test_a_run_stopped_in_its_middle_is_saved_with_its_moving_averages_and_goes_on_without(tmp_path):
    class Stops(keras.callbacks.Callback):
        def __init__(self, run):
            super().__init__()
            self.run = run

        def on_train_batch_end(self, batch, logs=None):
            if self.run.stop_at is not None and batch >= self.run.stop_at:
                self.run.status.request_stop()

    whole = Training(tmp_path / "whole", optimizer=averaging).go_on()
    run = Training(tmp_path / "stopped", optimizer=averaging)
    run.callbacks = lambda: [Stops(run)]
    for run.stop_at in (20, 60, None):
        run.go_on()
        if run.stop_at is not None:
            assert run.ending["state"] == "stopped"
            assert run.position()["epoch"] == 0
    equal(run.saved().get_weights(), whole.saved().get_weights())


def test_tensors_are_taken_up_as_arrays_are(tmp_path):
    split = keras.ops.convert_to_tensor(X), Y, keras.ops.convert_to_tensor(np.linspace(0, 1, len(Y)))
    whole = Training(tmp_path / "whole", split).go_on()
    run = Training(tmp_path / "killed", split, checkpoint_batches=5).go_on(killed=(1, 50))
    assert run.position()["batch"] > 0
    run.go_on()
    equal(run.weights(), whole.weights())
    assert run.records() == whole.records()


def test_data_frames_are_taken_up_at_the_beginning_of_an_epoch(tmp_path):
    pandas = pytest.importorskip("pandas")
    split = pandas.DataFrame(X), pandas.DataFrame(Y), np.ones(len(Y))
    run = Training(tmp_path, split, checkpoint_batches=30).go_on(killed=(1, 50))
    assert run.position() == {"epoch": 1, "batch": 0, "step": 100, "ended": False}
    run.go_on()
    assert run.ending["state"] == "completed"
    assert [one[0] for one in run.records() if one[3]] == [100, 200, 300]


def test_the_first_batch_of_data_that_are_none_yet_has_targets_and_weights():
    x, y, weights = first_batch({"x": [X, X], "y": Y, "sample_weight": Y[:, 0], "batch_size": 4})
    assert [one.shape for one in x] == [(4, 3), (4, 3)]
    assert (y.shape, weights.shape) == ((4, 1), (4,))


def test_a_generators_first_batch_is_not_lost_when_it_is_taken_up():
    class Counts(keras.callbacks.Callback):
        def __init__(self):
            super().__init__()
            self.batches = 0

        def on_train_batch_end(self, batch, logs=None):
            self.batches += 1

    model = keras.Sequential([keras.layers.Dense(1)])
    data = {"x": ((X[at : at + 10], Y[at : at + 10]) for at in range(0, 70, 10))}
    np.testing.assert_array_equal(first_batch(data)[0], X[:10])
    counts = Counts()
    model.compile("sgd", "mse")
    model.fit(**data, callbacks=[counts], verbose=0)
    assert counts.batches == 7


@pytest.mark.skipif(keras.backend.backend() == "torch", reason="no tf.data beside PyTorch")
@pytest.mark.parametrize("killed", [(1, None), (1, 7), (2, None)])
def test_data_of_unknown_length_that_were_killed_behind_an_epochs_last_batch(tmp_path, killed):
    tf = pytest.importorskip("tensorflow")

    def unknown():
        return tf.data.Dataset.from_tensor_slices((X[:100], Y[:100])).filter(lambda x, y: True).batch(10)

    options = {"checkpoint_batches": 5, "validation": (X[:20], Y[:20]), "callbacks": lambda: [Seen()]}
    whole = Training(tmp_path / "whole", unknown, **options).go_on()
    run = Training(tmp_path / "killed", unknown, **options).go_on(killed)
    batch = 10 if killed[1] is None else 5
    assert run.position()["batch"] == (batch if keras.backend.backend() == "tensorflow" else 0)
    run.go_on()
    assert run.records() == whole.records()
    assert run.callbacks_made[0].logs == whole.callbacks_made[0].logs
    assert set(run.callbacks_made[0].logs[-1]) == {"loss", "mae", "val_loss", "val_mae"}
    equal(run.weights(), whole.weights())


class Seen(keras.callbacks.Callback):
    """Remembers what it was told at the end of each epoch."""

    def __init__(self):
        super().__init__()
        self.logs = []

    def on_epoch_end(self, epoch, logs=None):
        self.logs.append({name: float(value) for name, value in logs.items()})


def test_a_worker_whose_run_was_resumed_elsewhere_writes_no_checkpoint(tmp_path):
    class Suspended(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            if epoch == 1:
                write_atomically(run.directory.status, json.dumps({"pid": 1, "host": "elsewhere", "state": "running"}))

    run = Training(tmp_path, checkpoint_epochs=1, callbacks=lambda: [Suspended()])
    with pytest.raises(RunStorageError, match="goes on in process 1 on elsewhere"):
        run.go_on()
    assert run.position()["epoch"] == 1
    assert [one["event"] for one in RecordReader(run.directory.events).read()] == ["checkpoint"]
    assert json.loads(run.directory.status.read_text())["pid"] == 1


def test_a_checkpoint_knows_how_the_run_was_executed(tmp_path):
    run = Training(tmp_path, checkpoint_epochs=1).go_on()
    found, _ = Checkpoints(run.directory.checkpoints).newest()
    assert Execution.from_json(found.state["execution"]).steps_per_execution >= 1
    assert found.state["execution"] == json.loads(run.directory.status.read_text())["execution"]


def test_a_saved_model_is_on_the_disk_before_it_gets_its_name(tmp_path, monkeypatch):
    done = []
    fsync, replace = os.fsync, Path.replace
    monkeypatch.setattr(os, "fsync", lambda descriptor: done.append("flushed") or fsync(descriptor))
    monkeypatch.setattr(Path, "replace", lambda path, to: done.append("named") or replace(path, to))
    save_model(keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)]), tmp_path)
    assert done == ["flushed", "named", "flushed"]
    assert [path.name for path in tmp_path.iterdir()] == ["model.keras"]


class Remembers(keras.callbacks.Callback):
    """Has attributes of all kinds."""

    def __init__(self):
        super().__init__()
        self.recent = deque(maxlen=2)
        self.counts = defaultdict(int)
        self.rng = np.random.default_rng(0)
        self.drawn = {}
        self.queue = queue.SimpleQueue()
        self.lock = None
        self.path = Path("somewhere")
        self.way = print

    def on_epoch_end(self, epoch, logs=None):
        self.recent.append(epoch)
        self.counts["epochs"] += 1
        self.drawn[epoch] = self.rng.integers(1000)


def test_what_callbacks_remember_is_kept_and_what_cannot_be_is_named_once(tmp_path, capsys):
    whole = Training(tmp_path / "whole", callbacks=lambda: [Remembers()]).go_on()
    run = Training(tmp_path / "killed", callbacks=lambda: [Remembers()], checkpoint_batches=30).go_on((2, 60))
    capsys.readouterr()
    run.go_on()
    for name in ("recent", "counts", "drawn"):
        found, expected = (vars(one.callbacks_made[0])[name] for one in (run, whole))
        assert (found, type(found)) == (expected, type(expected))
    assert capsys.readouterr().out.count("checkpoints do not have Remembers.queue") == 1
    warnings = [one for one in RecordReader(run.directory.events).read() if one["event"] == "warning"]
    assert [one["message"].split(":")[0] for one in warnings] == ["checkpoints do not have Remembers.queue"] * 2


def test_other_validation_data_are_refused(tmp_path):
    run = Training(tmp_path, validation=(X[:20], Y[:20]), checkpoint_epochs=1).go_on(killed=(1, 50))
    run.validation = X[:20], Y[:20] + 1
    with pytest.raises(DataError, match="The validation data of data set d/d are not those that the run began with"):
        run.go_on()


def test_records_that_cannot_be_written_cost_no_model(tmp_path, monkeypatch):
    run = Training(tmp_path)
    write = RecordWriter._write_waiting

    def full(writer):
        if writer._path == run.directory.metrics and writer._waiting:
            raise OSError(errno.ENOSPC, "No space left on device")
        write(writer)

    monkeypatch.setattr(RecordWriter, "_write_waiting", full)
    with pytest.raises(RunStorageError, match=r"metrics.jsonl cannot be written: No space left on device"):
        run.go_on()
    equal(run.saved().get_weights(), run.weights())


class Replays(keras.Sequential):
    """Keeps, outside its variables, how many epochs it has seen."""

    def __init__(self, layers, **options):
        super().__init__(layers, **options)
        self.buffer = np.zeros(0)

    def training_state(self):
        return {"buffer": self.buffer, "position": len(self.buffer)}

    def restore_training_state(self, state):
        self.buffer = state["buffer"]
        assert len(self.buffer) == state["position"]


class Fills(keras.callbacks.Callback):
    """Puts what an epoch began with into the model's buffer."""

    def on_epoch_end(self, epoch, logs=None):
        self.model.buffer = np.append(self.model.buffer, logs["loss"])


@pytest.mark.parametrize("kills", [[(1, 50)], [(0, 30), (0, 70), (1, 50), (1, 50), (2, 90)]], ids=["once", "often"])
def test_a_models_own_state_outlasts_kills(tmp_path, kills):
    options = {
        "make": lambda: Replays([keras.layers.Dense(4), keras.layers.Dropout(0.3), keras.layers.Dense(1)]),
        "callbacks": lambda: [Fills()],
        "checkpoint_batches": 20,
    }
    whole = Training(tmp_path / "whole", **options).go_on()
    run = Training(tmp_path / "killed", **options)
    for kill in kills:
        run.go_on(kill)
    run.go_on()
    np.testing.assert_array_equal(run.model.buffer, whole.model.buffer)
    assert len(run.model.buffer) == 3
    equal(run.weights(), whole.weights())
    assert run.records() == whole.records()


@pytest.mark.parametrize(
    ("schedule", "expected"),
    [
        ({"checkpoint_batches": 30}, [30, 60, 90, 120, 150, 180, 210, 240, 270, 300]),
        ({"checkpoint_epochs": 2}, [200, 300]),
        ({"checkpoint_epochs": 1, "checkpoint_batches": 75}, [75, 100, 175, 200, 275, 300]),
        ({}, [300]),
    ],
)
def test_checkpoints_are_written_by_batches_and_by_epochs(tmp_path, schedule, expected):
    batches = [(X[at : at + 10], Y[at : at + 10]) for at in range(0, 1000, 10)]
    run = Training(tmp_path, lambda: Batches(batches), **schedule).go_on()
    found = [one["step"] for one in RecordReader(run.directory.events).read() if one["event"] == "checkpoint"]
    assert found == expected


def test_a_run_in_mixed_precision_is_taken_up_in_its_middle(tmp_path):
    keras.config.set_dtype_policy("mixed_float16")
    try:
        options = {"checkpoint_batches": 20, "optimizer": averaging}
        whole = Training(tmp_path / "whole", **options).go_on()
        run = Training(tmp_path / "killed", **options).go_on((2, 50))
        assert run.position()["batch"] > 0
        run.go_on()
    finally:
        keras.config.set_dtype_policy("float32")
    equal(run.weights(), whole.weights())
    equal(run.saved().get_weights(), whole.saved().get_weights())
    equal(*([keras.ops.convert_to_numpy(v) for v in one.model.optimizer.variables] for one in (run, whole)))
    assert run.records() == whole.records()
