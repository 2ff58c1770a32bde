"""The pictures and the table that a detector of anomalies leaves."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from scipy import special

from kplug_bayes.anomalies.two_components import TwoComponents

_LISTED = 100
_GRID = 120


def write_pictures(model: Any, directory: Path, dataset: Any) -> None:
    """Write `anomaly_map.png`, and `anomalies.csv` with the likeliest anomalies and what each feature adds to them.

    Args:
        model: A trained `AnomalyDetector`.
        directory: An existing directory.
        dataset: A `kplug.Dataset`; without arrays nothing is written.
    """
    splits = [split for split in (dataset.test, dataset.validation, dataset.train) if isinstance(split, tuple)]
    if not splits:
        return
    x, y = splits[0][:2]
    x = np.asarray(x, "float64")
    labels = (np.asarray(y).reshape(-1) == model.anomaly_class).astype(int) if model.num_classes == 2 else None
    components = model.components()
    names = dataset.info.get("feature_names") or [f"x{number}" for number in range(x.shape[1])]
    anomaly_map(components, x, labels, model.threshold, names).savefig(directory / "anomaly_map.png")
    _write_table(components, x, labels, names, directory / "anomalies.csv")


def anomaly_map(
    components: TwoComponents, x: np.ndarray, labels: np.ndarray | None, threshold: float, names: Any
) -> Figure:
    """Return samples in a plane, with the flagged ones marked, and their log odds in order.

    Args:
        components: What is normal.
        x: Samples of shape `(samples, features)`.
        labels: 1 for what is known to be an anomaly, of shape `(samples,)`; or `None`.
        threshold: Posterior probability from which samples are flagged.
        names: Names of the features.
    """
    log_odds = components.log_odds(components.distances(x))
    limit = special.logit(threshold)
    flagged = log_odds > limit
    figure = Figure(figsize=(12, 5), dpi=120, layout="constrained")
    plane, order = figure.subplots(1, 2, width_ratios=(1, 1.4))
    flat, axis_labels = _in_a_plane(components, x, names)
    if x.shape[1] == 2:
        _draw_posterior(plane, components, x)
    plane.scatter(*flat[~flagged].T, s=6, color="0.5", label="normal")
    plane.scatter(*flat[flagged].T, s=14, color="C3", label="flagged")
    title = f"{int(flagged.sum())} of {len(x)} flagged"
    if labels is not None:
        known = labels == 1
        plane.scatter(*flat[known].T, s=40, facecolors="none", edgecolors="black", linewidths=0.8, label="labelled")
        found = int((flagged & known).sum())
        title += f", {found} of them right; {int(known.sum())} labelled"
        order.vlines(np.flatnonzero(known), *_range(log_odds, limit), color="C1", alpha=0.15, label="labelled")
    plane.set(title=title, xlabel=axis_labels[0], ylabel=axis_labels[1])
    plane.legend(fontsize=8)
    order.plot(np.arange(len(x)), log_odds, color="0.6", linewidth=0.6)
    order.plot(np.flatnonzero(flagged), log_odds[flagged], ".", color="C3", markersize=4, label="flagged")
    order.axhline(limit, color="black", linewidth=1, label=f"posterior {threshold:g}")
    order.set_yscale("symlog", linthresh=20)
    order.set(title="in the data's order", xlabel="sample", ylabel="log odds of an anomaly, in nats")
    order.legend(fontsize=8)
    return figure


def _range(values: np.ndarray, limit: float) -> tuple[float, float]:
    return min(float(values.min()), limit), max(float(values.max()), limit)


def _in_a_plane(components: TwoComponents, x: np.ndarray, names: Any) -> tuple[np.ndarray, tuple[str, str]]:
    """Return two coordinates, and what to call them: the features' own, or principal axes of what is normal."""
    if x.shape[1] == 1:
        return np.stack([x[:, 0], np.zeros(len(x))], axis=1), (str(names[0]), "")
    if x.shape[1] == 2:
        return x, (str(names[0]), str(names[1]))
    deviations = np.sqrt(np.diag(components.covariance))
    _, vectors = np.linalg.eigh(components.covariance / np.outer(deviations, deviations))
    flat = (x - components.location) / deviations @ vectors[:, :-3:-1]
    return flat, ("first principal axis of what is normal", "second principal axis")


def _draw_posterior(axes: Axes, components: TwoComponents, x: np.ndarray) -> None:
    margin = 0.05 * np.ptp(x, axis=0)
    low, high = x.min(axis=0) - margin, x.max(axis=0) + margin
    first, second = np.meshgrid(*(np.linspace(low[axis], high[axis], _GRID) for axis in (0, 1)))
    places = np.stack([first.ravel(), second.ravel()], axis=1)
    probabilities = special.expit(components.log_odds(components.distances(places))).reshape(first.shape)
    filled = axes.contourf(first, second, probabilities, levels=np.linspace(0, 1, 11), cmap="Oranges", alpha=0.5)
    assert axes.figure is not None
    axes.figure.colorbar(filled, ax=axes, label="posterior probability of an anomaly")


def _write_table(components: TwoComponents, x: np.ndarray, labels: np.ndarray | None, names: Any, path: Path) -> None:
    log_odds = components.log_odds(components.distances(x))
    shares = components.evidence_per_distance * components.contributions(x)
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        label = [] if labels is None else ["label"]
        writer.writerow(["sample", "probability", "log_odds", *label, *(f"from {name}" for name in names)])
        for sample in np.argsort(-log_odds, kind="stable")[:_LISTED]:
            label = [] if labels is None else [str(int(labels[sample]))]
            probability = float(special.expit(log_odds[sample]))
            writer.writerow(
                [int(sample), f"{probability:.6g}", f"{log_odds[sample]:.4f}", *label]
                + [f"{share:.4f}" for share in shares[sample]]
            )
