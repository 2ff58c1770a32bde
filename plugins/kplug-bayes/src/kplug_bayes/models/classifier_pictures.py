"""The pictures that a Bayesian classifier leaves."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from kplug_bayes.calibration.pictures import calibration_plot
from kplug_bayes.models.posterior_pictures import posterior_densities, shown_arrays
from kplug_bayes.prediction.predictive_distribution import ClassificationPrediction

_DRAWS = 50
_ROWS, _COLUMNS = 3, 8


def write_classifier_pictures(model: Any, directory: Path, dataset: Any) -> None:
    """Write `posteriors.png`, `reliability.png`, and of images `uncertain.png`.

    Args:
        model: A built `kplug_bayes.BayesianClassifier`.
        directory: An existing directory.
        dataset: A `kplug.Dataset`; of splits that are no arrays only the posteriors are drawn.
    """
    posterior_densities(model.variational_layers).savefig(directory / "posteriors.png")
    x, y = shown_arrays(dataset)
    if x is None or y is None:
        return
    prediction = model.predict_distribution(x, samples=_DRAWS, seed=0)
    labels = y.argmax(axis=1) if y.ndim == 2 and y.shape[1] > 1 else y.reshape(-1).astype(int)
    calibration_plot(labels, prediction.mean, directory / "reliability.png")
    names = dataset.info.get("class_names") or [str(number) for number in range(prediction.mean.shape[1])]
    if x.ndim == 3 or (x.ndim == 4 and x.shape[-1] in {1, 3, 4}):
        _uncertain(x, labels, prediction, names).savefig(directory / "uncertain.png")


def _uncertain(images: np.ndarray, labels: np.ndarray, prediction: ClassificationPrediction, names: Any) -> Figure:
    """Return the images whose draws disagree most, the most uncertain first."""
    order = np.argsort(prediction.mutual_information)[::-1]
    figure = Figure(figsize=(9, 4.2), dpi=120, layout="constrained")
    figure.suptitle(
        "Where the draws disagree most: true class → taken for, mutual information in millinats", fontsize=10
    )
    panels = list(figure.subplots(_ROWS, _COLUMNS).flat)
    for axes in panels:
        axes.axis("off")
    for number, axes in zip(order, panels, strict=False):
        image = images[number].squeeze().astype("float64")
        axes.imshow(image, cmap="gray", vmin=0, vmax=max(1.0, float(images.max())), interpolation="nearest")
        taken = names[prediction.classes[number]]
        right = prediction.classes[number] == labels[number]
        axes.set_title(
            f"{names[labels[number]]} → {taken}: {1000 * prediction.mutual_information[number]:.3g}",
            fontsize=7,
            color="black" if right else "C3",
        )
    return figure
