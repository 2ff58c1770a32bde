"""The run spec: everything that was asked for, checked before anything starts."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue, ValidationError, model_validator

from kplug.damaged_metadata import spare_pydantic
from kplug.errors import SpecError
from kplug.runs.devices import DEVICE_PATTERN

spare_pydantic()

BACKENDS = ("tensorflow", "jax", "torch")

SECTIONS = {
    "model": "model",
    "dataset": "dataset",
    "loss": "loss",
    "optimizer": "optimizer",
    "schedule": "schedule",
    "launcher": "launcher",
}
"""Field of the spec -> kind of the component it names."""

LISTS = {"metrics": "metric", "callbacks": "callback"}
"""Field of the spec that holds several components -> their kind."""


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class ComponentSpec(_Strict):
    """A component and the hyper-parameters that were set; the others keep their defaults.

    Where it is written by hand, a bare name stands for a component with nothing set.
    """

    name: Annotated[str, Field(min_length=1)]
    parameters: dict[str, JsonValue] = {}

    @model_validator(mode="before")
    @classmethod
    def _from_bare_name(cls, value: Any) -> Any:
        return {"name": value} if isinstance(value, str) else value


class RunSpec(_Strict):
    """What a run was asked to do.

    Attributes:
        model: The model.
        dataset: The data set.
        loss: The loss, where the model's own is not wanted.
        optimizer: The optimizer, where the model's own is not wanted.
        schedule: How the learning rate changes from step to step; it stays as it is by default. It begins at the
            optimizer's learning rate and spans the whole run where it does not say otherwise.
        launcher: What starts the worker; this machine does by default.
        metrics: Metrics besides those that the model brings.
        callbacks: Keras callbacks, called in this order.
        epochs: How many times the training data are gone through.
        batch_size: Samples per optimizer step.
        seed: Seed of every random number the run draws.
        backend: What Keras computes with.
        device: What it computes on: `auto` (the GPU with the most free memory, or the CPU where there is none), `cpu`,
            `gpu`, `gpu:0`, or `gpu:0,1` for several, which share each batch.
        precision: Dtype policy of the model.
        jit: Whether training is compiled by XLA; `None` leaves it to Keras.
        checkpoint_seconds: Seconds from one checkpoint to the next, or `None`.
        checkpoint_batches: Batches from one to the next, or `None`.
        checkpoint_epochs: Epochs from one to the next, or `None`. Whichever of the three is due first counts.
        best: The metric by which the best model is kept beside the last one, or `None`.
        name: What a person calls the run.
        files: The files that parts named as `path/to/file.py:Object` are in, with the SHA-256 of what they hold. Found
            out when the spec is completed; the run has a copy of each.
    """

    model: ComponentSpec
    dataset: ComponentSpec
    loss: ComponentSpec | None = None
    optimizer: ComponentSpec | None = None
    schedule: ComponentSpec | None = None
    launcher: ComponentSpec | None = None
    metrics: list[ComponentSpec] = []
    callbacks: list[ComponentSpec] = []
    epochs: Annotated[int, Field(ge=1)] = 10
    batch_size: Annotated[int, Field(ge=1)] = 128
    seed: Annotated[int, Field(ge=0, lt=2**32)] = 0
    backend: Literal["tensorflow", "jax", "torch"] = "tensorflow"
    device: Annotated[str, Field(pattern=DEVICE_PATTERN)] = "auto"
    precision: Literal["float32", "mixed_float16", "mixed_bfloat16"] = "float32"
    jit: bool | None = None
    checkpoint_seconds: Annotated[float, Field(ge=0)] | None = 30.0
    checkpoint_batches: Annotated[int, Field(ge=1)] | None = None
    checkpoint_epochs: Annotated[int, Field(ge=1)] | None = None
    best: Annotated[str, Field(min_length=1)] | None = None
    name: Annotated[str, Field(max_length=200)] | None = None
    files: dict[str, str] = {}


def spec_from(values: dict[str, Any], source: str = "the run spec") -> RunSpec:
    """Check values and make them a run spec.

    Args:
        values: What was given, as JSON or TOML holds it.
        source: Where it comes from, for messages.

    Raises:
        SpecError: If a field is missing, unknown, or has a value it cannot take; every problem has its own line.
    """
    try:
        return RunSpec.model_validate(values)
    except ValidationError as error:
        raise SpecError("\n".join(_problem(source, problem) for problem in error.errors())) from None


def read_spec_values(path: Path) -> dict[str, Any]:
    """Read a spec file without checking what it says.

    Args:
        path: A `.toml` or `.json` file; a run's own `spec.json` will do.

    Raises:
        SpecError: If the file cannot be read or is not what its name says.
    """
    if path.suffix not in {".toml", ".json"}:
        raise SpecError(f"{path}: a run spec must be a .toml or a .json file.")
    try:
        text = path.read_text(encoding="utf-8")
        values = tomllib.loads(text) if path.suffix == ".toml" else json.loads(text)
    except FileNotFoundError:
        raise SpecError(f"There is no file {path}.") from None
    except OSError as error:
        raise SpecError(f"{path} cannot be read: {error.strerror or error}.") from error
    except (ValueError, RecursionError) as error:
        raise SpecError(f"{path} is not valid {path.suffix[1:].upper()}: {error}.") from error
    if not isinstance(values, dict):
        raise SpecError(f"{path} must hold a table of fields (model, dataset, …), not {type(values).__name__}.")
    return values


def _problem(source: str, problem: Any) -> str:
    # A union's members ("bool", "str", …) are pydantic's own words, not places in the file.
    where = ".".join(str(part) for part in problem["loc"] if part not in {"parameters"}) or "it"
    if problem["type"] == "missing":
        return f"{source}: {where} is missing."
    if problem["type"] == "extra_forbidden":
        return f"{source}: {where} is unknown. Known fields: {', '.join(RunSpec.model_fields)}."
    given = repr(problem.get("input"))
    given = given if len(given) <= 80 else f"{given[:77]}..."
    message = problem["msg"].removeprefix("Input ")
    if problem["loc"] == ("device",) and problem["type"] == "string_pattern_mismatch":
        message = "should be auto, cpu, gpu, gpu:0 or gpu:0,1"
    return f"{source}: {where} = {given}: {message}."
