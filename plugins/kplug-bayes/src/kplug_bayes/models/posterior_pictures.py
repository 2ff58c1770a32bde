"""Pictures of posteriors, and which samples pictures show."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from keras import ops
from matplotlib.figure import Figure

from kplug_bayes.variational.mean_field_layer import MeanFieldLayer

_SINGLE_WEIGHTS = 5
_POINTS = 400
_MOST_WEIGHTS = 4096
"""Of more weights in a layer, this many are averaged."""


def shown_arrays(dataset: Any) -> tuple[np.ndarray | None, np.ndarray | None]:
    """Return `x` and `y` of the test split, or else of the first that has arrays; `None` where there are none."""
    for split in (dataset.test, dataset.validation, dataset.train):
        if isinstance(split, tuple) and len(split) > 1 and all(isinstance(part, np.ndarray) for part in split[:2]):
            return split[0], split[1]
    return None, None


def posterior_densities(layers: Sequence[Any]) -> Figure:
    """Return a panel for each layer: the mean density of its weights, the prior, and the densities of a few weights.

    The few are those whose means are largest, measured by their deviations, drawn at one height; the title has the
    median of that measure over all weights.

    Args:
        layers: Built layers with a mean-field posterior.
    """
    shown = [layer for layer in layers if isinstance(layer, MeanFieldLayer)]
    columns = min(3, len(shown))
    rows = -(-len(shown) // columns)
    figure = Figure(figsize=(4 * columns, 2.8 * rows), dpi=120, layout="constrained")
    panels = figure.subplots(rows, columns, squeeze=False).flat
    for layer, axes in zip(shown, panels, strict=False):
        _densities(layer, axes)
    for axes in list(panels):
        axes.axis("off")
    return figure


def _densities(layer: MeanFieldLayer, axes: Any) -> None:
    loc, scale = (
        np.asarray(ops.convert_to_numpy(part), "float64").reshape(-1) for part in layer.kernel_posterior.loc_and_scale()
    )
    certainty = np.abs(loc) / scale
    chosen = np.argsort(certainty)[::-1][:_SINGLE_WEIGHTS]
    averaged = np.linspace(0, len(loc) - 1, min(len(loc), _MOST_WEIGHTS)).astype(int)
    reach = 1.1 * float(np.max(np.abs(loc) + 3 * scale))
    grid = np.linspace(-reach, reach, _POINTS)
    mean = sum(_normal(grid, loc[part, None], scale[part, None]).sum(axis=0) for part in np.array_split(averaged, 16))
    axes.plot(grid, mean / len(averaged), label=f"mean of {len(averaged)} weights")
    axes.plot(grid, _normal(grid, 0.0, layer.prior_scale), color="0.5", linestyle="--", label="prior")
    top = axes.get_ylim()[1]
    for rank, number in enumerate(chosen):
        density = _normal(grid, loc[number], scale[number])
        label = None if rank else f"the {len(chosen)} surest, not to scale"
        axes.plot(grid, 0.5 * top * density / density.max(), color="C1", linewidth=0.7, label=label)
    axes.set(xlabel="weight", yticks=[])
    axes.set_title(f"{layer.name}: median |mean| / deviation {np.median(certainty):.2g}", fontsize=8)
    axes.legend(fontsize=6)


def _normal(x: Any, loc: Any, scale: Any) -> np.ndarray:
    return np.asarray(np.exp(-0.5 * ((x - loc) / scale) ** 2) / (scale * np.sqrt(2 * np.pi)))
