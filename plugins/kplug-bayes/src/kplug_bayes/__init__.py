"""Bayesian layers, and tools around uncertainty, for Keras 3.

`import kplug_bayes` imports no Keras; a layer is imported when it is first used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from kplug_bayes.ab_testing.ab_test import Decision as Decision
    from kplug_bayes.ab_testing.beta_binomial import BetaBinomialTest as BetaBinomialTest
    from kplug_bayes.ab_testing.comparison import Comparison as Comparison
    from kplug_bayes.ab_testing.intervals import Interval as Interval
    from kplug_bayes.ab_testing.normal import NormalInverseGamma as NormalInverseGamma
    from kplug_bayes.ab_testing.normal import NormalTest as NormalTest
    from kplug_bayes.ab_testing.pictures import plot_ab_test as plot_ab_test
    from kplug_bayes.ab_testing.sample_size import SampleSizePlan as SampleSizePlan
    from kplug_bayes.ab_testing.sample_size import plan_sample_size as plan_sample_size
    from kplug_bayes.anomalies.detector import BayesianAnomalyDetector as BayesianAnomalyDetector
    from kplug_bayes.anomalies.model import AnomalyDetector as AnomalyDetector
    from kplug_bayes.bayes_theorem import posterior as posterior
    from kplug_bayes.bayes_theorem import posterior_from_rates as posterior_from_rates
    from kplug_bayes.calibration.interval_coverage import CoverageCurve as CoverageCurve
    from kplug_bayes.calibration.interval_coverage import coverage_curve as coverage_curve
    from kplug_bayes.calibration.interval_coverage import (
        probability_integral_transform as probability_integral_transform,
    )
    from kplug_bayes.calibration.pictures import calibration_plot as calibration_plot
    from kplug_bayes.calibration.pictures import coverage_plot as coverage_plot
    from kplug_bayes.calibration.reliability import ReliabilityCurve as ReliabilityCurve
    from kplug_bayes.calibration.reliability import expected_calibration_error as expected_calibration_error
    from kplug_bayes.calibration.reliability import reliability_curve as reliability_curve
    from kplug_bayes.datasets.ab_test_log import ABTestLog as ABTestLog
    from kplug_bayes.datasets.ab_test_log import ab_test_log as ab_test_log
    from kplug_bayes.datasets.ab_test_log import simulate_ab_test as simulate_ab_test
    from kplug_bayes.datasets.gap_regression import gap_regression as gap_regression
    from kplug_bayes.datasets.sensor_readings import sensor_readings as sensor_readings
    from kplug_bayes.gaussian_mixtures import MixtureFit as MixtureFit
    from kplug_bayes.gaussian_mixtures import gaussian_mixture as gaussian_mixture
    from kplug_bayes.gaussian_mixtures import plot_gaussian_mixture as plot_gaussian_mixture
    from kplug_bayes.models.bayesian_classifier import BayesianClassifier as BayesianClassifier
    from kplug_bayes.models.bayesian_regressor import BayesianRegressor as BayesianRegressor
    from kplug_bayes.outputs.distribution_lambda import DistributionLambda as DistributionLambda
    from kplug_bayes.outputs.distribution_layer import DistributionLayer as DistributionLayer
    from kplug_bayes.outputs.independent_bernoulli import IndependentBernoulli as IndependentBernoulli
    from kplug_bayes.outputs.independent_normal import IndependentNormal as IndependentNormal
    from kplug_bayes.outputs.metric_of_mean import MetricOfMean as MetricOfMean
    from kplug_bayes.outputs.mixture_normal import MixtureNormal as MixtureNormal
    from kplug_bayes.outputs.multivariate_normal_tril import MultivariateNormalTriL as MultivariateNormalTriL
    from kplug_bayes.outputs.negative_log_likelihood import NegativeLogLikelihood as NegativeLogLikelihood
    from kplug_bayes.outputs.one_hot_categorical import OneHotCategorical as OneHotCategorical
    from kplug_bayes.prediction.deep_ensemble import DeepEnsemble as DeepEnsemble
    from kplug_bayes.prediction.mc_dropout import MCDropout as MCDropout
    from kplug_bayes.prediction.monte_carlo_predictor import MonteCarloPredictor as MonteCarloPredictor
    from kplug_bayes.prediction.monte_carlo_predictor import predict_distribution as predict_distribution
    from kplug_bayes.prediction.predictive_distribution import ClassificationPrediction as ClassificationPrediction
    from kplug_bayes.prediction.predictive_distribution import RegressionPrediction as RegressionPrediction
    from kplug_bayes.prior_sweep import plot_prior_sweep as plot_prior_sweep
    from kplug_bayes.variational.dense_variational import DenseVariational as DenseVariational
    from kplug_bayes.variational.flipout import Conv1DFlipout as Conv1DFlipout
    from kplug_bayes.variational.flipout import Conv2DFlipout as Conv2DFlipout
    from kplug_bayes.variational.flipout import Conv3DFlipout as Conv3DFlipout
    from kplug_bayes.variational.flipout import DenseFlipout as DenseFlipout
    from kplug_bayes.variational.local_reparameterization import (
        DenseLocalReparameterization as DenseLocalReparameterization,
    )
    from kplug_bayes.variational.mean_field_normal import MeanFieldNormal as MeanFieldNormal
    from kplug_bayes.variational.multivariate_normal import MultivariateNormal as MultivariateNormal
    from kplug_bayes.variational.normal_mixture_prior import NormalMixturePrior as NormalMixturePrior
    from kplug_bayes.variational.normal_prior import NormalPrior as NormalPrior
    from kplug_bayes.variational.reparameterization import Conv1DReparameterization as Conv1DReparameterization
    from kplug_bayes.variational.reparameterization import Conv2DReparameterization as Conv2DReparameterization
    from kplug_bayes.variational.reparameterization import Conv3DReparameterization as Conv3DReparameterization
    from kplug_bayes.variational.reparameterization import DenseReparameterization as DenseReparameterization
    from kplug_bayes.variational.weight_distribution import WeightDistribution as WeightDistribution

__version__ = "0.1.0"

_MODULES = {
    "ABTestLog": "datasets.ab_test_log",
    "AnomalyDetector": "anomalies.model",
    "BayesianAnomalyDetector": "anomalies.detector",
    "BayesianClassifier": "models.bayesian_classifier",
    "BayesianRegressor": "models.bayesian_regressor",
    "BetaBinomialTest": "ab_testing.beta_binomial",
    "ClassificationPrediction": "prediction.predictive_distribution",
    "Conv1DFlipout": "variational.flipout",
    "Conv1DReparameterization": "variational.reparameterization",
    "Conv2DFlipout": "variational.flipout",
    "Conv2DReparameterization": "variational.reparameterization",
    "Conv3DFlipout": "variational.flipout",
    "Conv3DReparameterization": "variational.reparameterization",
    "Comparison": "ab_testing.comparison",
    "CoverageCurve": "calibration.interval_coverage",
    "Decision": "ab_testing.ab_test",
    "DeepEnsemble": "prediction.deep_ensemble",
    "DenseFlipout": "variational.flipout",
    "DenseLocalReparameterization": "variational.local_reparameterization",
    "DenseReparameterization": "variational.reparameterization",
    "DenseVariational": "variational.dense_variational",
    "DistributionLambda": "outputs.distribution_lambda",
    "DistributionLayer": "outputs.distribution_layer",
    "IndependentBernoulli": "outputs.independent_bernoulli",
    "IndependentNormal": "outputs.independent_normal",
    "Interval": "ab_testing.intervals",
    "MCDropout": "prediction.mc_dropout",
    "MeanFieldNormal": "variational.mean_field_normal",
    "MetricOfMean": "outputs.metric_of_mean",
    "MixtureFit": "gaussian_mixtures",
    "MixtureNormal": "outputs.mixture_normal",
    "MonteCarloPredictor": "prediction.monte_carlo_predictor",
    "MultivariateNormal": "variational.multivariate_normal",
    "MultivariateNormalTriL": "outputs.multivariate_normal_tril",
    "NegativeLogLikelihood": "outputs.negative_log_likelihood",
    "NormalInverseGamma": "ab_testing.normal",
    "NormalMixturePrior": "variational.normal_mixture_prior",
    "NormalPrior": "variational.normal_prior",
    "NormalTest": "ab_testing.normal",
    "OneHotCategorical": "outputs.one_hot_categorical",
    "RegressionPrediction": "prediction.predictive_distribution",
    "ReliabilityCurve": "calibration.reliability",
    "SampleSizePlan": "ab_testing.sample_size",
    "WeightDistribution": "variational.weight_distribution",
    "ab_test_log": "datasets.ab_test_log",
    "calibration_plot": "calibration.pictures",
    "coverage_curve": "calibration.interval_coverage",
    "coverage_plot": "calibration.pictures",
    "expected_calibration_error": "calibration.reliability",
    "gap_regression": "datasets.gap_regression",
    "gaussian_mixture": "gaussian_mixtures",
    "plan_sample_size": "ab_testing.sample_size",
    "plot_ab_test": "ab_testing.pictures",
    "plot_gaussian_mixture": "gaussian_mixtures",
    "plot_prior_sweep": "prior_sweep",
    "posterior": "bayes_theorem",
    "posterior_from_rates": "bayes_theorem",
    "predict_distribution": "prediction.monte_carlo_predictor",
    "probability_integral_transform": "calibration.interval_coverage",
    "reliability_curve": "calibration.reliability",
    "sensor_readings": "datasets.sensor_readings",
    "simulate_ab_test": "datasets.ab_test_log",
}

__all__ = sorted(_MODULES)  # noqa: PLE0605 - names that are imported when they are first used


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_MODULES[name]}"), name)


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
