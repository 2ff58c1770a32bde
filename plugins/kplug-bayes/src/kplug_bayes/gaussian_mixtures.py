"""Gaussian mixtures: scikit-learn's, with the number of components chosen."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Ellipse
from sklearn.mixture import BayesianGaussianMixture, GaussianMixture

from kplug_bayes.checked_numbers import check_choice, check_number, check_seed, checked_count, finite_array

_COVARIANCES = ("full", "tied", "diag", "spherical")


@dataclass(frozen=True)
class MixtureFit:
    """A Gaussian mixture, and how many components of it there are.

    Attributes:
        model: scikit-learn's fitted mixture, with `predict`, `predict_proba`, `score_samples` and `sample`.
        weights: Shares of the components that are in use, largest first, of shape `(components,)`.
        means: Their centres, of shape `(components, features)`.
        covariances: Their covariances, of shape `(components, features, features)`.
        bic: The Bayesian information criterion of each number of components that was tried, for `method="em"`.
    """

    model: Any
    weights: np.ndarray
    means: np.ndarray
    covariances: np.ndarray
    bic: dict[int, float]

    @property
    def components(self) -> int:
        """Number of components that are in use."""
        return len(self.weights)

    def __str__(self) -> str:
        return f"{self.components} components, weights {', '.join(f'{weight:.3f}' for weight in self.weights)}"


def gaussian_mixture(
    x: Any,
    components: int | Sequence[int],
    method: Literal["em", "variational"] = "em",
    *,
    covariance_type: Literal["full", "tied", "diag", "spherical"] = "full",
    least_weight: float = 0.01,
    restarts: int = 5,
    seed: int = 0,
) -> MixtureFit:
    """Fit a Gaussian mixture by scikit-learn, with a number of components that the data choose.

    By expectation maximisation (`"em"`) several numbers are tried, and that of the lowest Bayesian information
    criterion is taken. By variational inference (`"variational"`) one number is enough, the most that there may be: a
    Dirichlet process prior empties the components that are not needed, and those of less than `least_weight` are left
    out.

    Args:
        x: Data of shape `(samples, features)`.
        components: For `"em"` a number, or several to choose from; for `"variational"` the most.
        method: `"em"` or `"variational"`.
        covariance_type: As in scikit-learn.
        least_weight: Share of the data below which a component of `"variational"` is left out, from 0 to below 1.
        restarts: How many beginnings are tried; the best is kept.
        seed: Seed of the beginnings.

    Returns:
        A `MixtureFit`.

    Raises:
        ValueError: If data are not finite or too few, or a parameter is out of range.

    References:
        - Schwarz (1978), Estimating the Dimension of a Model, doi:10.1214/aos/1176344136
        - Blei & Jordan (2006), Variational inference for Dirichlet process mixtures, doi:10.1214/06-BA104

    Example:

    ```python
    fit = kplug_bayes.gaussian_mixture(x, range(1, 8))  # or (x, 8, method="variational")
    print(fit)
    kplug_bayes.plot_gaussian_mixture(x, fit, "mixture.png")
    ```
    """
    x = finite_array("x", x, dimensions=2)
    check_choice("method", method, ("em", "variational"))
    check_choice("covariance_type", covariance_type, _COVARIANCES)
    check_number("least_weight", least_weight, 0, 1, ends="[)")
    checked_count("restarts", restarts)
    check_seed(seed)
    several = isinstance(components, Sequence)
    counts = list(components) if isinstance(components, Sequence) else [components]
    for count in counts:
        checked_count("components", count)
    if not counts or max(counts) > len(x):
        raise ValueError(
            f"`components` must be from 1 to the number of samples, {len(x)}. Received: components={components!r}"
        )
    options = {"covariance_type": covariance_type, "n_init": restarts, "random_state": seed, "max_iter": 500}
    if method == "variational":
        if several:
            raise ValueError(
                "`components` must be one number for method='variational', the most that there may be. "
                f"Received: components={components!r}"
            )
        return _fit_of(BayesianGaussianMixture(n_components=counts[0], **options).fit(x), x.shape[1], least_weight, {})
    models = {count: GaussianMixture(n_components=count, **options).fit(x) for count in sorted(set(counts))}
    bic = {count: float(model.bic(x)) for count, model in models.items()}
    return _fit_of(models[min(bic, key=lambda count: bic[count])], x.shape[1], 0.0, bic)


def _fit_of(model: Any, features: int, least_weight: float, bic: dict[int, float]) -> MixtureFit:
    order = np.argsort(-model.weights_, kind="stable")
    order = np.concatenate([order[:1], order[1:][model.weights_[order[1:]] >= least_weight]])
    covariances, identity = np.asarray(model.covariances_), np.eye(features)
    if model.covariance_type == "tied":
        covariances = np.broadcast_to(covariances, (model.n_components, features, features))
    elif model.covariance_type == "diag":
        covariances = covariances[:, :, np.newaxis] * identity
    elif model.covariance_type == "spherical":
        covariances = covariances[:, np.newaxis, np.newaxis] * identity
    weights = model.weights_[order]
    return MixtureFit(model, weights / weights.sum(), model.means_[order], np.array(covariances[order]), bic)


def plot_gaussian_mixture(
    x: Any, fit: MixtureFit, path: str | Path | None = None, *, features: tuple[int, int] = (0, 1)
) -> Figure:
    """Draw data and components in the plane of two features, with ellipses at one and two deviations.

    Args:
        x: Data of shape `(samples, features)`, at least two features.
        fit: What `gaussian_mixture` returned.
        path: Where to save the picture, in the format of its suffix; `None` for nowhere.
        features: Which two features.

    Returns:
        The figure.

    Raises:
        ValueError: If there are no such features.
    """
    names = list(map(str, getattr(x, "columns", [])))
    x = finite_array("x", x, dimensions=2)
    if x.shape[1] < 2:
        raise ValueError(f"The plane needs data of two features or more. Received: x of shape {x.shape}")
    names = names or [f"feature {number}" for number in range(x.shape[1])]
    known = range(min(x.shape[1], fit.means.shape[1]))
    if len(features) != 2 or any(feature not in known for feature in features):
        raise ValueError(
            f"`features` must be two columns of the data, from 0 to {len(known) - 1}. Received: features={features!r}"
        )
    chosen = list(features)
    figure = Figure(figsize=(6, 5), dpi=120, layout="constrained")
    axes = figure.add_subplot()
    labels = fit.model.predict(x)
    axes.scatter(x[:, chosen[0]], x[:, chosen[1]], c=labels, s=6, cmap="tab10", vmin=0, vmax=10, alpha=0.6)
    for weight, mean, covariance in zip(fit.weights, fit.means, fit.covariances, strict=True):
        values, vectors = np.linalg.eigh(covariance[np.ix_(chosen, chosen)])
        angle = float(np.degrees(np.arctan2(vectors[1, 1], vectors[0, 1])))
        for deviations in (1, 2):
            height, width = 2 * deviations * np.sqrt(values)
            axes.add_patch(Ellipse(mean[chosen], width, height, angle=angle, fill=False, color="black", linewidth=1))
        above = mean[chosen] + [0, 2 * np.sqrt(covariance[chosen[1], chosen[1]])]
        axes.annotate(f"{weight:.2f}", above, xytext=(0, 2), textcoords="offset points", ha="center", fontsize=8)
    axes.set(title=str(fit), xlabel=names[chosen[0]], ylabel=names[chosen[1]])
    if path is not None:
        figure.savefig(path)
    return figure
