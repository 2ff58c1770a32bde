"""Runs' metrics in one picture. Started as `python -m kplug.training.plot_runs FILE METRIC,… RUN_DIRECTORY…`."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from kplug.runs import Run
from kplug.runs.directory import RunDirectory


def main() -> int:
    """Draw what the arguments say, and return the exit code."""
    file, metrics, *directories = sys.argv[1:]
    runs = [Run(RunDirectory(Path(path))) for path in directories]
    try:
        plot(runs, Path(file), [name for name in metrics.split(",") if name])
    except (OSError, ValueError) as error:  # matplotlib's own words for an ending that it does not know
        print(error, file=sys.stderr)
        return 1
    return 0


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


if __name__ == "__main__":
    sys.exit(main())
