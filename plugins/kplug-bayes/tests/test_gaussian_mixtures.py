"""Gaussian mixtures: the number of components, and the picture."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas
import pytest
from matplotlib.patches import Ellipse
from scipy import stats

import kplug_bayes

pytestmark = pytest.mark.neutral

RNG = np.random.default_rng(2)
X = np.concatenate(
    [
        RNG.multivariate_normal([0, 0], [[1.0, 0.8], [0.8, 1.0]], 300),
        RNG.multivariate_normal([8, 0], [[0.5, 0.0], [0.0, 2.0]], 200),
        RNG.multivariate_normal([0, 9], np.eye(2), 100),
    ]
)


@pytest.mark.parametrize("covariance_type", ["full", "tied", "diag", "spherical"])
@pytest.mark.parametrize(("method", "components"), [("em", range(1, 6)), ("variational", 8)])
def test_three_clusters_are_three_components(method: Any, components: Any, covariance_type: Any) -> None:
    fit = kplug_bayes.gaussian_mixture(X, components, method, covariance_type=covariance_type, restarts=2)
    if covariance_type == "full":
        assert fit.components == 3
        np.testing.assert_allclose(fit.weights, [1 / 2, 1 / 3, 1 / 6], atol=0.02)
        np.testing.assert_allclose(fit.means, [[0, 0], [8, 0], [0, 9]], atol=0.35)
        np.testing.assert_allclose(fit.covariances[0], [[1, 0.8], [0.8, 1]], atol=0.25)
    assert fit.covariances.shape == (fit.components, 2, 2)
    assert fit.weights.sum() == pytest.approx(1)
    assert str(fit).startswith(f"{fit.components} components, weights 0.")


@pytest.mark.parametrize("covariance_type", ["full", "tied", "diag", "spherical"])
def test_weights_means_and_covariances_give_the_density_of_the_model(covariance_type: Any) -> None:
    fit = kplug_bayes.gaussian_mixture(X, 3, covariance_type=covariance_type, restarts=1)
    parts = zip(fit.weights, fit.means, fit.covariances, strict=True)
    density = sum(weight * stats.multivariate_normal(mean, covariance).pdf(X) for weight, mean, covariance in parts)
    np.testing.assert_allclose(np.log(density), fit.model.score_samples(X), rtol=1e-9)


def test_the_lowest_criterion_is_taken() -> None:
    fit = kplug_bayes.gaussian_mixture(X, [2, 3, 4], restarts=2)
    assert sorted(fit.bic) == [2, 3, 4]
    assert min(fit.bic, key=lambda count: fit.bic[count]) == fit.components == 3
    assert fit.bic[3] == pytest.approx(fit.model.bic(X))
    assert kplug_bayes.gaussian_mixture(X, 2).components == 2


def test_ellipses_have_the_components_axes(tmp_path: Path) -> None:
    fit = kplug_bayes.gaussian_mixture(X, 3)
    figure = kplug_bayes.plot_gaussian_mixture(X, fit, tmp_path / "mixture.png")
    assert (tmp_path / "mixture.png").stat().st_size > 5000
    ellipses = [patch for patch in figure.axes[0].patches if isinstance(patch, Ellipse)]
    assert len(ellipses) == 6
    first = ellipses[0]
    values, vectors = np.linalg.eigh(fit.covariances[0])
    assert (first.width, first.height) == pytest.approx((2 * np.sqrt(values[1]), 2 * np.sqrt(values[0])))
    along = np.array([np.cos(np.radians(first.angle)), np.sin(np.radians(first.angle))])
    assert abs(along @ vectors[:, 1]) == pytest.approx(1)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"x": [[1.0, np.nan]]}, "`x` must be finite"),
        ({"x": [1.0, 2.0]}, "`x` must have 2 axes"),
        ({"components": 0}, "`components` must be a whole number of at least 1"),
        ({"components": 700}, "from 1 to the number of samples, 600"),
        ({"components": []}, "`components`"),
        ({"components": [2, 3], "method": "variational"}, "`components` must be one number for method='variational'"),
        ({"method": "gibbs"}, "`method` must be one of 'em', 'variational'"),
        ({"covariance_type": "round"}, "`covariance_type`"),
        ({"least_weight": 1.0}, "`least_weight`"),
        ({"restarts": 0}, "`restarts`"),
        ({"seed": -1}, "`seed`"),
    ],
)
def test_what_cannot_be_fitted_is_refused(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        kplug_bayes.gaussian_mixture(**{"x": X, "components": 2, **arguments})


def test_a_table_has_the_names_of_its_columns() -> None:
    table = pandas.DataFrame(X, columns=["width", "height"])
    axes = kplug_bayes.plot_gaussian_mixture(table, kplug_bayes.gaussian_mixture(table, 3, restarts=1)).axes[0]
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("width", "height")
    with pytest.raises(ValueError, match=r"two features or more.*\(600, 1\)"):
        kplug_bayes.plot_gaussian_mixture(X[:, :1], kplug_bayes.gaussian_mixture(X[:, :1], 2, restarts=1))


def test_features_that_are_not_there_are_refused() -> None:
    with pytest.raises(ValueError, match=r"from 0 to 1. Received: features=\(0, 2\)"):
        kplug_bayes.plot_gaussian_mixture(X, kplug_bayes.gaussian_mixture(X, 2), features=(0, 2))


def test_the_largest_component_is_always_kept() -> None:
    x = np.random.default_rng(0).normal(size=(200, 2))
    assert kplug_bayes.gaussian_mixture(x, 5, "variational", least_weight=0.99).components == 1
