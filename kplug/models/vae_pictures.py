"""The pictures a variational autoencoder leaves."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from kplug.models.pictures import is_image, picture, shown_split, tiles

_ROWS = 8
_POINTS = 5000
_LEGEND_CLASSES = 20


def write_pictures(vae: Any, directory: Path, dataset: Any) -> None:
    """Write `reconstructions.png`, `samples.png` and `latent_space.png`.

    Args:
        vae: A built `kplug.VAE`.
        directory: An existing directory.
        dataset: A `kplug.Dataset` whose splits are arrays; others leave only `samples.png`.
    """
    samples = vae.generate(_ROWS * _ROWS, seed=0)
    draw_samples = _image_grid if is_image(samples) else _line_grid
    draw_samples(samples, _ROWS, "Samples from the prior").savefig(directory / "samples.png")

    x, y = shown_split(dataset)
    if x is None:
        return
    originals = np.asarray(x[: 2 * _ROWS], dtype="float32")
    reconstructions = vae.reconstruct(originals)
    if is_image(samples):
        figure = _comparison(originals, reconstructions)
    else:
        figure = _overlaid_lines(originals, reconstructions)
    figure.savefig(directory / "reconstructions.png")

    labels = None if y is None or np.ndim(y) != 1 else np.asarray(y[:_POINTS])
    means = vae.encode(np.asarray(x[:_POINTS], dtype="float32"))[0]
    _latent_space(means, labels, dataset.info.get("class_names")).savefig(directory / "latent_space.png")


def _image_grid(images: np.ndarray, columns: int, title: str) -> Figure:
    return picture(tiles(images, columns), title)


def _comparison(originals: np.ndarray, reconstructions: np.ndarray) -> Figure:
    """Show rows of originals, each above the row of its reconstructions."""
    pairs = []
    for start in range(0, len(originals), _ROWS):
        pairs += [originals[start : start + _ROWS], reconstructions[start : start + _ROWS]]
    return picture(tiles(np.concatenate(pairs), _ROWS), "Test samples (odd rows) and their reconstructions (even rows)")


def _line_grid(x: np.ndarray, columns: int, title: str) -> Figure:
    del columns
    figure = Figure(figsize=(7, 4.5), dpi=120, layout="constrained")
    axes = figure.add_subplot()
    axes.plot(x.reshape(len(x), -1).T, color="tab:blue", alpha=0.25, linewidth=0.8)
    axes.set(title=title, xlabel="feature", ylabel="value")
    return figure


def _overlaid_lines(originals: np.ndarray, reconstructions: np.ndarray) -> Figure:
    figure = Figure(figsize=(9, 9), dpi=120, layout="constrained")
    for index, axes in enumerate(figure.subplots(4, 4, sharex=True, sharey=True).flat):
        if index < len(originals):
            axes.plot(originals[index].ravel(), label="original")
            axes.plot(reconstructions[index].ravel(), label="reconstruction")
    figure.axes[0].legend(fontsize="x-small")
    figure.suptitle("Test samples and their reconstructions, feature by feature")
    return figure


def _latent_space(means: np.ndarray, labels: np.ndarray | None, class_names: Any) -> Figure:
    points, names = _two_dimensional(means)
    figure = Figure(figsize=(7, 6), dpi=120, layout="constrained")
    axes = figure.add_subplot()
    axes.set(title="Latent space: posterior means of test samples", xlabel=names[0], ylabel=names[1])
    if labels is None:
        axes.scatter(points[:, 0], points[:, 1], s=10, alpha=0.7)
        return figure
    classes = np.unique(labels)
    if len(classes) > _LEGEND_CLASSES:
        scatter = axes.scatter(points[:, 0], points[:, 1], c=labels, s=10, alpha=0.7, cmap="viridis")
        figure.colorbar(scatter, ax=axes, label="target")
        return figure
    for number, value in enumerate(classes):
        chosen = labels == value
        name = class_names[int(value)] if class_names is not None and labels.dtype.kind in "iu" else value
        axes.scatter(points[chosen, 0], points[chosen, 1], s=12, alpha=0.8, color=f"C{number % 10}", label=str(name))
    axes.legend(title="class", loc="center left", bbox_to_anchor=(1, 0.5))
    return figure


def _two_dimensional(means: np.ndarray) -> tuple[np.ndarray, tuple[str, str]]:
    if means.shape[1] == 1:
        spread = np.random.default_rng(0).uniform(-1, 1, len(means))
        return np.column_stack([means[:, 0], spread]), ("z[0]", "(spread out at random)")
    if means.shape[1] == 2:
        return means, ("z[0]", "z[1]")
    if len(means) < 2:
        return means[:, :2], ("z[0]", "z[1]")
    from sklearn.decomposition import PCA

    return PCA(n_components=2, random_state=0).fit_transform(means), ("first principal axis", "second principal axis")
