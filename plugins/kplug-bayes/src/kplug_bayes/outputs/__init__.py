"""Layers that read what a network puts out as a distribution, and the loss that goes with them.

All are imported together: for a saved model kplug imports components of this package, and the loss, the metric and
`DistributionLambda` are none.
"""

from kplug_bayes.outputs.distribution_lambda import DistributionLambda
from kplug_bayes.outputs.distribution_layer import DistributionLayer
from kplug_bayes.outputs.independent_bernoulli import IndependentBernoulli
from kplug_bayes.outputs.independent_normal import IndependentNormal
from kplug_bayes.outputs.metric_of_mean import MetricOfMean
from kplug_bayes.outputs.mixture_normal import MixtureNormal
from kplug_bayes.outputs.multivariate_normal_tril import MultivariateNormalTriL
from kplug_bayes.outputs.negative_log_likelihood import NegativeLogLikelihood
from kplug_bayes.outputs.one_hot_categorical import OneHotCategorical

__all__ = [
    "DistributionLambda",
    "DistributionLayer",
    "IndependentBernoulli",
    "IndependentNormal",
    "MetricOfMean",
    "MixtureNormal",
    "MultivariateNormalTriL",
    "NegativeLogLikelihood",
    "OneHotCategorical",
]
