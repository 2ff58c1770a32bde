"""What a new run begins with that is to be like an earlier one."""

from __future__ import annotations

from typing import Any

from kplug.runs.directory import RunDirectory
from kplug.runs.run import Run
from kplug_tui.detail import spec_values


def preset_of(directory: RunDirectory) -> dict[str, Any]:
    """Return what a run was asked to do; parts in files that have gone are those of the run's own copies.

    Empty if that cannot be read.

    Raises:
        KplugError: If a copy is not what the run began with, or the run brings code along that is not trusted here.
    """
    values = spec_values(directory)
    if _may_name_a_place(values):
        # Only then: checking a spec takes pydantic.
        from kplug.runs.own_files import reachable

        return reachable(Run(directory).spec, directory).model_dump(mode="json")
    return values


def _may_name_a_place(value: Any) -> bool:
    """Say whether anything in a spec may name a file or module, whose code is run to describe it."""
    if isinstance(value, dict):
        value = [*value, *value.values()]
    return any(map(_may_name_a_place, value)) if isinstance(value, list) else isinstance(value, str) and ":" in value
