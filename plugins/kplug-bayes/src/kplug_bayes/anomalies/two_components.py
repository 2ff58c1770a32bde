"""The mixture of a normal component and a wide one, in float64."""

from __future__ import annotations

import warnings
from dataclasses import dataclass, replace

import numpy as np
from scipy import linalg, special
from sklearn.exceptions import ConvergenceWarning

_SHARE_STEPS = 50


@dataclass(frozen=True)
class TwoComponents:
    """A normal component, and a wide one that everything else comes from.

    The wide one is the normal one with `width` times its deviations (the contaminated normal distribution of Tukey), or
    has one density everywhere.

    Attributes:
        location: Centre of both, of shape `(features,)`.
        covariance: Covariance of the normal one, of shape `(features, features)`.
        prior: Share of the wide component, between 0 and 1.
        width: How many times wider it is, above 1; `None` if it has one density everywhere.
        wide_log_density: That density's logarithm, in nats; used where there is no width.

    References:
        Tukey (1960), A survey of sampling from contaminated distributions, in Contributions to Probability and
        Statistics
    """

    location: np.ndarray
    covariance: np.ndarray
    prior: float
    width: float | None
    wide_log_density: float = 0.0

    def distances(self, x: np.ndarray) -> np.ndarray:
        """Return squared Mahalanobis distances from the centre, of shape `(samples,)`."""
        factor = linalg.cholesky(self.covariance, lower=True)
        whitened = linalg.solve_triangular(factor, (x - self.location).T, lower=True)
        return np.asarray(np.einsum("fn,fn->n", whitened, whitened))

    def log_determinant(self) -> float:
        """Return the logarithm of the covariance's determinant."""
        return float(2 * np.log(np.diag(linalg.cholesky(self.covariance, lower=True))).sum())

    def normal_log_density(self, distances: np.ndarray) -> np.ndarray:
        """Return log densities of the normal component at squared distances."""
        return np.asarray(-0.5 * (distances + self.log_determinant() + len(self.location) * np.log(2 * np.pi)))

    def log_odds(self, distances: np.ndarray) -> np.ndarray:
        """Return the log odds of an anomaly, in nats, at squared distances."""
        prior = special.logit(self.prior)
        if self.width is None:
            return np.asarray(prior + self.wide_log_density - self.normal_log_density(distances))
        return np.asarray(prior + self.evidence_per_distance * distances - len(self.location) * np.log(self.width))

    @property
    def evidence_per_distance(self) -> float:
        """By how much the log odds rise with the squared distance."""
        return 0.5 if self.width is None else 0.5 * (1 - self.width**-2)

    def log_density(self, distances: np.ndarray) -> np.ndarray:
        """Return log densities of the mixture at squared distances."""
        normal = np.log1p(-self.prior) + self.normal_log_density(distances)
        return np.asarray(np.logaddexp(normal, normal + self.log_odds(distances)))

    def contributions(self, x: np.ndarray) -> np.ndarray:
        """Divide squared distances among the features.

        The corr-max transformation: the standardised features are decorrelated by the symmetric root of their
        correlation matrix, so that each becomes the feature that is most correlated with it. Squares are never
        negative, and sum to the squared distance.

        Returns:
            Shares of shape `(samples, features)`.

        References:
            Garthwaite & Koch (2016), Evaluating the contributions of individual variables to a quadratic form,
            doi:10.1111/anzs.12144
        """
        deviations = np.sqrt(np.diag(self.covariance))
        values, vectors = linalg.eigh(self.covariance / np.outer(deviations, deviations))
        root = (vectors / np.sqrt(values)) @ vectors.T
        return np.asarray(np.square((x - self.location) / deviations @ root))


def expectation_maximization(
    x: np.ndarray, components: TwoComponents, *, diagonal: bool, regularization: float, max_iter: int, tol: float
) -> tuple[TwoComponents, int]:
    """Learn location, covariance and prior from unlabelled data by maximum likelihood.

    A wide component that is the normal one made wider takes part in the estimates, each of its samples with a weight of
    `1 / width^2`; one of constant density stays as it is.

    Args:
        x: Data of shape `(samples, features)`.
        components: What to begin at.
        diagonal: Whether features are taken to be uncorrelated.
        regularization: What is added to the variances, as a share of them.
        max_iter: The most iterations.
        tol: The rise of the mean log likelihood, in nats, below which it ends.

    Returns:
        What was learned, and after how many iterations.

    References:
        Dempster, Laird & Rubin (1977), Maximum Likelihood from Incomplete Data via the EM Algorithm,
        doi:10.1111/j.2517-6161.1977.tb01600.x
    """
    width, before = components.width, -np.inf
    for iteration in range(1, max_iter + 1):
        distances = components.distances(x)
        likelihood = float(components.log_density(distances).mean())
        if likelihood - before < tol:
            return components, iteration
        before = likelihood
        wide = special.expit(components.log_odds(distances))
        weights = 1 - wide if width is None else 1 - wide * (1 - width**-2)
        location = weights @ x / weights.sum()
        centred = x - location
        samples = (1 - wide).sum() if width is None else len(x)
        covariance = (weights[:, np.newaxis] * centred).T @ centred / samples
        components = TwoComponents(
            location,
            regularized(covariance, diagonal, regularization),
            # Neither component may vanish for good.
            float(np.clip(wide.mean(), 1e-12, 0.5)),
            width,
            components.wide_log_density,
        )
    warnings.warn(
        f"EM has not converged in max_iter={max_iter} iterations: raise `max_iter` or `tol`.",
        ConvergenceWarning,
        stacklevel=3,
    )
    return components, max_iter


def share_of_wide(components: TwoComponents, x: np.ndarray) -> float:
    """Return the share of the wide component in data beside components that stay as they are, from 0.0001 to 0.5.

    Args:
        components: The components; their share is where the search begins.
        x: Data of shape `(samples, features)`.
    """
    distances = components.distances(x)
    share = components.prior
    for _ in range(_SHARE_STEPS):
        wide = special.expit(replace(components, prior=share).log_odds(distances))
        share = float(np.clip(wide.mean(), 1e-4, 0.5))
    return share


def regularized(covariance: np.ndarray, diagonal: bool, regularization: float) -> np.ndarray:
    """Return a covariance with variances raised by a share of themselves, and none between features if diagonal."""
    variances = np.diag(np.diag(covariance))
    raised = np.asarray((variances if diagonal else covariance) + regularization * variances)
    nothing = np.flatnonzero(np.diag(covariance) <= 0)
    if nothing.size:
        raise ValueError(
            "Every feature must vary among the normal samples; of one that is nearly always the same, nobody knows how "
            f"far is far. Leave out the columns {', '.join(map(str, nothing[:5]))}, or use covariance='full'."
        )
    try:
        linalg.cholesky(raised)
    except linalg.LinAlgError as error:
        raise ValueError(
            "The covariance must be positive definite: some features follow from others. Leave those out, or raise "
            f"`regularization`. Received: regularization={regularization!r}"
        ) from error
    return raised
