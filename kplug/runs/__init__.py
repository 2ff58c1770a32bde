"""What was asked and what happened: run specs, run directories, records and worker processes. Never imports Keras."""

from kplug.runs.records import MetricRecord
from kplug.runs.run import Run, list_runs, open_run
from kplug.runs.spec import ComponentSpec, RunSpec

open = open_run  # noqa: A001 - `kplug.runs.open(id)` reads as it should

__all__ = ["ComponentSpec", "MetricRecord", "Run", "RunSpec", "list_runs", "open", "open_run"]
