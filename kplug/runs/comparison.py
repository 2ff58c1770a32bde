"""Runs side by side: what they were asked differently, and how they ended."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from kplug.runs.run import Run
from kplug.runs.summary import summary_of

_ASKED = ("model", "dataset", "loss_name", "optimizer", "backend", "batch_size", "seed", "epochs")
_MISSING = None


def differences(runs: Sequence[Run]) -> dict[str, list[Any]]:
    """Return the settings in which runs differ: each with its value in every run, `None` where a run has none set."""
    asked = [_settings(summary_of(run)) for run in runs]
    names = dict.fromkeys(name for one in asked for name in one)
    rows = {name: [one.get(name, _MISSING) for one in asked] for name in names}
    return {name: values for name, values in rows.items() if any(value != values[0] for value in values)}


def last_metrics(runs: Sequence[Run]) -> dict[str, list[float | None]]:
    """Return the metrics of the runs' last epochs, and of their test splits as `test.…`: a value for each run."""
    found = []
    for run in runs:
        summary = summary_of(run)
        tests = {f"test.{name}": value for name, value in summary["test_metrics"].items()}
        found.append({**summary["metrics"], **tests})
    names = dict.fromkeys(name for one in found for name in one)
    return {name: [one.get(name) for one in found] for name in names}


def _settings(summary: Mapping[str, Any]) -> dict[str, Any]:
    return {**{name: summary[name] for name in _ASKED}, **summary["parameters"]}
