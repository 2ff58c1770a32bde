"""The pictures a variational autoencoder leaves."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from statistics import NormalDist
from typing import Any

import numpy as np
from matplotlib import colormaps
from matplotlib.figure import Figure

from kplug.models.pictures import is_image, picture, shown_split, tiles
from kplug.models.reconstruction_pictures import ROWS, comparison, overlaid_lines, sample_picture

_CLASS_ROWS = 10
_STEPS = 11
_POINTS = 5000
_LEGEND_CLASSES = 20


def write_pictures(vae: Any, directory: Path, dataset: Any) -> None:
    """Write `samples.png`, `traversal.png`, `reconstructions.png` and `latent_space.png`.

    Args:
        vae: A built `kplug.VAE`.
        directory: An existing directory.
        dataset: A `kplug.Dataset` whose splits are arrays; others leave only the first two.
    """
    x, y = shown_split(dataset)
    classes = y if vae.conditional else None
    names = dataset.info.get("class_names")
    gray = _grayscale(x)
    samples, title = _samples(vae)
    images = is_image(samples)
    sample_picture(gray(samples), title).savefig(directory / "samples.png")
    used = None if x is None else _most_used(vae, np.asarray(x[:_POINTS], "float32"), _some(classes, _POINTS))
    _traversal(vae, used, images, gray, names).savefig(directory / "traversal.png")

    if x is None:
        return
    originals = np.asarray(x[: 2 * ROWS], dtype="float32")
    reconstructions = vae.reconstruct(originals, labels=_some(classes, 2 * ROWS))
    figure = (comparison if images else overlaid_lines)(gray(originals), gray(reconstructions))
    figure.savefig(directory / "reconstructions.png")

    labels = _class_numbers(_some(y, _POINTS))
    means = vae.encode(np.asarray(x[:_POINTS], dtype="float32"), labels=_some(classes, _POINTS))[0]
    _latent_space(means, labels, names).savefig(directory / "latent_space.png")


def _some(labels: Any, count: int) -> np.ndarray | None:
    return None if labels is None else np.asarray(labels[:count])


def _class_numbers(labels: np.ndarray | None) -> np.ndarray | None:
    """Return one class, or target, for each sample, of one-hot labels too; `None` if there is not one."""
    if labels is None or labels.ndim == 1:
        return labels
    if labels.ndim == 2 and labels.shape[1] == 1:
        return labels[:, 0]
    one_hot = labels.ndim == 2 and np.isin(labels, (0, 1)).all() and (labels.sum(axis=1) == 1).all()
    return labels.argmax(axis=1) if one_hot else None


def _grayscale(x: Any) -> Callable[[np.ndarray], np.ndarray]:
    """Return what brings samples into 0 to 1, where pictures show them, by the range of the data."""
    if x is None or len(x) == 0:
        return lambda samples: samples
    low, high = float(np.min(x)), float(np.max(x))
    if (low >= 0 and high <= 1) or low == high:
        return lambda samples: samples
    return lambda samples: (samples - low) / (high - low)


def _samples(vae: Any) -> tuple[np.ndarray, str]:
    """Return generated samples for a square of them, of a conditional model one class in each row."""
    if not vae.conditional:
        return vae.generate(ROWS * ROWS, seed=0), "Samples from the prior"
    rows = min(vae.num_classes, _CLASS_ROWS)
    labels = np.repeat(np.arange(rows), ROWS)
    return vae.generate(len(labels), seed=0, labels=labels), "Samples from the prior, one class in each row"


def _most_used(vae: Any, x: np.ndarray, labels: np.ndarray | None) -> np.ndarray:
    """Return the latent dimensions, those first that say most about the data."""
    mean, log_var = vae.encode(x, labels=labels)
    informative = np.mean(np.expm1(log_var) - log_var + np.square(mean), axis=0)
    return np.argsort(-informative)


def _traversal(vae: Any, used: np.ndarray | None, images: bool, gray: Any, names: Any) -> Figure:
    """Walk through the latent space: along two dimensions; along the most used one by one; or by class."""
    dimensions = np.arange(vae.latent_dim) if used is None else used
    places = NormalDist().inv_cdf
    steps = np.array([places(share) for share in np.linspace(0.02, 0.98, _STEPS)])
    labels = None
    if vae.conditional:
        rows = min(vae.num_classes, _CLASS_ROWS)
        z = np.zeros((rows, _STEPS, vae.latent_dim), "float32")
        z[..., dimensions[0]] = steps
        labels = np.repeat(np.arange(rows), _STEPS)
        title = f"Along z[{dimensions[0]}], one class in each row"
    elif vae.latent_dim == 2:
        rows = _STEPS
        z = np.stack(np.meshgrid(steps, steps[::-1]), axis=-1).astype("float32")
        title = "Along z[0] (to the right) and z[1] (upwards), in steps of equal probability"
    else:
        chosen = dimensions[:ROWS]
        rows = len(chosen)
        z = np.zeros((rows, _STEPS, vae.latent_dim), "float32")
        z[np.arange(rows), :, chosen] = steps
        title = "Along one latent dimension in each row: " + ", ".join(f"z[{number}]" for number in chosen)
    decoded = gray(vae.decode(z.reshape(-1, vae.latent_dim), labels=labels))
    if images:
        return picture(tiles(decoded, _STEPS), title)
    return _line_rows(decoded.reshape(rows, _STEPS, -1), steps, title)


def _line_rows(decoded: np.ndarray, steps: np.ndarray, title: str) -> Figure:
    figure = Figure(figsize=(7, 1.2 + 1.4 * len(decoded)), dpi=120, layout="constrained")
    colours = colormaps["viridis"](np.linspace(0, 1, len(steps)))
    for axes, lines in zip(figure.subplots(len(decoded), squeeze=False)[:, 0], decoded, strict=True):
        for line, colour in zip(lines, colours, strict=True):
            axes.plot(line, color=colour, linewidth=0.8)
    figure.suptitle(title, fontsize="medium")
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
