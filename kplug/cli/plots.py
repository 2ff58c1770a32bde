"""Pictures of runs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from kplug.runs import Run


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


def _by_epoch(run: Run) -> dict[str, tuple[list[int], list[float]]]:
    curves: dict[str, tuple[list[int], list[float]]] = {}
    for record in run.metrics():
        if record.epoch_end:
            for name, value in record.metrics.items():
                epochs, values = curves.setdefault(name, ([], []))
                epochs.append(record.epoch + 1)
                values.append(value)
    return curves
