"""The worker: the process that executes a run. Started as `python -m kplug.training.worker RUN_DIRECTORY`."""

from __future__ import annotations

import contextlib
import signal
import sys
import time
import traceback
from pathlib import Path
from typing import Any

from kplug.errors import KplugError
from kplug.runs.directory import RunDirectory
from kplug.runs.records import RecordWriter
from kplug.runs.spec import RunSpec, read_spec_values, spec_from
from kplug.training.performance import Execution, choose_threads
from kplug.training.status import StatusWriter
from kplug.training.system import SystemSampler


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
            if not isinstance(error, KplugError):
                traceback.print_exc()
            message = str(error) if isinstance(error, KplugError) else f"{type(error).__name__}: {error}"
            print(f"failed: {message}", flush=True)
            status.update(state="failed", error=message, ended=time.time())
            return 1
    return 0


def _execute(spec: RunSpec, directory: RunDirectory, status: StatusWriter) -> dict[str, Any]:
    """Train, and return the status at the end."""
    threads = choose_threads(spec.backend)
    import keras

    from kplug.training.artifacts import write_artifacts
    from kplug.training.assembly import assemble
    from kplug.training.performance import choose_execution
    from kplug.training.pipeline import fit_arguments
    from kplug.training.recorder import Recorder

    keras.utils.set_random_seed(spec.seed)
    assembly = assemble(spec)
    model, dataset = assembly.model, assembly.dataset
    execution = choose_execution(model, dataset, spec.batch_size, threads)
    model.compile(
        **assembly.compile_arguments,
        steps_per_execution=execution.steps_per_execution,
        jit_compile=execution.jit_compile,
    )
    status.update(execution=execution.as_json())
    print(f"kplug: {execution.in_words()}", flush=True)

    with contextlib.closing(RecordWriter(directory.metrics)) as writer:
        recorder = Recorder(writer, status)
        if not status.stop_requested.is_set():
            _fit(model, dataset, spec, execution, recorder, fit_arguments)
        else:
            recorder.stopped_early = True
    if not model.built:
        return {"state": "stopped"}
    status.update(state="stopping" if recorder.stopped_early else "running", phase="artifacts")
    ending: dict[str, Any] = {"state": "stopped" if recorder.stopped_early else "completed", "phase": None}
    if dataset.test is not None and not recorder.stopped_early:
        ending["test_metrics"] = _evaluate(model, dataset.test, spec.batch_size)
    ending["artifact_error"] = write_artifacts(model, dataset, directory.artifacts)
    return ending


def _fit(model: Any, dataset: Any, spec: RunSpec, execution: Execution, recorder: Any, fit_arguments: Any) -> None:
    model.fit(
        **fit_arguments(dataset, spec.batch_size, spec.seed, execution),
        epochs=spec.epochs,
        callbacks=[recorder],
        verbose=0,
    )


def _evaluate(model: Any, split: Any, batch_size: int) -> dict[str, float]:
    if isinstance(split, tuple):
        x, y, *weights = split
        results = model.evaluate(x, y, *weights, batch_size=batch_size, return_dict=True, verbose=0)
    else:
        results = model.evaluate(split, return_dict=True, verbose=0)
    print("test  " + "  ".join(f"{name} {value:.6g}" for name, value in results.items()), flush=True)
    return {name: float(value) for name, value in results.items()}


if __name__ == "__main__":
    sys.exit(main())
