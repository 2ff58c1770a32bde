"""What the pictures of autoencoders share: samples, and samples beside their reconstructions."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure

from kplug.models.pictures import is_image, picture, tiles

ROWS = 8
"""Images in a row of a picture, and rows of a square of them."""


def sample_picture(samples: np.ndarray, title: str) -> Figure:
    """Show images in rows, and other samples as lines over their features."""
    if is_image(samples):
        return picture(tiles(samples, ROWS), title)
    figure = Figure(figsize=(7, 4.5), dpi=120, layout="constrained")
    axes = figure.add_subplot()
    axes.plot(samples.reshape(len(samples), -1).T, color="tab:blue", alpha=0.25, linewidth=0.8)
    axes.set(title=title, xlabel="feature", ylabel="value")
    return figure


def comparison(originals: np.ndarray, reconstructions: np.ndarray) -> Figure:
    """Show rows of originals, each above the row of its reconstructions."""
    pairs = []
    for start in range(0, len(originals), ROWS):
        pairs += [originals[start : start + ROWS], reconstructions[start : start + ROWS]]
    return picture(tiles(np.concatenate(pairs), ROWS), "Test samples (odd rows) and their reconstructions (even rows)")


def overlaid_lines(originals: np.ndarray, reconstructions: np.ndarray) -> Figure:
    """Show up to sixteen samples as lines over their features, each with its reconstruction."""
    figure = Figure(figsize=(9, 9), dpi=120, layout="constrained")
    for index, axes in enumerate(figure.subplots(4, 4, sharex=True, sharey=True).flat):
        if index < len(originals):
            axes.plot(originals[index].ravel(), label="original")
            axes.plot(reconstructions[index].ravel(), label="reconstruction")
    figure.axes[0].legend(fontsize="x-small")
    figure.suptitle("Test samples and their reconstructions, feature by feature")
    return figure
