"""Runs of people's own scripts and notebooks, recorded beside the others."""

from __future__ import annotations

import os
import sys
import time
import traceback
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

import keras

from kplug.errors import RunStorageError
from kplug.places import runs_root
from kplug.runs.directory import RunDirectory, create_run_directory
from kplug.runs.labels import checked_name
from kplug.runs.records import RecordWriter
from kplug.runs.run import Run
from kplug.runs.spec import RunSpec, spec_from
from kplug.training.artifacts import save_model
from kplug.training.environment import environment
from kplug.training.performance import record_every
from kplug.training.recorder import Recorder
from kplug.training.status import StatusWriter
from kplug.training.system import SystemSampler


def track(
    name: str | None = None,
    spec: Mapping[str, Any] | None = None,
    save: bool = True,
    runs_dir: str | os.PathLike | None = None,
) -> RunTracker:
    """Return a callback that records a `model.fit` of your own as a run.

    The run is listed, shown, compared and exported as those that `kplug train` starts. `kplug runs stop` ends its `fit`
    at the next batch. It is not resumed: what it does is in your script.

    Args:
        name: What to call the run.
        spec: What to record of what was asked: the fields of a run spec, such as `{"model": {"name": "my_model",
            "parameters": {"width": 8}}, "dataset": "my_data", "batch_size": 32}`. Other
            names, `{"lr": 0.1}`, are the script's own and count as parameters of the model. What is missing is read off
            the model where that can be done.
        save: Whether to leave the model as `model.keras` at the end.
        runs_dir: The directory that holds the runs; the usual one by default.

    Returns:
        A Keras callback, with the run as its attribute `run` once `fit` has begun. As a context manager around `fit` it
        records an error in it too.

    Raises:
        SpecError: If `spec` has values that cannot be recorded, or the name control characters.

    Example:

    ```python
    with kplug.track("baseline", spec={"dataset": "my_data"}) as tracker:
        model.fit(x, y, epochs=10, callbacks=[tracker])
    ```
    """
    return RunTracker(name, spec, save, None if runs_dir is None else Path(runs_dir))


class RunTracker(keras.callbacks.Callback):
    """What `kplug.track` returns; each `fit` is a run of its own.

    Args:
        name: What to call the run.
        spec: What was asked.
        save: Whether to leave the model.
        root: The directory that holds the runs; the usual one by default.

    Attributes:
        run: The run, or `None` before `fit` has begun.
    """

    def __init__(
        self,
        name: str | None = None,
        spec: Mapping[str, Any] | None = None,
        save: bool = True,
        root: Path | None = None,
    ) -> None:
        super().__init__()
        self._given = {**({} if spec is None else spec), **({} if name is None else {"name": name})}
        # Wrong fields are refused before anything starts.
        given_name = _spec_of(self._given, "model", None, {}).name
        if given_name is not None:
            self._given["name"] = checked_name(given_name)
        self._save = save
        self._root = root
        self._parts: _Parts | None = None
        self.run: Run | None = None

    def __enter__(self) -> RunTracker:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._parts is not None:
            self._finish(error)

    def on_train_begin(self, logs: Mapping[str, Any] | None = None) -> None:
        if self._parts is not None:
            self._finish(None)
        spec = _spec_of(self._given, self.model.name, getattr(self.model, "optimizer", None), self.params)
        told = {"command": sys.argv, "cwd": os.fspath(Path.cwd()), "tracked": True}
        directory = create_run_directory(runs_root(self._root), spec, told)
        self.run = Run(directory)
        self._parts = _Parts(directory, self.params)
        self._recorder.set_model(self.model)
        self._recorder.set_params(self.params)
        self._recorder.on_train_begin(logs)

    def on_epoch_begin(self, epoch: int, logs: Mapping[str, Any] | None = None) -> None:
        self._recorder.on_epoch_begin(epoch, logs)

    def on_train_batch_begin(self, batch: int, logs: Mapping[str, Any] | None = None) -> None:
        self._recorder.on_train_batch_begin(batch, logs)

    def on_train_batch_end(self, batch: int, logs: Mapping[str, Any] | None = None) -> None:
        self._recorder.on_train_batch_end(batch, logs)

    def on_epoch_end(self, epoch: int, logs: Mapping[str, Any] | None = None) -> None:
        self._recorder.on_epoch_end(epoch, logs)

    def on_train_end(self, logs: Mapping[str, Any] | None = None) -> None:
        self._recorder.on_train_end(logs)
        self._finish(None)

    @property
    def _recorder(self) -> Recorder:
        if self._parts is None:
            raise RuntimeError("The tracker is not in a fit: give it to `model.fit(callbacks=[tracker])`.")
        return self._parts.recorder

    def _finish(self, error: BaseException | None) -> None:
        parts, self._parts = self._parts, None
        if parts is None:
            return
        ending: dict[str, Any] = {"state": "completed" if parts.recorder.completed else "stopped"}
        if error is not None:
            trace = "".join(traceback.format_exception(error))
            ending = {"state": "failed", "error": f"{type(error).__name__}: {error}", "traceback": trace}
        elif self._save and parts.recorder.position.step:
            try:
                save_model(self.model, parts.directory.artifacts)
            except Exception as problem:  # noqa: BLE001 - the script's own model must not fail for its copy
                ending["artifact_error"] = f"{type(problem).__name__}: {problem}"
        parts.finish(ending)


class _Parts:
    """What is open while a run is recorded."""

    def __init__(self, directory: RunDirectory, params: Mapping[str, Any]) -> None:
        self.directory = directory
        self.status = StatusWriter(directory, stop_when_gone=False)  # it is the script's fit, not the directory's
        self.status.__enter__()
        self.system = SystemSampler(directory)
        self.system.__enter__()
        self.events = RecordWriter(directory.events)
        self.events.write({"time": time.time(), "event": "started", **environment()})
        self.records = RecordWriter(directory.metrics)
        every = record_every(steps_per_epoch=params.get("steps"))
        self.recorder = Recorder(self.records, self.status, every, printing=False)

    def finish(self, ending: Mapping[str, Any]) -> None:
        """Close everything, with the status at the end."""
        self.system.__exit__(None, None, None)
        self.status.__exit__(None, None, None)
        told = {name: ending[name] for name in ("error", "traceback") if name in ending}
        self.events.write({"time": time.time(), "event": ending["state"], **told})
        problem: dict[str, str] = {}
        for writer in (self.events, self.records):
            try:
                writer.close()
            except RunStorageError as error:  # the script goes on, whatever became of its records
                problem = {"error": str(error)}
        self.status.update(**{**problem, **ending}, ended=time.time())


def _spec_of(given: Mapping[str, Any], model: str, optimizer: Any, params: Mapping[str, Any]) -> RunSpec:
    """Return a run spec of what was given and what can be read off the training."""
    known: dict[str, Any] = {"model": f"script/{model}", "dataset": "script/data", "backend": keras.backend.backend()}
    if optimizer is not None:
        rate = getattr(optimizer, "_learning_rate", None)
        parameters = {"learning_rate": float(rate)} if isinstance(rate, keras.Variable) else {}
        known["optimizer"] = {"name": type(optimizer).__name__.lower(), "parameters": parameters}
    if params.get("epochs"):
        known["epochs"] = params["epochs"]
    # What a run spec has no field for is the script's own: a learning rate, a note on the data.
    own = {name: value for name, value in given.items() if name not in RunSpec.model_fields}
    asked = {name: value for name, value in given.items() if name in RunSpec.model_fields}
    values = {**known, **asked}
    if own:
        part = values["model"] if isinstance(values["model"], Mapping) else {"name": values["model"]}
        values["model"] = {**part, "parameters": {**part.get("parameters", {}), **own}}
    return spec_from(values, "the spec given to kplug.track")
