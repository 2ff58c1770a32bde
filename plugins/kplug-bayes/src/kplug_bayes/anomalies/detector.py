"""A detector of anomalies in scikit-learn's convention."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from scipy import special
from sklearn.base import BaseEstimator, OutlierMixin
from sklearn.covariance import MinCovDet
from sklearn.utils.validation import check_is_fitted, validate_data

from kplug_bayes.anomalies.two_components import TwoComponents, expectation_maximization, regularized
from kplug_bayes.checked_numbers import check_choice, check_number, checked_count

_NORMAL_QUARTILE = 0.6744897501960817
"""Of the standard normal distribution: the median absolute deviation is that many standard deviations."""


class BayesianAnomalyDetector(OutlierMixin, BaseEstimator):
    """Says with which probability a sample is an anomaly: from a wide component, and not from the normal one.

    ```
    P(anomaly | x) = prior w(x) / (prior w(x) + (1 - prior) N(x; location, covariance))
    ```

    It follows scikit-learn's convention for outlier detection, and works in pipelines. No share of the training data is
    flagged by decree: of data without anomalies it flags none. All is computed from log densities in float64, so that
    scores far away neither overflow nor become equal.

    With few anomalies in the training data `covariance="full"` will do; where there are many, a covariance that they
    have stretched hides them, and `covariance="robust"` or `prior="learned"` finds them. What is learned bears
    anomalies that the wide component reaches, up to two or three `width` away; with `wide="uniform"` however far they
    are.

    Args:
        covariance: How the normal component is estimated: `"full"` (mean and covariance), `"diagonal"` (features taken
            to be uncorrelated), or `"robust"` (full, by the minimum covariance determinant: up to half of the training
            samples may be anomalies).
        wide: The wide component: `"gaussian"`, with the same centre and `width` times the deviations in every
            direction, or `"uniform"`, one density over the box of `width` deviations on either side of the centre,
            which is taken to go on beyond it.
        width: How wide the wide component is, in deviations of the normal one, above 1.
        prior: The share of anomalies that is expected, between 0 and 1; or `"learned"`: share, location and covariance
            are learned by expectation maximisation, which begins at robust estimates.
        threshold: The posterior probability at which a sample is called an anomaly, between 0 and 1.
        regularization: What is added to each feature's variance, as a share of it, at least 0; it keeps features that
            say the same invertible.
        max_iter: The most iterations of expectation maximisation.
        tol: The rise of the mean log likelihood, in nats, below which it ends.
        random_state: Seed of the robust estimate's subsets: a whole number, a `RandomState` or `None`.

    Attributes:
        location_: Centre of the normal component, of shape `(features,)`.
        covariance_: Its covariance, of shape `(features, features)`.
        prior_: Share of anomalies, given or learned.
        offset_: What `score_samples` has at the threshold; `decision_function` is 0 there.
        n_iter_: Iterations of expectation maximisation; 1 without.
        components_: Both components, a `TwoComponents`.
        n_features_in_: Number of features.

    References:
        - Tukey (1960), A survey of sampling from contaminated distributions, in Contributions to Probability and
          Statistics
        - Rousseeuw & Van Driessen (1999), A Fast Algorithm for the Minimum Covariance Determinant Estimator,
          doi:10.1080/00401706.1999.10485670

    Example:

    >>> x = np.random.default_rng(0).normal(size=(500, 2))
    >>> detector = kplug_bayes.BayesianAnomalyDetector(prior=0.01).fit(x)
    >>> detector.predict([[0.0, 0.5], [5.0, -5.0]])
    array([ 1, -1])
    """

    def __init__(
        self,
        covariance: Literal["full", "diagonal", "robust"] = "full",
        wide: Literal["gaussian", "uniform"] = "gaussian",
        width: float = 10.0,
        prior: float | Literal["learned"] = 0.01,
        threshold: float = 0.5,
        regularization: float = 1e-6,
        max_iter: int = 200,
        tol: float = 1e-8,
        random_state: Any = None,
    ) -> None:
        self.covariance = covariance
        self.wide = wide
        self.width = width
        self.prior = prior
        self.threshold = threshold
        self.regularization = regularization
        self.max_iter = max_iter
        self.tol = tol
        self.random_state = random_state

    def fit(self, X: Any, y: Any = None) -> BayesianAnomalyDetector:  # noqa: N803 - scikit-learn's name
        """Learn what is normal.

        Args:
            X: Data of shape `(samples, features)`, at least 2 samples; anomalies may be among them.
            y: Ignored.

        Returns:
            The detector.

        Raises:
            ValueError: If a parameter is out of range, data are not finite, or a feature is constant.
        """
        del y
        self._check_parameters()
        x = validate_data(self, X, dtype="float64", ensure_min_samples=2)
        constant = np.flatnonzero(np.ptp(x, axis=0) == 0)
        if constant.size:
            raise ValueError(
                "Every feature must vary in the training data: of one that does not, nobody knows how far is far. "
                f"Leave out the columns {', '.join(map(str, constant[:5]))}{' …' if constant.size > 5 else ''}"
            )
        learned = self.prior == "learned"
        location, covariance = self._estimates(x, robust=learned or self.covariance == "robust")
        width = float(self.width) if self.wide == "gaussian" else None
        sides = 2 * self.width * np.sqrt(np.diag(covariance))
        components = TwoComponents(
            location, covariance, 0.05 if learned else float(self.prior), width, -float(np.log(sides).sum())
        )
        self.n_iter_ = 1
        if learned:
            components, self.n_iter_ = expectation_maximization(
                x,
                components,
                diagonal=self.covariance == "diagonal",
                regularization=self.regularization,
                max_iter=self.max_iter,
                tol=self.tol,
            )
        self.components_ = components
        self.location_, self.covariance_, self.prior_ = components.location, components.covariance, components.prior
        self.offset_ = -float(special.logit(self.threshold))
        return self

    def _check_parameters(self) -> None:
        check_choice("covariance", self.covariance, ("full", "diagonal", "robust"))
        check_choice("wide", self.wide, ("gaussian", "uniform"))
        check_number("width", self.width, 1, ends="(]")
        check_number("threshold", self.threshold, 0, 1, ends="()")
        check_number("regularization", self.regularization, 0)
        checked_count("max_iter", self.max_iter)
        check_number("tol", self.tol, 0)
        if isinstance(self.prior, str):
            check_choice("prior", self.prior, ("learned",))
        else:
            check_number("prior", self.prior, 0, 1, ends="()")

    def _estimates(self, x: np.ndarray, robust: bool) -> tuple[np.ndarray, np.ndarray]:
        """Return location and covariance; robust ones are of the features by themselves unless that is asked for."""
        if self.covariance == "robust":
            same = np.flatnonzero(np.median(np.abs(x - np.median(x, axis=0)), axis=0) == 0)
            if same.size:
                raise ValueError(
                    "A feature that is nearly always the same has no spread for covariance='robust', which looks at "
                    "the closest half. "
                    f"Leave out the columns {', '.join(map(str, same[:5]))}, or use covariance='full'."
                )
            estimate = MinCovDet(random_state=self.random_state).fit(x)
            return estimate.location_, regularized(estimate.covariance_, False, self.regularization)
        if robust:
            location, deviations = median_and_deviation(x)
            return location, np.diag(deviations**2)
        covariance = np.atleast_2d(np.cov(x.T, bias=True))
        return x.mean(axis=0), regularized(covariance, self.covariance == "diagonal", self.regularization)

    def score_samples(self, X: Any) -> np.ndarray:  # noqa: N803 - scikit-learn's name
        """Return log odds, in nats, of being normal: the higher, the more normal.

        Args:
            X: Data of shape `(samples, features)`.

        Returns:
            Scores of shape `(samples,)`.

        Raises:
            ValueError: If data are not finite or have another number of features.
        """
        x = self._checked(X)
        return -self.components_.log_odds(self.components_.distances(x))

    def decision_function(self, X: Any) -> np.ndarray:  # noqa: N803 - scikit-learn's name
        """Return scores less what they are at the threshold: below 0 for anomalies. Arguments as `score_samples`."""
        return self.score_samples(X) - self.offset_

    def predict(self, X: Any) -> np.ndarray:  # noqa: N803 - scikit-learn's name
        """Return 1 for normal samples and -1 for anomalies, of shape `(samples,)`. Arguments as `score_samples`."""
        return np.where(self.decision_function(X) >= 0, 1, -1)

    def anomaly_probability(self, X: Any) -> np.ndarray:  # noqa: N803 - scikit-learn's name
        """Return posterior probabilities of an anomaly, of shape `(samples,)`. Arguments as `score_samples`."""
        return np.asarray(special.expit(-self.score_samples(X)))

    def explain(self, X: Any) -> np.ndarray:  # noqa: N803 - scikit-learn's name
        """Return what each feature adds to the log odds of an anomaly, in nats.

        The log odds are those at the centre of what is normal, and these on top. Where features are correlated, one
        that contradicts the others has the share, even where its own value is nothing special (Garthwaite & Koch 2016).

        Args:
            X: Data of shape `(samples, features)`.

        Returns:
            Contributions of shape `(samples, features)`, none negative.

        Raises:
            ValueError: If data are not finite or have another number of features.

        References:
            Garthwaite & Koch (2016), Evaluating the contributions of individual variables to a quadratic form,
            doi:10.1111/anzs.12144
        """
        x = self._checked(X)
        return self.components_.evidence_per_distance * self.components_.contributions(x)

    def _checked(self, X: Any) -> np.ndarray:  # noqa: N803 - scikit-learn's name
        check_is_fitted(self)
        return np.asarray(validate_data(self, X, dtype="float64", reset=False))


def median_and_deviation(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return medians and robust deviations of features, which half of the samples cannot move far.

    Args:
        x: Data of shape `(samples, features)`, no feature constant.

    Returns:
        The medians, and the median absolute deviations as standard deviations of a normal distribution; where more than
        half of a feature's values are one, its standard deviation. Both of shape `(features,)`.
    """
    median = np.median(x, axis=0)
    deviation = np.median(np.abs(x - median), axis=0) / _NORMAL_QUARTILE
    return median, np.where(deviation > 0, deviation, x.std(axis=0))
