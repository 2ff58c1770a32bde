"""Runs whose parts are in a file that then changes or goes: trained, resumed and loaded through real processes."""

import os
import subprocess
import sys

import pytest
from waiting import wait

from kplug.runs.completion import complete
from kplug.runs.launch import launch, resume

pytestmark = [pytest.mark.neutral, pytest.mark.slow]

PARTS = '''
import keras
import numpy as np

import kplug


class Doubled(keras.layers.Layer):
    """Not named by the run, and not registered by the file."""

    def call(self, inputs):
        return 2 * inputs


class Net(keras.Model):
    """A small net."""

    def __init__(self, num_classes: int, units: int = 4, **kwargs):
        super().__init__(**kwargs)
        self.num_classes, self.units = num_classes, units
        self.hidden = keras.layers.Dense(units, activation=squared)
        self.doubled = Doubled()
        self.out = keras.layers.Dense(num_classes, activation="softmax")

    def call(self, inputs):
        return self.out(self.doubled(self.hidden(inputs)))

    def get_config(self):
        return {**super().get_config(), "num_classes": self.num_classes, "units": self.units}


def squared(x):
    return x * x


def distance(y_true, y_pred):
    """Of the likely class from certainty."""
    return 1.0 - keras.ops.take_along_axis(y_pred, keras.ops.cast(y_true, "int32")[:, None], axis=-1)[:, 0]


@kplug.component(provides=["num_classes"])
def clouds(size: int = 64):
    """Two clouds."""
    rng = np.random.default_rng(0)
    y = np.arange(size) % 2
    x = (rng.normal(size=(size, 3)) + 3 * y[:, None]).astype("float32")
    return kplug.Dataset(train=(x, y), validation=(x, y), test=(x, y), info={"num_classes": 2})
'''


def in_python(code, **environment):
    return subprocess.run(
        [sys.executable, "-c", f"import kplug; {code}"],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, **environment},
    )


def test_a_run_of_parts_in_a_file_outlives_the_file(tmp_path):
    file = tmp_path / "idea.py"
    file.write_text(PARTS)
    spec = complete(
        {
            "model": f"{file}:Net",
            "dataset": f"{file}:clouds",
            "loss": f"{file}:distance",
            "optimizer": "sgd",
            "epochs": 100_000,
            "batch_size": 16,
            "checkpoint_batches": 2,
            "checkpoint_seconds": None,
            "device": "cpu",
        },
        ["model.units=6"],
    )
    run = launch(spec, tmp_path / "runs")
    wait(run, lambda run: run.ended or any(one.get("event") == "checkpoint" for one in run.events()))
    file.write_text("raise RuntimeError('not what it was')")
    run.kill()
    assert run.state == "lost"
    resume(run)
    wait(run, lambda run: run.ended or (run.status.get("epoch", 0) > 2 and run.state == "running"))
    run.stop()
    wait(run)
    assert run.state == "stopped", run.log()

    file.unlink()
    path = run.directory.artifacts / "model.keras"
    loaded = in_python(
        f"m = kplug.load_model({str(path)!r}); print(m.units, m.loss.__name__, m.hidden.activation.__name__)"
    )
    assert loaded.stdout.split() == ["6", "distance", "squared"], loaded.stderr
    assert [one.name for one in run.directory.files.iterdir()] == ["idea.py"]

    elsewhere = tmp_path / "model.keras"
    elsewhere.write_bytes(path.read_bytes())
    said = in_python(f"kplug.load_model({str(elsewhere)!r})").stderr
    assert "which the file idea.py defines. Load the model from the directory of its run" in said

    said = in_python(f"kplug.load_model({str(path)!r})", KPLUG_HOME=str(tmp_path / "other home")).stderr
    assert f"kplug plugins trust {run.directory.files / 'idea.py'}" in said
