"""Bayesian layers for Keras 3.

`import kplug_bayes` imports no Keras; a layer is imported when it is first used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from kplug_bayes.ab_testing.beta_binomial import BetaBinomialTest as BetaBinomialTest
    from kplug_bayes.ab_testing.normal import NormalInverseGamma as NormalInverseGamma
    from kplug_bayes.ab_testing.normal import NormalTest as NormalTest
    from kplug_bayes.ab_testing.pictures import plot_ab_test as plot_ab_test
    from kplug_bayes.ab_testing.sample_size import plan_sample_size as plan_sample_size
    from kplug_bayes.anomalies.detector import BayesianAnomalyDetector as BayesianAnomalyDetector
    from kplug_bayes.anomalies.model import AnomalyDetector as AnomalyDetector
    from kplug_bayes.bayes_theorem import posterior as posterior
    from kplug_bayes.bayes_theorem import posterior_from_rates as posterior_from_rates
    from kplug_bayes.datasets.ab_test_log import ABTestLog as ABTestLog
    from kplug_bayes.datasets.ab_test_log import ab_test_log as ab_test_log
    from kplug_bayes.datasets.ab_test_log import simulate_ab_test as simulate_ab_test
    from kplug_bayes.datasets.sensor_readings import sensor_readings as sensor_readings
    from kplug_bayes.dense_variational import DenseVariational as DenseVariational
    from kplug_bayes.flipout import Conv1DFlipout as Conv1DFlipout
    from kplug_bayes.flipout import Conv2DFlipout as Conv2DFlipout
    from kplug_bayes.flipout import Conv3DFlipout as Conv3DFlipout
    from kplug_bayes.flipout import DenseFlipout as DenseFlipout
    from kplug_bayes.gaussian_mixtures import gaussian_mixture as gaussian_mixture
    from kplug_bayes.gaussian_mixtures import plot_gaussian_mixture as plot_gaussian_mixture
    from kplug_bayes.local_reparameterization import DenseLocalReparameterization as DenseLocalReparameterization
    from kplug_bayes.mean_field_normal import MeanFieldNormal as MeanFieldNormal
    from kplug_bayes.multivariate_normal import MultivariateNormal as MultivariateNormal
    from kplug_bayes.normal_mixture_prior import NormalMixturePrior as NormalMixturePrior
    from kplug_bayes.normal_prior import NormalPrior as NormalPrior
    from kplug_bayes.prior_sweep import plot_prior_sweep as plot_prior_sweep
    from kplug_bayes.reparameterization import Conv1DReparameterization as Conv1DReparameterization
    from kplug_bayes.reparameterization import Conv2DReparameterization as Conv2DReparameterization
    from kplug_bayes.reparameterization import Conv3DReparameterization as Conv3DReparameterization
    from kplug_bayes.reparameterization import DenseReparameterization as DenseReparameterization
    from kplug_bayes.weight_distribution import WeightDistribution as WeightDistribution

__version__ = "0.1.0"

_MODULES = {
    "ABTestLog": "datasets.ab_test_log",
    "AnomalyDetector": "anomalies.model",
    "BayesianAnomalyDetector": "anomalies.detector",
    "BetaBinomialTest": "ab_testing.beta_binomial",
    "Conv1DFlipout": "flipout",
    "Conv1DReparameterization": "reparameterization",
    "Conv2DFlipout": "flipout",
    "Conv2DReparameterization": "reparameterization",
    "Conv3DFlipout": "flipout",
    "Conv3DReparameterization": "reparameterization",
    "DenseFlipout": "flipout",
    "DenseLocalReparameterization": "local_reparameterization",
    "DenseReparameterization": "reparameterization",
    "DenseVariational": "dense_variational",
    "MeanFieldNormal": "mean_field_normal",
    "MultivariateNormal": "multivariate_normal",
    "NormalInverseGamma": "ab_testing.normal",
    "NormalMixturePrior": "normal_mixture_prior",
    "NormalPrior": "normal_prior",
    "NormalTest": "ab_testing.normal",
    "WeightDistribution": "weight_distribution",
    "ab_test_log": "datasets.ab_test_log",
    "gaussian_mixture": "gaussian_mixtures",
    "plan_sample_size": "ab_testing.sample_size",
    "plot_ab_test": "ab_testing.pictures",
    "plot_gaussian_mixture": "gaussian_mixtures",
    "plot_prior_sweep": "prior_sweep",
    "posterior": "bayes_theorem",
    "posterior_from_rates": "bayes_theorem",
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
