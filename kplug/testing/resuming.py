"""Whether a run of a model ends alike, killed and taken up again or not."""

from __future__ import annotations

import contextlib
import io
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
from keras import ops

from kplug.runs.devices import gpus
from kplug.runs.directory import RunDirectory, create_run_directory
from kplug.runs.records import RecordWriter
from kplug.runs.spec import RunSpec, spec_from
from kplug.training.assembly import Assembly
from kplug.training.checkpoints import Checkpoints
from kplug.training.performance import Machine
from kplug.training.resumed import Resumed
from kplug.training.status import StatusWriter
from kplug.training.trainer import train

_EPOCHS = 2
_GPU_TOLERANCE = 1e-3
"""On a GPU, sums are not in the same order each time."""


class _Killed(BaseException):
    """The training's process is gone."""


class _Killer(keras.callbacks.Callback):
    """Ends the training at the first batch of its last epoch, as a kill would, unless it is spent."""

    def __init__(self, kills: bool) -> None:
        super().__init__()
        self.kills = kills
        self.epoch = 0

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        self.epoch = epoch

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        if self.kills and self.epoch == _EPOCHS - 1:
            raise _Killed

    def training_state(self) -> None:
        """Have nothing that is kept."""

    def restore_training_state(self, state: None) -> None:
        """Take nothing back."""


def check_resuming(prepared: Callable[[], tuple[keras.Model, dict[str, Any]]], dataset: Any) -> None:
    """Check that a run that is killed and taken up at its checkpoint ends in the weights of one that is not.

    Args:
        prepared: Makes a model and what to compile it with, with equal weights each time.
        dataset: A data set that it can be trained on.

    Raises:
        AssertionError: Naming the first weight that differs.
    """
    with tempfile.TemporaryDirectory(prefix="kplug-") as folder, contextlib.redirect_stdout(io.StringIO()):
        spec = _spec(len(keras.tree.flatten(dataset.train)[0]))
        whole = _trained(prepared, dataset, spec, create_run_directory(Path(folder), spec, {}))
        killed = create_run_directory(Path(folder), spec, {})
        _trained(prepared, dataset, spec, killed, kills=True)
        assert Checkpoints(killed.checkpoints).newest()[0] is not None, "the run that was killed left no checkpoint"
        resumed = _trained(prepared, dataset, spec, killed)
    tolerance = _GPU_TOLERANCE if gpus() else 0.0
    for mine, other in zip(whole.weights, resumed.weights, strict=True):
        np.testing.assert_allclose(
            ops.convert_to_numpy(other),
            ops.convert_to_numpy(mine),
            rtol=tolerance,
            atol=tolerance,
            err_msg=f"{mine.path} of {type(whole).__name__} after a run that was killed and resumed. "
            "What changes in training must be in variables, or in `training_state()`",
        )


def _spec(samples: int) -> RunSpec:
    return spec_from(
        {
            "model": "checked/model",
            "dataset": "checked/dataset",
            "backend": keras.backend.backend(),
            "epochs": _EPOCHS,
            "batch_size": max(1, samples // 3),
            "checkpoint_epochs": 1,
            "checkpoint_seconds": None,
            # XLA takes seconds, and has nothing to do with it.
            "jit": False if keras.backend.backend() == "tensorflow" else None,
        }
    )


def _trained(
    prepared: Callable[[], tuple[keras.Model, dict[str, Any]]],
    dataset: Any,
    spec: RunSpec,
    directory: RunDirectory,
    kills: bool = False,
) -> keras.Model:
    """Return the model of a run, taken up where it was left."""
    model, compiling = prepared()
    checkpoint, _ = Checkpoints(directory.checkpoints).newest()
    assembly = Assembly(model, dataset, compiling, [_Killer(kills)])
    with (
        StatusWriter(directory) as status,
        contextlib.closing(RecordWriter(directory.events)) as events,
        contextlib.closing(RecordWriter(directory.metrics)) as records,
        contextlib.suppress(_Killed),
    ):
        train(spec, assembly, Machine("cpu", 2, 0, 0), directory, status, events, records, Resumed(checkpoint))
    return model
