"""The detector in scikit-learn's convention."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest
from scipy import special, stats
from sklearn.exceptions import ConvergenceWarning
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import check_estimator

import kplug_bayes

pytestmark = pytest.mark.neutral

RNG = np.random.default_rng(5)
COVARIANCE = np.array([[1.0, 0.8, 0.0], [0.8, 2.0, -0.3], [0.0, -0.3, 0.5]])
LOCATION = np.array([1.0, -2.0, 100.0])
NORMAL = RNG.multivariate_normal(LOCATION, COVARIANCE, size=900)
ANOMALIES = RNG.multivariate_normal(LOCATION, 100 * COVARIANCE, size=100)
PLACES = np.concatenate([NORMAL[:50], ANOMALIES[:50], [LOCATION + 1e6, LOCATION - 1e9]])


@pytest.mark.parametrize("covariance", ["full", "diagonal", "robust"])
@pytest.mark.parametrize("wide", ["gaussian", "uniform"])
@pytest.mark.parametrize("prior", [0.02, "learned"])
def test_posteriors_are_those_of_scipys_densities(covariance: Any, wide: Any, prior: Any) -> None:
    x = np.concatenate([NORMAL, ANOMALIES[:30]])
    detector = kplug_bayes.BayesianAnomalyDetector(covariance, wide, width=8.0, prior=prior, random_state=0).fit(x)
    normal = stats.multivariate_normal(detector.location_, detector.covariance_).logpdf(PLACES)
    if wide == "gaussian":
        outer = stats.multivariate_normal(detector.location_, 64 * detector.covariance_).logpdf(PLACES)
    else:
        first = kplug_bayes.BayesianAnomalyDetector(covariance, wide, width=8.0, random_state=0)
        if prior == "learned" and covariance != "robust":
            deviations = stats.median_abs_deviation(x, scale="normal")
        else:
            deviations = np.sqrt(np.diag(first.fit(x).covariance_))
        outer = np.full(len(PLACES), -np.log(16 * deviations).sum())
    log_odds = np.log(detector.prior_ / (1 - detector.prior_)) + outer - normal
    np.testing.assert_allclose(-detector.score_samples(PLACES), log_odds, rtol=1e-10, atol=1e-10)
    np.testing.assert_allclose(detector.anomaly_probability(PLACES), special.expit(log_odds), rtol=1e-10, atol=1e-300)


def test_estimates_are_the_samples_own() -> None:
    full = kplug_bayes.BayesianAnomalyDetector(regularization=0.0).fit(NORMAL)
    np.testing.assert_allclose(full.location_, NORMAL.mean(axis=0))
    np.testing.assert_allclose(full.covariance_, np.cov(NORMAL.T, bias=True), rtol=1e-10)
    diagonal = kplug_bayes.BayesianAnomalyDetector("diagonal", regularization=0.0).fit(NORMAL)
    np.testing.assert_allclose(diagonal.covariance_, np.diag(NORMAL.var(axis=0)), rtol=1e-10)


NOTHING_FLAGGED = dict.fromkeys(
    ("check_outliers_fit_predict", "check_outliers_train"),
    "wants something flagged of three blobs without anomalies, whose farthest point is 2.6 deviations off",
)


@pytest.mark.parametrize(
    ("options", "failed"),
    [
        ({"threshold": 1e-3}, {}),
        ({"covariance": "diagonal", "wide": "uniform", "threshold": 1e-3}, {}),
        ({}, NOTHING_FLAGGED),
        ({"prior": "learned"}, NOTHING_FLAGGED),
    ],
    ids=str,
)
def test_it_keeps_scikit_learns_convention(options: dict[str, Any], failed: dict[str, str]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        check_estimator(kplug_bayes.BayesianAnomalyDetector(**options), expected_failed_checks=failed)


def test_a_feature_that_is_mostly_one_value_has_no_robust_spread() -> None:
    x = NORMAL.copy()
    x[: len(x) * 6 // 10, 1] = 0
    with pytest.raises(ValueError, match=r"covariance='robust'.*Leave out the columns 1, or use covariance='full'"):
        kplug_bayes.BayesianAnomalyDetector(covariance="robust").fit(x)
    assert (kplug_bayes.BayesianAnomalyDetector(prior=0.01).fit(x).predict(x) == -1).mean() < 0.1


def test_em_learns_what_the_data_were_drawn_from() -> None:
    random = np.random.default_rng(0)
    wide = random.random(20000) < 0.1
    x = random.multivariate_normal([0, 0, 0], COVARIANCE, size=20000) * np.where(wide, 10, 1)[:, None] + LOCATION
    detector = kplug_bayes.BayesianAnomalyDetector(prior="learned").fit(x)
    assert detector.prior_ == pytest.approx(0.1, abs=0.01)
    np.testing.assert_allclose(detector.location_, LOCATION, atol=0.04)
    np.testing.assert_allclose(detector.covariance_, COVARIANCE, atol=0.06)
    assert 1 < detector.n_iter_ < 200
    right = (detector.predict(x) == -1) == wide
    assert right.mean() > 0.98


def test_em_never_loses_likelihood_and_ends_where_its_gradient_is_0() -> None:
    x = np.concatenate([NORMAL, ANOMALIES])

    def likelihood(**options: Any) -> tuple[float, Any]:
        detector = kplug_bayes.BayesianAnomalyDetector(prior="learned", regularization=0.0, **options).fit(x)
        normal = stats.multivariate_normal(detector.location_, detector.covariance_).logpdf(x)
        outer = stats.multivariate_normal(detector.location_, 100 * detector.covariance_).logpdf(x)
        return float(
            np.logaddexp(np.log1p(-detector.prior_) + normal, np.log(detector.prior_) + outer).mean()
        ), detector

    rising = [likelihood(max_iter=count, tol=0.0)[0] for count in (1, 2, 3, 5, 10, 30)]
    assert all(np.diff(rising) > -1e-12)
    best, detector = likelihood(tol=1e-12, max_iter=1000)
    for share in (0.98, 1.02):
        scaled = detector.components_
        moved = type(scaled)(scaled.location, scaled.covariance * share, scaled.prior, scaled.width)
        assert moved.log_density(moved.distances(x)).mean() < best
        moved = type(scaled)(scaled.location, scaled.covariance, scaled.prior * share, scaled.width)
        assert moved.log_density(moved.distances(x)).mean() < best


@pytest.mark.parametrize("options", [{"covariance": "robust"}, {"prior": "learned"}], ids=str)
def test_contaminated_training_data_do_not_hide_anomalies(options: dict[str, Any]) -> None:
    # A quarter of the training data is a cluster far away: the plain covariance takes it for normal.
    random = np.random.default_rng(1)
    far = random.multivariate_normal(LOCATION + np.array([8, -8, 5]), 0.1 * np.eye(3), size=300)
    x = np.concatenate([NORMAL, far])
    robust = kplug_bayes.BayesianAnomalyDetector(**options, random_state=0).fit(x)
    plain = kplug_bayes.BayesianAnomalyDetector().fit(x)
    assert (robust.predict(far) == -1).mean() > 0.99
    assert (robust.predict(NORMAL) == 1).mean() > 0.98
    assert (plain.predict(far) == -1).mean() < 0.1


def test_one_dimension_and_the_robust_estimate() -> None:
    x = np.concatenate([np.random.default_rng(0).normal(5, 2, 300), np.full(60, 400.0)])[:, None]
    for options in ({"covariance": "robust", "random_state": 0}, {"prior": "learned", "wide": "uniform"}):
        detector = kplug_bayes.BayesianAnomalyDetector(**options).fit(x)
        assert detector.location_[0] == pytest.approx(5, abs=0.4)
        assert detector.covariance_[0, 0] == pytest.approx(4, rel=0.3)
        np.testing.assert_array_equal(detector.predict([[5.0], [400.0]]), [1, -1])


def test_the_threshold_is_one_of_the_posterior() -> None:
    for threshold in (0.1, 0.5, 0.99):
        detector = kplug_bayes.BayesianAnomalyDetector(threshold=threshold).fit(NORMAL)
        flagged = detector.predict(PLACES) == -1
        np.testing.assert_array_equal(flagged, detector.anomaly_probability(PLACES) > threshold)
    assert detector.score_samples([LOCATION + 1e6])[0] > detector.score_samples([LOCATION - 1e9])[0]


def test_contributions_name_the_feature_and_sum_to_the_log_odds() -> None:
    detector = kplug_bayes.BayesianAnomalyDetector(regularization=0.0).fit(NORMAL)
    shares = detector.explain(PLACES)
    assert shares.shape == PLACES.shape
    assert (shares >= 0).all()
    at_centre = detector.score_samples([detector.location_])[0]
    np.testing.assert_allclose(shares.sum(axis=1), at_centre - detector.score_samples(PLACES), rtol=1e-8)
    for feature in range(3):
        moved = detector.location_.copy()
        moved[feature] += 8 * np.sqrt(COVARIANCE[feature, feature])
        assert detector.explain([moved])[0].argmax() == feature


def test_contributions_do_not_depend_on_units() -> None:
    unit = np.array([1e-6, 1.0, 1e5])
    first, second = (kplug_bayes.BayesianAnomalyDetector().fit(NORMAL * factor) for factor in (1.0, unit))
    np.testing.assert_allclose(first.explain(PLACES[:80]), second.explain(PLACES[:80] * unit), rtol=1e-6)


def test_it_works_in_a_pipeline() -> None:
    pipeline = make_pipeline(StandardScaler(), kplug_bayes.BayesianAnomalyDetector())
    flagged = pipeline.fit(NORMAL).predict(ANOMALIES)
    assert (flagged == -1).mean() > 0.9
    assert set(kplug_bayes.BayesianAnomalyDetector().fit_predict(NORMAL)) <= {1, -1}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"covariance": "tied"},
            "`covariance` must be one of 'full', 'diagonal', 'robust'. Received: covariance='tied'",
        ),
        ({"wide": "cauchy"}, "`wide`"),
        ({"width": 1.0}, "`width` must be a number above 1"),
        ({"prior": 0.0}, "`prior` must be a number above 0 and below 1"),
        ({"prior": "guessed"}, "`prior` must be one of 'learned'"),
        ({"threshold": 1.0}, "`threshold`"),
        ({"regularization": -1.0}, "`regularization`"),
        ({"max_iter": 0}, "`max_iter`"),
        ({"tol": np.nan}, "`tol`"),
    ],
)
def test_wrong_parameters_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        kplug_bayes.BayesianAnomalyDetector(**options).fit(NORMAL)


def test_data_that_nothing_follows_from_are_refused() -> None:
    detector = kplug_bayes.BayesianAnomalyDetector()
    with pytest.raises(ValueError, match="Leave out the columns 1"):
        detector.fit(np.array([[1.0, 3.0], [2.0, 3.0], [4.0, 3.0]]))
    with pytest.raises(ValueError, match="NaN"):
        detector.fit(np.array([[1.0], [np.nan], [2.0]]))
    with pytest.raises(ValueError, match="2 features"):
        detector.fit(NORMAL).predict(NORMAL[:, :2])


def test_features_without_a_scale_of_their_own_are_named() -> None:
    mostly_zero = np.random.default_rng(0).normal(size=(500, 3))
    mostly_zero[:350, 2] = 0
    with pytest.raises(ValueError, match=r"nearly always the same.* columns 2"):
        kplug_bayes.BayesianAnomalyDetector(covariance="robust").fit(mostly_zero)
    twice = np.random.default_rng(0).normal(size=(50, 1)) * [1.0, 2.0]
    with pytest.raises(ValueError, match=r"positive definite.*regularization=0"):
        kplug_bayes.BayesianAnomalyDetector(regularization=0).fit(twice)


def test_em_that_is_cut_short_warns() -> None:
    detector = kplug_bayes.BayesianAnomalyDetector(prior="learned", max_iter=1, tol=0)
    with pytest.warns(ConvergenceWarning, match="max_iter=1"):
        detector.fit(np.random.default_rng(0).normal(size=(200, 2)))
