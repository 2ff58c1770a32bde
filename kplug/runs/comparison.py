"""Runs side by side: what they were asked differently, and how they ended."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
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


def plot(runs: Sequence[Run], path: Path, metrics: Sequence[str] | None = None) -> None:
    """Draw the runs' metrics by epoch, one panel each, and write the picture.

    Args:
        runs: The runs.
        path: Where the picture goes; its ending says in which format.
        metrics: Which ones; by default those that all runs have.
    """
    from matplotlib.figure import Figure

    curves = [_by_epoch(run) for run in runs]
    shared = [name for name in curves[0] if all(name in one for one in curves)] if curves else []
    names = list(metrics or shared)
    figure = Figure(figsize=(6, 2.6 * max(1, len(names))), dpi=120, layout="constrained")
    for axes, name in zip(figure.subplots(max(1, len(names)), squeeze=False)[:, 0], names, strict=False):
        for run, one in zip(runs, curves, strict=True):
            epochs, values = one.get(name, ([], []))
            # A dollar sign would begin a formula.
            axes.plot(epochs, values, label=(run.spec.name or run.id).replace("$", r"\$"), linewidth=1)
        axes.set(title=name.replace("$", r"\$"), xlabel="epoch")
        axes.legend(fontsize=7)
    figure.savefig(path)


def _settings(summary: Mapping[str, Any]) -> dict[str, Any]:
    return {**{name: summary[name] for name in _ASKED}, **summary["parameters"]}


def _by_epoch(run: Run) -> dict[str, tuple[list[int], list[float]]]:
    curves: dict[str, tuple[list[int], list[float]]] = {}
    for record in run.metrics():
        if record.epoch_end:
            for name, value in record.metrics.items():
                epochs, values = curves.setdefault(name, ([], []))
                epochs.append(record.epoch + 1)
                values.append(value)
    return curves
