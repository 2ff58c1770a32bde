"""From an assembly to a trained model: compiled, taken up where it was left, fitted, with records and checkpoints."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Mapping
from typing import Any

import keras
import numpy as np

from kplug.errors import DataError, KplugError
from kplug.runs.directory import RunDirectory
from kplug.runs.records import RecordWriter
from kplug.runs.spec import RunSpec
from kplug.training import training_state
from kplug.training.assembly import Assembly, attach, prepare
from kplug.training.best_model import BestModel
from kplug.training.checkpointer import Checkpointer, Schedule
from kplug.training.checkpoints import Checkpoints
from kplug.training.fingerprint import fingerprint
from kplug.training.performance import Machine, choose_execution
from kplug.training.pipeline import first_batch, fit_arguments, rest_of_epoch, steps_per_epoch, training_arrays
from kplug.training.position import Position
from kplug.training.recorder import Recorder
from kplug.training.resumed import Resumed
from kplug.training.run_callbacks import RunCallbacks
from kplug.training.status import StatusWriter
from kplug.training.structures import read_back
from kplug.training.warned import warn


def train(
    spec: RunSpec,
    assembly: Assembly,
    machine: Machine,
    directory: RunDirectory,
    status: StatusWriter,
    events: RecordWriter,
    records: RecordWriter,
    resumed: Resumed,
) -> Recorder:
    """Train a run's model from where it was left, and return what knows how far it went.

    The metric records behind the checkpoint are cut off once its state has been put back: a run that cannot be taken up
    loses nothing.

    Raises:
        DataError: If the data do not fit the model, or are others than before.
        CheckpointError: If the checkpoint is not of this model.
    """
    model, dataset = assembly.model, assembly.dataset
    arrays = training_arrays(dataset.train)
    data_fingerprint = fingerprint(arrays)
    validation_fingerprint = fingerprint(training_arrays(dataset.validation))
    _insist_same_data(resumed, {"data": data_fingerprint, "validation": validation_fingerprint}, spec)
    if arrays is not None:
        prepare(model, arrays)
    else:
        attach(model, dataset.train)
        _say_if_in_vain(spec, model, events)
    execution = resumed.execution or choose_execution(
        spec.backend, machine, model, assembly.compile_arguments["optimizer"], arrays, spec.batch_size, spec.jit
    )
    model.compile(
        **assembly.compile_arguments,
        steps_per_execution=execution.steps_per_execution,
        jit_compile=execution.jit_compile,
    )
    if execution.fused_adam:
        from kplug.training.fused_adam import fuse

        # In half precision Keras puts one that scales the loss around it.
        fuse(getattr(model.optimizer, "inner_optimizer", model.optimizer))
    status.update(execution=execution.as_json(), data_sha256=data_fingerprint)
    print(f"kplug: {execution.in_words()}", flush=True)

    data, own_callbacks = fit_arguments(dataset, arrays, execution, spec.batch_size, spec.seed)
    position = resumed.position
    kept = [*assembly.callbacks, *([BestModel(spec.best, directory.artifacts)] if spec.best else [])]

    named: set[str] = set()

    def left_out(name: str) -> None:
        if name not in named:
            named.add(name)
            message = (
                f"checkpoints do not have {name}: it cannot be kept, and is as at the beginning when the run is resumed"
            )
            warn(events, message)

    def capture() -> dict[str, Any]:
        status.insist_mine()
        return {
            "training": training_state.capture(model, kept, left_out),
            "metrics_bytes": records.flushed_size(),
            "data": data_fingerprint,
            "validation": validation_fingerprint,
            "execution": execution.as_json(),
        }

    steps = steps_per_epoch(dataset.train, arrays, spec.batch_size, execution.devices)
    recorder = Recorder(records, status, execution.record_every, position)
    checkpointer = Checkpointer(
        Checkpoints(directory.checkpoints, None if resumed.checkpoint is None else resumed.checkpoint.step),
        Schedule(spec.checkpoint_seconds, spec.checkpoint_batches, spec.checkpoint_epochs),
        recorder,
        capture=capture,
        written=lambda reached, problem: _report_checkpoint(events, reached, problem),
        # Of an epoch of unknown length nothing may be left, which Keras takes on TensorFlow alone.
        mid_epoch=rest_of_epoch(data["x"], 0) is not None and (steps is not None or spec.backend == "tensorflow"),
    )
    callbacks = RunCallbacks(
        [*own_callbacks, *kept, recorder, checkpointer],
        kept,
        model,
        spec.epochs,
        steps,
        position,
        _training_of(resumed),
        restored=lambda: records.cut(resumed.records_size),
    )
    if not status.stop_requested.is_set():
        if position.ended and position.epoch < spec.epochs:
            warn(
                events,
                f"a callback ended the training in epoch {position.epoch}, so that there is nothing to go on with",
            )
        if resumed.checkpoint is not None:
            _build(model, data)
        try:
            _fit(model, data, spec.epochs, position, callbacks)
        except KplugError:
            raise
        except Exception as error:
            if status.trained or not _speaks_of_data(error):
                raise
            raise DataError(_misfit(spec, arrays, error)) from error
    return recorder


def _training_of(resumed: Resumed) -> Any:
    """Return the training's state, as `training_state.capture` gave it, or `None`."""
    if resumed.checkpoint is None:
        return None
    return read_back(resumed.checkpoint.state["training"], resumed.checkpoint.arrays)


def _fit(model: keras.Model, data: dict[str, Any], epochs: int, position: Position, callbacks: RunCallbacks) -> None:
    """Fit from a position on: the rest of an epoch that was begun, then the other epochs."""
    first = position.epoch
    if position.batch:
        rest = {**data, "x": rest_of_epoch(data["x"], position.batch)}
        with _without_end(model.optimizer):
            model.fit(**rest, initial_epoch=first, epochs=first + 1, callbacks=callbacks, verbose=0)
        first += 1
    over = position.ended or (position.batch > 0 and model.stop_training)
    if over or first >= epochs:
        callbacks.on_train_begin()
        if isinstance(model.optimizer, keras.optimizers.Optimizer):
            # What `fit` does at its end, and was kept from in the rest of an epoch.
            model.optimizer.finalize_variable_values(model.trainable_weights)
    else:
        model.fit(**data, initial_epoch=first, epochs=epochs, callbacks=callbacks, verbose=0)
    callbacks.end()


@contextlib.contextmanager
def _without_end(optimizer: Any) -> Any:
    """Keep `fit` from giving weights the values that they have at the end of a training (moving averages, say)."""
    optimizer.finalize_variable_values = lambda variables: None
    try:
        yield
    finally:
        del optimizer.finalize_variable_values


def _build(model: keras.Model, data: dict[str, Any]) -> None:
    """Make all variables that training makes at its first batch, so that they can be given their values.

    What that changes (metrics, random generators) is put back with the rest.
    """
    if not hasattr(model, "attach"):  # one that has built itself
        batch = keras.tree.map_structure(_for_backend, first_batch(data))
        model.test_on_batch(*keras.utils.unpack_x_y_sample_weight(batch))
    if not model.optimizer.built:  # a second time, one that scales the loss would make its variables twice
        model.optimizer.build(model.trainable_variables)


def _for_backend(values: Any) -> Any:
    """Return another library's tensors (those of a `tf.data.Dataset` on JAX, say) as arrays."""
    foreign = hasattr(values, "__array__") and not keras.ops.is_tensor(values)
    return np.asarray(values) if foreign else values


def _insist_same_data(resumed: Resumed, now: Mapping[str, str | None], spec: RunSpec) -> None:
    if resumed.checkpoint is None:
        return
    before = resumed.checkpoint.state
    changed = [name for name in now if name in before and before[name] != now[name]]
    if changed:
        what = {"data": "training", "validation": "validation"}[changed[0]]
        raise DataError(
            f"The {what} data of data set {spec.dataset.name} are not those that the run began with, so it cannot go "
            "on. Bring them back, or start a new run."
        )


def _say_if_in_vain(spec: RunSpec, model: keras.Model, events: RecordWriter) -> None:
    """Say so if a batch size was chosen for data that come in batches of their own."""
    if spec.batch_size == RunSpec.model_fields["batch_size"].default:
        return
    own = getattr(model, "batch_size", None)
    remedy = f" The model's own is batch_size={own}: --set model.batch_size={spec.batch_size}" if own else ""
    warn(
        events,
        f"batch_size={spec.batch_size} says nothing here: data set {spec.dataset.name} comes in batches of its own."
        f"{remedy}",
    )


def _report_checkpoint(events: RecordWriter, position: Position, problem: str | None) -> None:
    place = {"epoch": position.epoch, "batch": position.batch, "step": position.step}
    if problem is None:
        events.write({"time": time.time(), "event": "checkpoint", **place})
        return
    with contextlib.suppress(OSError):
        events.write({"time": time.time(), "event": "checkpoint failed", **place, "error": problem})
    print(f"warning: the checkpoint at step {position.step} could not be written: {problem}", flush=True)


def _speaks_of_data(error: Exception) -> bool:
    """Say whether an error is of the kind that Keras and TensorFlow raise for shapes and values they cannot use."""
    return isinstance(error, ValueError) or type(error).__name__ == "InvalidArgumentError"


def _misfit(spec: RunSpec, arrays: Any, error: Exception) -> str:
    shapes = "" if arrays is None else f" (x of shape {_shapes(arrays[0])}, y of shape {_shapes(arrays[1:])})"
    return (
        f"model {spec.model.name} cannot be trained on data set {spec.dataset.name}{shapes}; "
        f"it ended at once with {type(error).__name__}: {str(error).strip()}"
    )


def _shapes(arrays: Any) -> str:
    return ", ".join(str(array.shape) for array in keras.tree.flatten(arrays)) or "nothing"
