"""The worker: the process that executes a run. Started as `python -m kplug.training.worker RUN_DIRECTORY`."""

from __future__ import annotations

import contextlib
import signal
import sys
import time
import traceback
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kplug.errors import DataError, KplugError
from kplug.runs.directory import RunDirectory
from kplug.runs.records import RecordWriter
from kplug.runs.spec import RunSpec, read_spec_values, spec_from
from kplug.training.performance import Machine, choose_execution, set_up_backend
from kplug.training.status import StatusWriter
from kplug.training.system import SystemSampler

if TYPE_CHECKING:
    from kplug.training.assembly import Assembly
    from kplug.training.recorder import Recorder


def main() -> int:
    """Execute the run whose directory is the first argument, and return the exit code."""
    directory = RunDirectory(Path(sys.argv[1]))
    with StatusWriter(directory) as status:
        signal.signal(signal.SIGTERM, lambda *_: status.request_stop())
        # Ctrl-C in some terminals reaches every process; a run ends by SIGTERM or `kplug runs stop` alone.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        try:
            spec = spec_from(read_spec_values(directory.spec), str(directory.spec))
            with SystemSampler(directory):
                status.update(**_execute(spec, directory, status), ended=time.time())
        except Exception as error:  # noqa: BLE001 - whatever ends a run is that run's result
            if not isinstance(error, KplugError) or error.__cause__ is not None:
                traceback.print_exc()
            message = str(error) if isinstance(error, KplugError) else f"{type(error).__name__}: {error}"
            print(f"failed: {message}", flush=True)
            refused = isinstance(error, KplugError) and not status.trained
            status.update(state="failed", error=message, refused=refused, ended=time.time())
            return 1
    return 0


def _execute(spec: RunSpec, directory: RunDirectory, status: StatusWriter) -> dict[str, Any]:
    """Train, and return the status at the end."""
    machine = set_up_backend(spec.backend)
    import keras

    from kplug.training.artifacts import draw_artifacts, save_model
    from kplug.training.assembly import assemble
    from kplug.training.recorder import Recorder

    keras.utils.set_random_seed(spec.seed)
    assembly = assemble(spec)
    model, dataset = assembly.model, assembly.dataset
    with contextlib.closing(RecordWriter(directory.metrics)) as writer:
        recorder = Recorder(writer, status)
        _train(spec, machine, assembly, recorder, status)
    stopped = status.stop_requested.is_set() and not recorder.completed
    ending: dict[str, Any] = {"state": "stopped" if stopped else "completed", "phase": None}
    if recorder.step == 0:
        return ending
    status.update(phase="saving the model")
    save_model(model, directory.artifacts)
    if dataset.test is not None and not stopped:
        status.update(phase="evaluating")
        ending |= _evaluate(model, dataset.test, spec.batch_size)
    status.update(phase="drawing")
    ending["artifact_error"] = draw_artifacts(model, dataset, directory.artifacts)
    return ending


def _train(spec: RunSpec, machine: Machine, assembly: Assembly, recorder: Recorder, status: StatusWriter) -> None:
    from kplug.training.assembly import prepare
    from kplug.training.pipeline import fit_arguments, training_arrays

    model, dataset = assembly.model, assembly.dataset
    arrays = training_arrays(dataset.train)
    if arrays is not None:
        prepare(model, arrays)
    execution = choose_execution(
        spec.backend, machine, model, assembly.compile_arguments["optimizer"], arrays, spec.batch_size
    )
    model.compile(
        **assembly.compile_arguments,
        steps_per_execution=execution.steps_per_execution,
        jit_compile=execution.jit_compile,
    )
    if execution.fused_adam:
        from kplug.training.fused_adam import fuse

        fuse(model.optimizer)
    status.update(execution=execution.as_json())
    print(f"kplug: {execution.in_words()}", flush=True)
    data, data_callbacks = fit_arguments(dataset, arrays, execution, spec.batch_size, spec.seed)
    if status.stop_requested.is_set():
        return
    try:
        model.fit(**data, epochs=spec.epochs, callbacks=[*data_callbacks, recorder], verbose=0)
    except Exception as error:
        if status.trained or not _speaks_of_data(error):
            raise
        raise DataError(_misfit(spec, arrays, error)) from error


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
    import keras

    return ", ".join(str(array.shape) for array in keras.tree.flatten(arrays)) or "nothing"


def _evaluate(model: Any, split: Any, batch_size: int) -> dict[str, Any]:
    """Return the test metrics as status fields, or what went wrong: the model is trained, and stays so."""
    from kplug.training.recorder import scalar_metrics

    if isinstance(split, tuple):
        data = {**dict(zip(("x", "y", "sample_weight"), split, strict=False)), "batch_size": batch_size}
    else:
        data = {"x": split}
    try:
        results = scalar_metrics(model.evaluate(**data, return_dict=True, verbose=0))
    except Exception as error:  # noqa: BLE001 - a test split that does not fit must not cost the run its result
        traceback.print_exc()
        return {"evaluation_error": f"{type(error).__name__}: {error}"}
    print("test  " + "  ".join(f"{name} {value:.6g}" for name, value in results.items()), flush=True)
    return {"test_metrics": results}


if __name__ == "__main__":
    sys.exit(main())
