"""What was asked and what happened: run specs, run directories, records and worker processes. Never imports Keras."""

from typing import TYPE_CHECKING, Any

from kplug.runs.lookup import open_run
from kplug.runs.records import MetricRecord
from kplug.runs.run import Run, list_runs

if TYPE_CHECKING:
    from kplug.runs.spec import ComponentSpec, RunSpec

open = open_run  # noqa: A001 - `kplug.runs.open(id)` reads as it should

__all__ = ["ComponentSpec", "MetricRecord", "Run", "RunSpec", "list_runs", "open", "open_run"]


def __getattr__(name: str) -> Any:
    """Import the specs when they are asked for: pydantic takes as long as reading ten thousand runs' index."""
    if name in {"ComponentSpec", "RunSpec"}:
        from kplug.runs import spec

        return getattr(spec, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
