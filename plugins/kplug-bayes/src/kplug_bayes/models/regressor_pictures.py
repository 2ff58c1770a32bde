"""The pictures that a Bayesian regression leaves."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from kplug_bayes.calibration.pictures import coverage_plot
from kplug_bayes.models.posterior_pictures import posterior_densities, shown_arrays

_DRAWS = 200
_POINTS = 200
_MARGIN = 0.25
"""How far the bands go on beyond the samples, as a share of their range on each side."""
_MOST_ERROR_BARS = 300


def write_regressor_pictures(model: Any, directory: Path, dataset: Any) -> None:
    """Write `posteriors.png`, `coverage.png`, and `bands.png` for one feature or else `predictions.png`.

    Args:
        model: A built `kplug_bayes.BayesianRegressor`.
        directory: An existing directory.
        dataset: A `kplug.Dataset`; of splits that are no arrays only the posteriors are drawn.
    """
    posterior_densities(model.variational_layers).savefig(directory / "posteriors.png")
    x, y = shown_arrays(dataset)
    if x is None or y is None:
        return
    y = y.reshape(len(y), -1)
    prediction = model.predict_distribution(x, samples=_DRAWS, keep_draws=True, seed=0)
    coverage_plot(y, prediction.draws, directory / "coverage.png")
    if x.shape[1] == 1:
        seen = dataset.train if isinstance(dataset.train, tuple) else (x, y)
        predictive_bands(model, seen[0], np.asarray(seen[1]).reshape(len(seen[0]), -1)).savefig(directory / "bands.png")
    else:
        _errors(y, prediction).savefig(directory / "predictions.png")


def predictive_bands(model: Any, x: np.ndarray, y: np.ndarray) -> Figure:
    """Return the mean over one feature, with two deviations of what is not known, and of all.

    Args:
        model: A model of one feature that has `predict_distribution`.
        x: Samples of shape `(n, 1)`, shown as points.
        y: Targets of shape `(n, outputs)`; a panel for each output.
    """
    low, high = float(x.min()), float(x.max())
    margin = _MARGIN * (high - low)
    grid = np.linspace(low - margin, high + margin, _POINTS, dtype="float32")[:, np.newaxis]
    prediction = model.predict_distribution(grid, samples=_DRAWS, seed=0)
    figure = Figure(figsize=(7, 4 * y.shape[1]), dpi=120, layout="constrained")
    for output, axes in enumerate(figure.subplots(y.shape[1], 1, squeeze=False).flat):
        mean, epistemic, total = (
            part[:, output] for part in (prediction.mean, prediction.epistemic_std, prediction.std)
        )
        line = grid[:, 0]
        axes.fill_between(line, mean - 2 * total, mean + 2 * total, alpha=0.2, label="all: not known and noise, 2 sd")
        axes.fill_between(
            line, mean - 2 * epistemic, mean + 2 * epistemic, alpha=0.4, label="not known (epistemic), 2 sd"
        )
        axes.plot(line, mean, label="mean")
        axes.plot(x[:, 0], y[:, output], ".", color="0.2", markersize=3, label="training samples")
        axes.set(xlabel="feature", ylabel="target", title="Predictive distribution")
        axes.legend(fontsize=7)
    return figure


def _errors(y: np.ndarray, prediction: Any) -> Figure:
    """Return predicted against true targets, with two deviations of all as error bars."""
    figure = Figure(figsize=(5.5, 5 * y.shape[1]), dpi=120, layout="constrained")
    rows = slice(0, _MOST_ERROR_BARS)
    for output, axes in enumerate(figure.subplots(y.shape[1], 1, squeeze=False).flat):
        true, mean = y[rows, output], prediction.mean[rows, output]
        for deviation, color, label in (
            (prediction.std, "0.75", "all: not known and noise, 2 sd"),
            (prediction.epistemic_std, "C1", "not known (epistemic), 2 sd"),
        ):
            axes.errorbar(true, mean, 2 * deviation[rows, output], fmt="none", ecolor=color, elinewidth=1, label=label)
        axes.plot(true, mean, ".", markersize=4)
        ends = [min(true.min(), mean.min()), max(true.max(), mean.max())]
        axes.plot(ends, ends, color="0.4", linestyle="--", linewidth=1)
        axes.set(xlabel="true", ylabel="predicted", title="Test targets")
        axes.legend(fontsize=7)
    return figure
