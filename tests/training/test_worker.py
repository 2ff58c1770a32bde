"""Whole runs, through a real worker process."""

import json
import os
import signal

import keras
import numpy as np
import pytest
from waiting import wait

import kplug
from kplug.runs.completion import complete
from kplug.runs.launch import launch

pytestmark = pytest.mark.slow

DENSE = ["model.architecture=dense", "model.units=[32]"]

PARTS = """
    import keras
    import numpy as np

    import kplug


    @kplug.component(tasks=["tabular-classification"], provides=["num_classes", "num_features"])
    def blobs(
        size: int = 200,
        spoilt: bool = False,
        fail: bool = False,
        wide_labels: bool = False,
        odd_test: bool = False,
    ):
        "Two blobs."
        if fail:
            raise ValueError("the disk is on fire")
        rng = np.random.default_rng(0)
        y = np.arange(size) % 2
        x = rng.normal(size=(size, 3)) + 4 * y[:, None]
        if spoilt:
            x[7, 1] = np.nan
        if wide_labels:
            y = np.zeros((size, 5))
        test = (x[:40, :2], y[:40]) if odd_test else (x[40:80], y[40:80])
        return kplug.Dataset(
            train=(x, y), validation=(x[:40], y[:40]), test=test,
            info={"num_classes": 2, "num_features": 3},
        )


    class Shares(keras.metrics.Metric):
        "Mean prediction of each class: a vector."

        def __init__(self, name="shares", **kwargs):
            super().__init__(name=name, **kwargs)
            self.total = self.add_weight(shape=(2,), initializer="zeros")
            self.count = self.add_weight(shape=(), initializer="zeros")

        def update_state(self, y_true, y_pred, sample_weight=None):
            self.total.assign(self.total + keras.ops.sum(y_pred, axis=0))
            self.count.assign(self.count + keras.ops.cast(keras.ops.shape(y_pred)[0], "float32"))

        def result(self):
            return self.total / keras.ops.maximum(self.count, 1.0)


    def mean_share(y_true, y_pred):
        "Mean prediction."
        return keras.ops.mean(y_pred, axis=-1)


    @kplug.component(tasks=["tabular-classification"], loss="sparse_categorical_crossentropy", metrics=["accuracy"])
    @keras.saving.register_keras_serializable(package="parts")
    class Classifier(keras.Model):
        "Dense classifier."

        def __init__(self, num_classes: int, width: int = 8, explode: bool = False, stumble: bool = False, **kwargs):
            super().__init__(**kwargs)
            self.num_classes, self.width, self.explode, self.stumble = num_classes, width, explode, stumble
            self.hidden = keras.layers.Dense(width, activation="relu")
            self.outputs = keras.layers.Dense(num_classes, activation="softmax")

        def call(self, inputs):
            if self.stumble:
                return missing
            return self.outputs(self.hidden(inputs))

        def get_config(self):
            return {**super().get_config(), "num_classes": self.num_classes, "width": self.width}

        def write_artifacts(self, directory, dataset):
            if self.explode:
                raise RuntimeError("out of ink")
            (directory / "note.txt").write_text(f"{dataset.info['num_classes']} classes")
"""


@pytest.fixture(scope="module")
def parts(install_for_module):
    install_for_module(
        "kplug-parts",
        {
            "kplug.datasets": {"two_blobs": "kplug_parts:blobs"},
            "kplug.models": {"classifier": "kplug_parts:Classifier"},
            "kplug.metrics": {"shares": "kplug_parts:Shares", "mean_share": "kplug_parts:mean_share"},
        },
        {"kplug_parts.py": PARTS.replace("self.outputs", "self.head")},
    )


def start(root, values, *settings):
    return launch(complete({"backend": keras.backend.backend(), **values}, settings), root)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A completed run of a small VAE on the digits."""
    root = tmp_path_factory.mktemp("runs")
    return wait(start(root, {"model": "vae", "dataset": "digits", "epochs": 3, "name": "small"}, *DENSE))


def test_a_run_completes_and_says_so(trained):
    assert trained.state == "completed", trained.log()
    status = trained.status
    assert (status["epoch"], status["epochs"], status["steps_per_epoch"]) == (3, 3, 11)
    assert status["created"] <= status["started"] <= status["first_batch"] <= status["ended"]
    assert status["host"]
    assert status["execution"]["pipeline"] in {"tensor", "array"}


def test_a_run_records_every_epoch(trained):
    epochs = [record for record in trained.metrics() if record.epoch_end]
    assert [record.epoch for record in epochs] == [0, 1, 2]
    assert [record.step for record in epochs] == [11, 22, 33]
    assert set(epochs[0].metrics) == {
        *("loss", "reconstruction_loss", "kl_loss"),
        *("val_loss", "val_reconstruction_loss", "val_kl_loss"),
    }
    assert epochs[2].metrics["loss"] < epochs[0].metrics["loss"]
    assert trained.last_metrics() == epochs[2].metrics


def test_a_run_evaluates_on_the_test_split(trained):
    assert trained.status["test_metrics"]["loss"] == pytest.approx(trained.last_metrics()["val_loss"], rel=0.2)


def test_a_run_leaves_pictures_and_a_model_that_loads(trained):
    names = [path.name for path in trained.artifacts()]
    assert names == ["latent_space.png", "model.keras", "reconstructions.png", "samples.png", "traversal.png"]
    vae = kplug.load_model(trained.directory.artifacts / "model.keras")
    assert vae.generate(2).shape == (2, 8, 8, 1)


def test_a_run_samples_the_system(trained):
    samples = [json.loads(line) for line in trained.directory.system.read_text().splitlines()]
    assert samples
    assert samples[-1]["memory_bytes"] > 50e6


def test_the_same_spec_gives_the_same_weights(trained, tmp_path):
    again = wait(start(tmp_path, {"model": "vae", "dataset": "digits", "epochs": 3}, *DENSE))
    first, second = (kplug.load_model(run.directory.artifacts / "model.keras") for run in (trained, again))
    for one, other in zip(first.weights, second.weights, strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.fixture(scope="module")
def classified(parts, tmp_path_factory):
    """A completed run of the plugin's model on its data, whose test split does not suit the model."""
    values = {"model": "classifier", "dataset": "two_blobs", "epochs": 80, "batch_size": 32}
    return wait(start(tmp_path_factory.mktemp("runs"), values, "dataset.odd_test=true"))


@pytest.mark.neutral
def test_a_plugins_model_and_data_train_like_kplugs_own(classified):
    assert classified.state == "completed", classified.log()
    assert classified.last_metrics()["val_accuracy"] > 0.9
    assert (classified.directory.artifacts / "note.txt").read_text() == "2 classes"
    model = kplug.load_model(classified.directory.artifacts / "model.keras")
    assert model.predict(np.zeros((1, 3)), verbose=0).shape == (1, 2)


@pytest.mark.neutral
def test_a_test_split_that_cannot_be_evaluated_costs_no_result(classified):
    assert classified.state == "completed"
    assert "Error: " in classified.status["evaluation_error"]
    assert "test_metrics" not in classified.status
    assert (classified.directory.artifacts / "model.keras").exists()


@pytest.fixture(scope="module")
def measured(parts, tmp_path_factory):
    """A completed run with metrics of other kinds, and a model that fails to draw."""
    values = {"model": "classifier", "dataset": "two_blobs", "epochs": 1, "metrics": ["shares", "mean_share"]}
    return wait(start(tmp_path_factory.mktemp("runs"), values, "model.explode=true"))


def test_metrics_may_be_functions_and_vectors(measured):
    assert measured.state == "completed", measured.log()
    last = measured.last_metrics()
    assert last["val_shares[0]"] + last["val_shares[1]"] == pytest.approx(1, abs=1e-5)
    assert last["val_mean_share"] == pytest.approx(0.5, abs=1e-5)
    assert measured.status["test_metrics"]["mean_share"] == pytest.approx(0.5, abs=1e-5)


@pytest.mark.neutral
def test_an_error_in_drawing_costs_no_result(measured):
    assert measured.state == "completed"
    assert measured.status["artifact_error"] == "RuntimeError: out of ink"
    assert (measured.directory.artifacts / "model.keras").exists()


@pytest.mark.neutral
@pytest.mark.parametrize(
    ("setting", "error"),
    [
        ("dataset.fail=true", "dataset parts/two_blobs refuses its parameters (fail=True): the disk is on fire"),
        ("dataset.spoilt=true", "The train split has NaN in x in column 1, first in sample 7"),
    ],
)
def test_a_run_that_cannot_start_fails_with_the_reason(parts, tmp_path, setting, error):
    run = wait(start(tmp_path, {"model": "classifier", "dataset": "two_blobs"}, setting))
    assert run.state == "failed"
    assert error in run.status["error"]
    assert error in run.log()


@pytest.mark.neutral
def test_data_that_do_not_suit_the_model_fail_with_the_models_reason(parts, tmp_path):
    # The plugin's data are not between 0 and 1, and state a task that the VAE does not have: taken from Python.
    spec = complete({"model": "vae", "dataset": "digits", "backend": keras.backend.backend()})
    spec = spec.model_copy(update={"dataset": spec.dataset.model_copy(update={"name": "parts/two_blobs"})})
    run = wait(launch(spec, tmp_path))
    assert run.state == "failed"
    assert "data must lie between 0 and 1" in run.status["error"]


def test_labels_that_do_not_fit_the_model_are_refused_at_the_first_batch(parts, tmp_path):
    values = {"model": "classifier", "dataset": "two_blobs", "loss": "focal_loss"}
    run = wait(start(tmp_path, values, "dataset.wide_labels=true"))
    assert run.state == "failed"
    assert run.status["refused"]
    error = run.status["error"]
    assert "model parts/classifier cannot be trained on data set parts/two_blobs" in error
    assert "x of shape (200, 3), y of shape (200, 5)" in error
    assert run.metrics() == []


@pytest.mark.neutral
def test_an_error_in_the_models_code_is_a_failure_with_its_traceback(parts, tmp_path):
    run = wait(start(tmp_path, {"model": "classifier", "dataset": "two_blobs"}, "model.stumble=true"))
    assert run.state == "failed"
    assert not run.status["refused"]
    assert "name 'missing' is not defined" in run.status["error"]
    assert "Traceback (most recent call last)" in run.log()
    assert "Classifier.call()" in run.log()


@pytest.mark.parametrize(
    "how",
    [
        "stop",
        pytest.param("control file", marks=pytest.mark.neutral),
        pytest.param("SIGTERM", marks=pytest.mark.neutral),
    ],
)
def test_a_run_stops_when_asked_and_keeps_what_it_has_learned(tmp_path, how):
    run = start(tmp_path, {"model": "vae", "dataset": "digits", "epochs": 100_000}, *DENSE)
    wait(run, lambda run: len(run.metrics()) > 2)
    assert os.getsid(run.status["pid"]) != os.getsid(0)
    if how == "stop":
        run.stop()
    elif how == "control file":
        run.directory.control.write_text("stop\n")
    else:
        os.kill(run.status["pid"], signal.SIGTERM)
    wait(run)
    assert run.state == "stopped", run.log()
    assert (run.directory.artifacts / "model.keras").exists()
    steps = [record.step for record in run.metrics()]
    assert steps == sorted(steps)


@pytest.mark.neutral
def test_a_plugins_launcher_starts_the_worker_with_no_more_than_it_was_given(install_plugin, tmp_path):
    # As a cluster would: later, in an environment of its own, and by a process that has gone since.
    source = """
        import os, shlex, subprocess, sys

        class Elsewhere:
            "Starts the worker from an empty environment."

            def __init__(self, delay: float = 0.5):
                self.delay = delay

            def start(self, job):
                given = [f"{name}={value}" for name, value in job.environment.items()]
                command = shlex.join(["env", "-i", f"HOME={os.environ['HOME']}", *given, *job.command])
                line = f"(sleep {self.delay}; {command}) >>{shlex.quote(str(job.log))} 2>&1 </dev/null &"
                subprocess.run(["sh", "-c", line], check=True, start_new_session=True)
                return "elsewhere 1"
    """
    install_plugin("kplug-far", {"kplug.launchers": {"elsewhere": "far_parts:Elsewhere"}}, {"far_parts.py": source})
    run = start(tmp_path, {"model": "vae", "dataset": "digits", "epochs": 1, "launcher": "far/elsewhere"}, *DENSE)
    assert wait(run).state == "completed", run.log()
    assert run.status["launcher"] == "far/elsewhere"
    assert run.last_metrics()["loss"] > 0
