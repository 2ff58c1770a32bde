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
        KplugError: If a copy is not what the run began with, or nobody has run it here before.
    """
    values = spec_values(directory)
    if values.get("files"):
        # Only then: checking a spec takes pydantic.
        from kplug.runs.own_files import reachable

        return reachable(Run(directory).spec, directory).model_dump(mode="json")
    return values
