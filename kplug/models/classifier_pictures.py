"""The pictures an image classifier leaves."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from kplug.models.pictures import is_image, picture, shown_split, tiles

_ROWS = 4
_COLUMNS = 8
_NUMBERS_UP_TO = 20
"""Classes up to which the cells of a confusion matrix have room for their numbers."""


def write_pictures(model: Any, directory: Path, dataset: Any) -> None:
    """Write `confusion_matrix.png`, `worst_mistakes.png`, `augmented_batch.png` and `training_curves.png`.

    Args:
        model: A built `kplug.AugmentedCNN`.
        directory: An existing directory.
        dataset: A `kplug.Dataset`; of splits that are no arrays only the curves are drawn.
    """
    history = getattr(getattr(model, "history", None), "history", None)
    if history:
        training_curves(history).savefig(directory / "training_curves.png")
    x, y = shown_split(dataset)
    if x is None or y is None:
        return
    probabilities = _probabilities(model, x)
    labels = np.argmax(y, axis=-1) if np.ndim(y) == 2 and np.shape(y)[1] > 1 else np.asarray(y).reshape(-1).astype(int)
    names = dataset.info.get("class_names") or [str(number) for number in range(probabilities.shape[1])]
    confusion_matrix(labels, probabilities.argmax(axis=1), names).savefig(directory / "confusion_matrix.png")
    images = np.asarray(x, dtype="float32")
    if not is_image(images):
        return
    worst_mistakes(images, labels, probabilities, names).savefig(directory / "worst_mistakes.png")
    augmented_batch(model, images[: _ROWS // 2 * _COLUMNS]).savefig(directory / "augmented_batch.png")


def _probabilities(model: Any, x: Any) -> np.ndarray:
    predictions = model.predict(x, batch_size=256, verbose=0)
    if model.classifier_activation == "softmax":
        return predictions
    shifted = np.exp(predictions - predictions.max(axis=1, keepdims=True))
    return shifted / shifted.sum(axis=1, keepdims=True)


def confusion_matrix(labels: np.ndarray, predicted: np.ndarray, names: Sequence[str]) -> Figure:
    """Return the counts of each class (row) by what it was taken for (column)."""
    counts = np.zeros((len(names), len(names)), dtype=int)
    np.add.at(counts, (labels, predicted), 1)
    figure = Figure(figsize=(6.5, 6), dpi=120, layout="constrained")
    axes = figure.add_subplot()
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    accuracy = np.trace(counts) / max(counts.sum(), 1)
    axes.set(title=f"Confusion matrix: {accuracy:.2%} right", xlabel="predicted", ylabel="true")
    if len(names) <= _NUMBERS_UP_TO:
        places = range(len(names))
        axes.set_xticks(places, names, rotation=45 if max(map(len, map(str, names))) > 2 else 0)
        axes.set_yticks(places, names)
        for row, column in zip(*np.nonzero(counts), strict=True):
            shade = "white" if shares[row, column] > 0.5 else "black"
            axes.text(column, row, counts[row, column], ha="center", va="center", color=shade, fontsize=8)
    return figure


def worst_mistakes(images: np.ndarray, labels: np.ndarray, probabilities: np.ndarray, names: Sequence[str]) -> Figure:
    """Return the images whose true class was given the least probability, the worst first."""
    given = probabilities[np.arange(len(labels)), labels]
    wrong = np.flatnonzero(probabilities.argmax(axis=1) != labels)
    worst = wrong[np.argsort(given[wrong], kind="stable")][: _ROWS * _COLUMNS]
    figure = Figure(figsize=(9, 5.5), dpi=120, layout="constrained")
    figure.suptitle(f"Worst mistakes, of {len(wrong)} in {len(labels)}: true class, taken for")
    for index, axes in enumerate(figure.subplots(_ROWS, _COLUMNS).flat):
        axes.axis("off")
        if index < len(worst):
            number = worst[index]
            axes.imshow(images[number].squeeze().clip(0, 1), cmap="gray", vmin=0, vmax=1, interpolation="nearest")
            taken = probabilities[number].argmax()
            axes.set_title(f"{names[labels[number]]}, {names[taken]} {probabilities[number, taken]:.0%}", fontsize=7)
    return figure


def augmented_batch(model: Any, images: np.ndarray) -> Figure:
    """Return rows of images, each above the row of what augmentation made of them."""
    changed = model.augmented(images, seed=0)
    rows = []
    for start in range(0, len(images), _COLUMNS):
        rows += [images[start : start + _COLUMNS], changed[start : start + _COLUMNS]]
    return picture(tiles(np.concatenate(rows), _COLUMNS), "Images (odd rows) and what training may see (even rows)")


def training_curves(history: dict[str, list[float]]) -> Figure:
    """Return each training metric by epoch, with its validation metric in the same panel."""
    named = [name for name in history if not name.startswith("val_") and np.isscalar(history[name][0])]
    figure = Figure(figsize=(4.5 * len(named), 3.6), dpi=120, layout="constrained")
    for axes, name in zip(np.atleast_1d(figure.subplots(1, len(named))), named, strict=True):
        for series, label in ((name, "training"), (f"val_{name}", "validation")):
            if series in history:
                axes.plot(range(1, len(history[series]) + 1), history[series], label=label)
        axes.set(title=name, xlabel="epoch")
        axes.legend()
    return figure
