"""Runs side by side: what they were asked differently, and how they ended."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

_ASKED = ("model", "dataset", "loss_name", "optimizer", "schedule", "files", "backend", "batch_size", "seed", "epochs")


def differences(summaries: Sequence[Mapping[str, Any]]) -> dict[str, list[Any]]:
    """Return the settings in which runs differ, given what `summary_of` returned of each.

    Each setting has its value in every run, `None` where a run has none set.
    """
    rows = _side_by_side([_settings(summary) for summary in summaries])
    return {name: values for name, values in rows.items() if any(value != values[0] for value in values)}


def last_metrics(summaries: Sequence[Mapping[str, Any]]) -> dict[str, list[float | None]]:
    """Return the metrics of the runs' last epochs, and of their test splits as `test.…`: a value for each run."""
    return _side_by_side(
        [
            {**summary["metrics"], **{f"test.{name}": value for name, value in summary["test_metrics"].items()}}
            for summary in summaries
        ]
    )


def _side_by_side(rows: Sequence[Mapping[str, Any]]) -> dict[str, list[Any]]:
    names = dict.fromkeys(name for row in rows for name in row)
    return {name: [row.get(name) for row in rows] for name in names}


def _settings(summary: Mapping[str, Any]) -> dict[str, Any]:
    return {**{name: summary[name] for name in _ASKED}, **summary["parameters"]}
