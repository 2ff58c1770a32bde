"""What a list of runs shows of each, and what they can be asked about."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson

from kplug.errors import SpecError
from kplug.runs.labels import read_labels

if TYPE_CHECKING:
    from kplug.runs.run import Run
    from kplug.runs.spec import RunSpec

_TAIL_BYTES = (1 << 16, 1 << 23)


def summary_of(run: Run) -> dict[str, Any]:
    """Return a run's id, name, state, components, parameters, progress and last metrics, as JSON can hold them."""
    status, labels = run.status, read_labels(run.directory)
    try:
        spec: RunSpec | None = run.spec
    except SpecError:
        spec = None
    return {
        "id": run.id,
        "name": labels.name or (spec and spec.name),
        "tags": list(labels.tags),
        "note": labels.note,
        "state": status["state"],
        "model": spec and spec.model.name,
        "dataset": spec and spec.dataset.name,
        "loss_name": spec and spec.loss and spec.loss.name,
        "optimizer": spec and spec.optimizer and spec.optimizer.name,
        "schedule": spec and spec.schedule and spec.schedule.name,
        "backend": spec and spec.backend,
        "device": spec and spec.device,
        "batch_size": spec and spec.batch_size,
        "seed": spec and spec.seed,
        "epoch": status.get("epoch"),
        "epochs": status.get("epochs") or (spec and spec.epochs),
        "step": status.get("step"),
        "steps_per_epoch": status.get("steps_per_epoch"),
        "first_step": status.get("first_step"),
        "first_batch": status.get("first_batch"),
        "gpus": [gpu.get("index") for gpu in status.get("gpus") or () if isinstance(gpu, dict)],
        "host": status.get("host"),
        "parent": status.get("parent"),
        "created": status.get("created"),
        "queued": status.get("queued"),
        "started": status.get("started"),
        "ended": status.get("ended"),
        "error": status.get("error"),
        "metrics": last_epoch_metrics(run.directory.metrics),
        "test_metrics": status.get("test_metrics") or {},
        "parameters": {} if spec is None else _parameters(spec),
    }


def _parameters(spec: RunSpec) -> dict[str, Any]:
    """Return the hyper-parameters that were set, by `section.parameter`."""
    sections = {
        "model": spec.model,
        "dataset": spec.dataset,
        "loss": spec.loss,
        "optimizer": spec.optimizer,
        "schedule": spec.schedule,
        **{one.name.rpartition("/")[2]: one for one in (*spec.metrics, *spec.callbacks)},
    }
    return {
        f"{section}.{name}": value
        for section, component in sections.items()
        if component is not None
        for name, value in component.parameters.items()
    }


def last_epoch_metrics(path: Path) -> dict[str, float | None]:
    """Return the metrics of the last whole epoch in a file of metric records; `None` for those that were not finite.

    It is read from its end. Without a whole epoch in the last 8 MiB, the result is empty.
    """
    try:
        with path.open("rb") as file:
            end = file.seek(0, os.SEEK_END)
            for start in sorted({max(0, end - size) for size in _TAIL_BYTES}, reverse=True):
                file.seek(start)
                # Behind the last newline is nothing, or a torn line; the first line may have begun before `start`.
                lines = file.read().split(b"\n")[1 if start else 0 : -1]
                found = _last_epoch(lines)
                if found is not None:
                    return found
    except OSError:
        pass
    return {}


def _last_epoch(lines: list[bytes]) -> dict[str, float | None] | None:
    for line in reversed(lines):
        if b'"epoch_end":true' not in line:
            continue
        try:
            metrics = orjson.loads(line)["metrics"]
            return {name: None if value is None else float(value) for name, value in metrics.items()}
        except (ValueError, TypeError, KeyError, AttributeError, OverflowError):
            continue
    return None
