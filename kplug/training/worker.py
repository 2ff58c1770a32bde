"""The worker: the process that executes a run. Started as `python -m kplug.training.worker RUN_DIRECTORY START`."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import time
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kplug.damaged_metadata import pass_over_damaged
from kplug.errors import CheckpointError, KplugError, RunStorageError
from kplug.runs.devices import Gpu, named_gpus
from kplug.runs.directory import RunDirectory
from kplug.runs.json_file import read_json_object
from kplug.runs.lock import RunLock
from kplug.runs.queue import QUEUED, wait_for_place
from kplug.runs.records import RecordWriter
from kplug.runs.status_file import ENDED
from kplug.training.console import keep_printing
from kplug.training.status import StatusWriter
from kplug.training.warned import warn, warnings_told

# Here is only what a run needs that waits for its place: hundreds may wait beside one that trains.
if TYPE_CHECKING:
    from kplug.runs.spec import RunSpec
    from kplug.training.assembly import Assembly
    from kplug.training.checkpoints import Checkpoint
    from kplug.training.recorder import Recorder
    from kplug.training.resumed import Resumed

_LOCK_PATIENCE = 10.0
_WAITING_FOR_SHOWN = 5


def main() -> int:
    """Execute the run whose directory is the first argument, and return the exit code.

    The second is the mark of the start that this worker is for: one that a launcher brings late may find the run ended,
    or started anew.
    """
    directory = RunDirectory(Path(sys.argv[1]))
    keep_printing()
    pass_over_damaged()
    # Held until the process is gone, however it ends.
    lock = RunLock(directory.lock)
    # Who resumes a run holds it for a moment.
    if not lock.acquire(_LOCK_PATIENCE):
        print(f"{directory.path} already has a worker; this one ends.", flush=True)
        return 1
    status = StatusWriter(directory)
    if sys.argv[2:] and (status.before.get("state") in ENDED or status.before.get("start") != sys.argv[2]):
        print(f"{directory.path} has ended, or was started anew, since this worker was asked for; it ends.", flush=True)
        return 1
    _heed_signals(status)  # before the status says whom to signal
    with status, _events(directory, status) as events:
        try:
            ending = _waited(directory, status, events) or _executed(directory, status, events)
        except Exception as error:  # noqa: BLE001 - whatever ends a run is that run's result
            ending = _failure(error, status)
        if status.successor is None:
            with contextlib.suppress(OSError):
                events.write({"time": time.time(), "event": ending["state"], **_said(ending)})
        status.update(**ending, ended=time.time())
    return 1 if ending["state"] == "failed" else 0


def _heed_signals(status: StatusWriter) -> None:
    signal.signal(signal.SIGTERM, lambda *_: status.request_stop())
    # Ctrl-C in some terminals reaches every process; a run ends by SIGTERM or `kplug runs stop` alone.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if hasattr(signal, "SIGHUP"):
        signal.signal(signal.SIGHUP, signal.SIG_IGN)  # a terminal's end is no run's end


@contextlib.contextmanager
def _events(directory: RunDirectory, status: StatusWriter) -> Iterator[RecordWriter]:
    """Open the record of what happens to the run; a run that cannot have one fails."""
    try:
        writer = RecordWriter(directory.events)
    except RunStorageError as error:
        status.update(**_failure(error, status), ended=time.time())
        raise SystemExit(1) from None
    try:
        yield writer
    finally:
        with contextlib.suppress(OSError):
            writer.close()


def _failure(error: Exception, status: StatusWriter) -> dict[str, Any]:
    """Print what went wrong, and return the status at the end."""
    told = isinstance(error, KplugError)
    if not told or error.__cause__ is not None:
        traceback.print_exc()
    message = str(error) if told else f"{type(error).__name__}: {error}"
    print(f"failed: {message}", flush=True)
    trace = "".join(traceback.format_exception(error))
    refused = told and not status.trained and "resumed" not in status.before
    return {"state": "failed", "error": message, "refused": refused, "traceback": None if told else trace}


def _said(ending: dict[str, Any]) -> dict[str, Any]:
    return {name: ending[name] for name in ("error", "traceback") if ending.get(name)}


def _waited(directory: RunDirectory, status: StatusWriter, events: RecordWriter) -> dict[str, Any] | None:
    """Wait until the run has a place, if it was told to; return the status at the end if it was stopped instead."""
    if status.before.get("state") != QUEUED:
        return None
    events.write({"time": time.time(), "event": QUEUED})

    def tell(before: list[str]) -> None:
        status.update(before_it=len(before), waiting_for=before[:_WAITING_FOR_SHOWN])
        more = ", …" if len(before) > _WAITING_FOR_SHOWN else ""
        shown = ", ".join(before[:_WAITING_FOR_SHOWN]) + more
        print(f"kplug: waiting for a place; before it: {len(before)} ({shown})", flush=True)

    def begin() -> None:
        status.update(state="starting", started=time.time(), before_it=0, waiting_for=[])

    with contextlib.suppress(OSError, ValueError, KeyError, TypeError):  # a damaged spec is told of where it is checked
        status.update(awaited_gpus=named_gpus(read_json_object(directory.spec)["device"]))
    places = int(status.before["max_running"])
    if not wait_for_place(directory, places, tell, status.stop_requested.is_set, begin):
        return {"state": "stopped", "before_it": 0, "waiting_for": []}
    return None


def _executed(directory: RunDirectory, status: StatusWriter, events: RecordWriter) -> dict[str, Any]:
    """Choose the devices and train, and return the status at the end."""
    from kplug.runs.own_files import located
    from kplug.runs.spec import read_spec_values, spec_from
    from kplug.training.checkpoints import Checkpoints
    from kplug.training.devices import use_device
    from kplug.training.performance import Execution
    from kplug.training.resumed import Resumed
    from kplug.training.system import SystemSampler

    spec = located(spec_from(read_spec_values(directory.spec), str(directory.spec)), directory)
    checkpoint, problems = Checkpoints(directory.checkpoints).newest()
    if problems and checkpoint is None:
        # To begin anew here would cut the records of what was trained.
        remedy = (
            f"No checkpoint is left to go on from. Nothing was changed; to begin anew: kplug runs clone {directory.id}"
        )
        raise CheckpointError("\n".join([*problems, remedy]))
    problems += _missing_records(checkpoint, directory)
    # The status has it too, but is written every second, and lost more easily.
    before = (checkpoint and checkpoint.state.get("execution")) or status.before.get("execution")
    gpus = use_device(spec.device, directory, before, status.update)
    resumed = Resumed(checkpoint, None if checkpoint is None else Execution.from_json(before))
    with SystemSampler(directory), warnings_told(events):
        return _execute(spec, directory, status, events, gpus, resumed, problems)


def _execute(
    spec: RunSpec,
    directory: RunDirectory,
    status: StatusWriter,
    events: RecordWriter,
    gpus: list[Gpu] | None,
    resumed: Resumed,
    problems: list[str],
) -> dict[str, Any]:
    """Train, and return the status at the end."""
    from concurrent.futures import ThreadPoolExecutor
    from dataclasses import replace

    from kplug.training.devices import data_parallel, insist_found
    from kplug.training.environment import environment
    from kplug.training.performance import set_up_backend

    with ThreadPoolExecutor(1) as pool:
        # Git may take its time; importing Keras takes longer.
        surroundings = pool.submit(environment, spec)
        machine = replace(set_up_backend(spec.backend, resumed.execution), devices=max(1, len(gpus or ())))
        import keras

        from kplug.training.assembly import assemble
        from kplug.training.trainer import train

    insist_found(spec.device, spec.backend, machine, gpus)
    _report_start(status, events, surroundings.result(), resumed.position.step, problems)
    keras.config.set_dtype_policy(spec.precision)
    keras.utils.set_random_seed(spec.seed)
    # Closing it says which records could not be written, once the model has been saved.
    with data_parallel(spec.backend, machine.devices), contextlib.closing(RecordWriter(directory.metrics)) as records:
        assembly = assemble(spec)
        try:
            recorder = train(spec, assembly, machine, directory, status, events, records, resumed)
        except Exception:
            _keep_model(assembly, directory, status)
            raise
        return _ending(spec, assembly, recorder, directory, status, machine.devices)


def _keep_model(assembly: Assembly, directory: RunDirectory, status: StatusWriter) -> None:
    """Save what a training has learned that has failed; why it did is what is reported."""
    from kplug.training.artifacts import save_model

    if status.trained:
        with contextlib.suppress(Exception):
            status.insist_mine()
            save_model(assembly.model, directory.artifacts)


def _ending(
    spec: RunSpec,
    assembly: Assembly,
    recorder: Recorder,
    directory: RunDirectory,
    status: StatusWriter,
    devices: int,
) -> dict[str, Any]:
    """Save, evaluate and draw what was trained, and return the status at the end."""
    from kplug.training.artifacts import draw_artifacts, save_model

    model, dataset = assembly.model, assembly.dataset
    stopped = status.stop_requested.is_set() and not recorder.completed
    ending: dict[str, Any] = {"state": "stopped" if stopped else "completed", "phase": None}
    status.insist_mine()
    # A run that was stopped before it was taken up has a model with fresh weights; that of its last time stays.
    if not recorder.began or recorder.position.step == 0:
        return ending
    status.update(phase="saving the model")
    save_model(model, directory.artifacts)
    if dataset.test is not None and not stopped:
        status.update(phase="evaluating")
        ending |= _evaluate(model, dataset.test, spec.batch_size, devices)
    status.update(phase="drawing")
    ending["artifact_error"] = draw_artifacts(model, dataset, directory.artifacts)
    return ending


def _missing_records(checkpoint: Checkpoint | None, directory: RunDirectory) -> list[str]:
    """Say so if there are fewer metric records than there were at the checkpoint."""
    if checkpoint is None:
        return []
    there = directory.metrics.stat().st_size if os.path.exists(directory.metrics) else 0  # noqa: PTH110
    missing = int(checkpoint.state["metrics_bytes"]) - there
    return [f"{missing} bytes of {directory.metrics.name} are missing: that much of the curves"] if missing > 0 else []


def _report_start(
    status: StatusWriter, events: RecordWriter, surroundings: dict[str, Any], step: int, problems: list[str]
) -> None:
    again = "resumed" in status.before
    event: dict[str, Any] = {"time": time.time(), "event": "resumed" if again else "started", **surroundings}
    if again:
        event["step"] = step
        print(f"kplug: resumed at step {step}", flush=True)
    events.write(event)
    for problem in problems:
        warn(events, problem)


def _evaluate(model: Any, split: Any, batch_size: int, devices: int) -> dict[str, Any]:
    """Return the test metrics as status fields, or what went wrong: the model is trained, and stays so."""
    from kplug.training.pipeline import shareable
    from kplug.training.recorder import scalar_metrics

    split = shareable(split, batch_size, devices)
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
