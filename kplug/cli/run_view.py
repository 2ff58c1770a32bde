"""One run as `kplug runs show` prints it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kplug.cli.output import print_fields
from kplug.plain_text import moment
from kplug.runs import Run
from kplug.runs.labels import read_labels
from kplug.runs.run import seconds_taken
from kplug.runs.summary import summary_of

_CHECKPOINT = "checkpoint"


def run_as_json(run: Run) -> dict[str, Any]:
    """Return all that is known of a run, but for its records."""
    return {
        **summary_of(run),
        "path": str(run.directory.path),
        "status": run.status,
        "spec": run.spec.model_dump(),
        "events": run.events(),
        "artifacts": [str(path) for path in run.artifacts()],
    }


def print_run(run: Run) -> None:
    """Print what was asked, how far it is, what happened to it, its last metrics and its artifacts."""
    status = run.status
    print_fields(_fields(run, status))
    history = [_event(event) for event in run.events() if event.get("event") != _CHECKPOINT]
    if history:
        print("\nhistory")
        print_fields(history, indent="  ")
    for title, metrics in (("last metrics", run.last_metrics()), ("test metrics", status.get("test_metrics") or {})):
        if metrics:
            print(f"\n{title}")
            print_fields([(name, f"{value:.6g}") for name, value in metrics.items()], indent="  ")
    if run.artifacts():
        print("\nartifacts")
        for path in run.artifacts():
            print_fields([(str(path), "")], indent="  ")


def _fields(run: Run, status: dict[str, Any]) -> list[tuple[str, str]]:
    spec, labels = run.spec, read_labels(run.directory)
    fields = [("id", run.id), ("name", labels.name or spec.name or ""), ("state", str(status["state"]))]
    if status.get("waiting_for"):
        shown = [str(one) for one in status["waiting_for"]]
        others = (status.get("before_it") or 0) - len(shown)
        fields.append(("waiting for", ", ".join(shown) + (f" and {others} others" if others > 0 else "")))
    if labels.tags:
        fields.append(("tags", ", ".join(labels.tags)))
    if labels.note:
        fields.append(("note", labels.note))
    if status.get("error"):
        fields.append(("error", str(status["error"])))
    if status.get("evaluation_error"):
        fields.append(("test split", f"could not be evaluated: {status['evaluation_error']}"))
    if status.get("artifact_error"):
        fields.append(("artifacts", f"not all could be drawn: {status['artifact_error']}"))
    fields += [("path", str(run.directory.path))]
    if status.get("parent"):
        fields.append(("made from", str(status["parent"])))
    for section in ("model", "dataset", "loss", "optimizer", "schedule", "launcher"):
        component = getattr(spec, section)
        if component is not None:
            parameters = ", ".join(f"{name}={value!r}" for name, value in component.parameters.items())
            fields.append((section, f"{component.name}({parameters})"))
    fields += [
        ("epochs", f"{status.get('epoch', 0)} of {spec.epochs}"),
        ("batch size", str(spec.batch_size)),
        ("seed", str(spec.seed)),
        ("backend", spec.backend),
        ("device", _device(spec.device, status)),
        ("precision", spec.precision),
    ]
    execution = status.get("execution")
    if isinstance(execution, dict):
        fields.append(("execution", ", ".join(f"{name} {value}" for name, value in execution.items())))
    seconds = seconds_taken(status)
    if seconds:
        fields.append(("trained for", f"{seconds:.1f} s"))
    return fields


def _device(asked: str, status: Mapping[str, Any]) -> str:
    used = [f"gpu:{gpu.get('index')} {gpu.get('name')}" for gpu in status.get("gpus") or ()]
    execution = status.get("execution")
    if not used and isinstance(execution, Mapping) and execution.get("device") not in {None, asked}:
        used = [str(execution["device"])]
    return f"{asked}: {', '.join(used)}" if used else asked


def _event(event: Mapping[str, Any]) -> tuple[str, str]:
    said = [str(event.get("event"))]
    if "step" in event:
        said.append(f"at step {event['step']}")
    said += [str(event[name]) for name in ("error", "message") if event.get(name)]
    return moment(event.get("time")) or "?", " ".join(said)
