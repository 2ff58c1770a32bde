"""Runs on several devices, which are shares of the CPU here."""

import os
import subprocess
import sys
import textwrap

import keras
import pytest

from kplug import runs
from kplug.errors import SpecError
from kplug.runs.devices import Gpu
from kplug.runs.directory import create_run_directory
from kplug.runs.spec import spec_from
from kplug.training.devices import insist_found, use_device
from kplug.training.performance import Machine

GPU = Gpu(0, "GPU-aaaa", "Model 0")


@pytest.fixture
def directory(tmp_path):
    return create_run_directory(tmp_path, spec_from({"model": "kplug/vae", "dataset": "kplug/digits"}), {})


@pytest.mark.neutral
def test_a_run_that_began_on_the_cpu_goes_on_there(directory, monkeypatch):
    monkeypatch.setattr("kplug.training.devices.gpus", lambda: [GPU])
    monkeypatch.setattr("kplug.runs.devices.gpus", lambda: [GPU])
    monkeypatch.setattr(os, "environ", dict(os.environ))
    assert use_device("auto", directory, {"device": "cpu"}, lambda **fields: None) == []
    assert use_device("auto", directory, None, lambda **fields: None) == [GPU]
    assert os.environ["CUDA_VISIBLE_DEVICES"] == "GPU-aaaa"


@pytest.mark.neutral
def test_a_backend_that_does_not_find_the_gpu_is_told_of(capsys):
    machine = Machine("cpu", 2, 0, 0)
    with pytest.raises(SpecError, match=r"tensorflow finds no GPU, though there is Model 0.*kplug\[cuda\]"):
        insist_found("gpu", "tensorflow", machine, [GPU])
    insist_found("auto", "jax", machine, [GPU])
    assert "warning: jax finds no GPU" in capsys.readouterr().out


WORKER = """
    import os, sys

    os.environ["XLA_FLAGS"] = "--xla_force_host_platform_device_count=2"
    if os.environ["KERAS_BACKEND"] == "tensorflow":
        import tensorflow as tf

        cpu = tf.config.list_physical_devices("CPU")[0]
        tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
    from kplug.runs.devices import Gpu
    from kplug.training import devices, worker

    devices.use_device = lambda *arguments: [Gpu(0, "a", "A"), Gpu(1, "b", "B")]
    devices.insist_found = lambda *arguments: None
    devices.accelerators = lambda backend: [f"cpu:{index}" for index in range(2)]
    sys.exit(worker.main())
"""


def worked(directory):
    """Execute a run on two devices, in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(WORKER), str(directory.path)],
        env={**os.environ, "KERAS_BACKEND": keras.backend.backend()},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return runs.Run(directory)


@pytest.mark.slow
@pytest.mark.skipif(keras.backend.backend() == "torch", reason="refused on PyTorch")
def test_several_devices_share_each_batch(tmp_path):
    spec = spec_from(
        {
            "model": "kplug/augmented_cnn",
            "dataset": "kplug/digits",
            "optimizer": {"name": "kplug/sgd", "parameters": {"learning_rate": 0.05}},
            "backend": keras.backend.backend(),
            "epochs": 1,
            "batch_size": 126,
        }
    )
    run = worked(create_run_directory(tmp_path, spec, {}))
    assert run.state == "completed"
    assert run.status["execution"]["devices"] == 2
    assert run.last_metrics()["loss"] < 3.0
    assert 0.0 <= run.status["test_metrics"]["accuracy"] <= 1.0
    assert (run.directory.artifacts / "model.keras").exists()
