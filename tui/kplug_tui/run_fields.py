"""The fields of a run besides its components, as hyper-parameters; and the few values that some take."""

from __future__ import annotations

import functools
import importlib.util
import json
from collections.abc import Mapping, Sequence
from typing import Any

from kplug.catalog.parameters import Parameter, Schema
from kplug.runs.spec import BACKENDS, RunSpec

TRAINING = ("epochs", "batch_size", "seed", "backend", "device", "precision", "jit", "max_running")
CHECKPOINTS = ("checkpoint_seconds", "checkpoint_batches", "checkpoint_epochs", "best")
NAMING = ("name",)
FOUND = frozenset({"files"})
"""Fields that nobody fills in: they are found when a run is started."""

_MAX_RUNNING = Parameter(
    "max_running",
    {"anyOf": [{"type": "integer", "minimum": 1}, {"type": "null"}]},
    help="Wait until fewer than this many runs go on, here or on the named GPUs. By default the run starts at once.",
)
_FEW = 12


@functools.cache
def run_parameters() -> Mapping[str, Parameter]:
    """Return the fields by name; what they mean is what `RunSpec` documents."""
    import docstring_parser

    helps = {one.arg_name: one.description or "" for one in docstring_parser.parse(RunSpec.__doc__ or "").params}
    properties: dict[str, Schema] = RunSpec.model_json_schema()["properties"]
    found = {
        name: Parameter(
            name,
            {key: value for key, value in properties[name].items() if key not in {"default", "title"}},
            default=properties[name].get("default"),
            help=" ".join(helps.get(name, "").replace("`", "").split()),
        )
        for name in (*TRAINING, *CHECKPOINTS, *NAMING)
        if name in properties
    }
    return {**found, "max_running": _MAX_RUNNING}


def choices_of(schema: Schema | None) -> tuple[str, ...]:
    """Return the texts of all values that a schema allows, if they are few; else nothing."""
    values = _values_of(schema or {}, (schema or {}).get("$defs", {}))
    if values is None or not 0 < len(values) <= _FEW:
        return ()
    return tuple(dict.fromkeys(one if isinstance(one, str) else json.dumps(one) for one in values))


def backend_problem(backend: str) -> str | None:
    """Say why a backend cannot be chosen, or return `None`."""
    if backend in BACKENDS and importlib.util.find_spec(backend) is None:
        return "not installed"
    return None


def _values_of(schema: Schema, definitions: Mapping[str, Schema]) -> Sequence[Any] | None:
    if "$ref" in schema:
        return _values_of(definitions.get(schema["$ref"].rpartition("/")[2], {"type": "string"}), definitions)
    if "enum" in schema:
        return list(schema["enum"])
    if "const" in schema:
        return [schema["const"]]
    alternatives = schema.get("anyOf") or schema.get("oneOf")
    if alternatives:
        found = [_values_of(one, definitions) for one in alternatives]
        return None if any(one is None for one in found) else [value for one in found if one for value in one]
    few: dict[str, Sequence[Any]] = {"boolean": [True, False], "null": [None]}
    return few.get(str(schema.get("type")))
