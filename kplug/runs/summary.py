"""What a list of runs shows of each, and what they can be asked about."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson

from kplug.runs.json_file import read_json_object
from kplug.runs.labels import Labels, read_labels

if TYPE_CHECKING:
    from kplug.runs.run import Run

_SECTIONS = ("model", "dataset", "loss", "optimizer", "schedule")
_SETTINGS = {"backend": str, "device": str, "batch_size": int, "seed": int}
_DEFAULTS = {"backend": "tensorflow", "device": "auto", "batch_size": 128, "seed": 0, "epochs": 10}
"""Those of `RunSpec`, whose pydantic takes longer to import than a list of runs takes."""

_TAIL_BYTES = (1 << 16, 1 << 23)


def summary_of(run: Run) -> dict[str, Any]:
    """Return a run's id, name, state, components, parameters, progress and last metrics, as JSON can hold them.

    Of a damaged spec, what it still says.
    """
    try:
        spec = read_json_object(run.directory.spec)
    except (OSError, ValueError):
        spec = None
    return _in_short(run.id, run.status, read_labels(run.directory), spec, last_epoch_metrics(run.directory.metrics))


def _in_short(
    run_id: str,
    status: Mapping[str, Any],
    labels: Labels,
    spec: Mapping[str, Any] | None,
    metrics: dict[str, float | None],
) -> dict[str, Any]:
    asked = {} if spec is None else {**_DEFAULTS, **spec}
    components = {section: _component(asked.get(section)) for section in _SECTIONS}
    for one in (*_listed(asked.get("metrics")), *_listed(asked.get("callbacks"))):
        components[one[0].rpartition("/")[2]] = one
    names = {section: components[section] and components[section][0] for section in _SECTIONS}  # type: ignore[index]
    gpus = [gpu for gpu in status.get("gpus") or () if isinstance(gpu, dict)]
    return {
        "id": run_id,
        "name": labels.name or _typed(str, asked.get("name")),
        "tags": list(labels.tags),
        "note": labels.note,
        "state": status.get("state"),
        "model": names["model"],
        "dataset": names["dataset"],
        "loss_name": names["loss"],
        "optimizer": names["optimizer"],
        "schedule": names["schedule"],
        "files": _files(asked.get("files")),
        **{field: _typed(kind, asked.get(field)) for field, kind in _SETTINGS.items()},
        "epoch": status.get("epoch"),
        "epochs": status.get("epochs") or _typed(int, asked.get("epochs")),
        "step": status.get("step"),
        "steps_per_epoch": status.get("steps_per_epoch"),
        "first_step": status.get("first_step"),
        "first_batch": status.get("first_batch"),
        "gpus": [gpu.get("index") for gpu in gpus],
        "gpu_uuids": [gpu.get("uuid") for gpu in gpus],
        "host": status.get("host"),
        "parent": status.get("parent"),
        "created": status.get("created"),
        "queued": status.get("queued"),
        "started": status.get("started"),
        "ended": status.get("ended"),
        "error": status.get("error"),
        "metrics": metrics,
        "test_metrics": status.get("test_metrics") or {},
        "parameters": {
            f"{section}.{name}": value
            for section, component in components.items()
            if component is not None
            for name, value in component[1].items()
        },
    }


def _component(value: Any) -> tuple[str, Mapping[str, Any]] | None:
    """Return a component's name and the parameters that were set, or `None` if it is none."""
    if not isinstance(value, Mapping) or not isinstance(value.get("name"), str):
        return None
    parameters = value.get("parameters")
    return value["name"], parameters if isinstance(parameters, Mapping) else {}


def _files(value: Any) -> str | None:
    """Return the names of a run's own files, with what tells their contents apart; `None` if it has none."""
    if not isinstance(value, Mapping) or not value:
        return None
    return ", ".join(f"{Path(path).name} {str(digest)[:12]}" for path, digest in value.items())


def _listed(value: Any) -> list[tuple[str, Mapping[str, Any]]]:
    found = [_component(one) for one in value] if isinstance(value, list) else []
    return [one for one in found if one is not None]


def _typed(kind: type, value: Any) -> Any:
    return value if isinstance(value, kind) and not isinstance(value, bool) else None


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


FIELDS = tuple(_in_short("", {}, Labels(), None, {}))
"""The names of all that a summary has."""
