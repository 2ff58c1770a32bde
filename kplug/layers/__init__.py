"""Layers that Keras lacks."""

from kplug.layers.dirichlet_sampling import DirichletSampling
from kplug.layers.gradient_reversal import GradientReversal
from kplug.layers.gumbel_softmax import GumbelSoftmax
from kplug.layers.kl_divergence import KLDivergence
from kplug.layers.logistic_normal import LogisticNormal, dirichlet_laplace
from kplug.layers.precision import precise_dtype
from kplug.layers.proxy_head import ProxyHead
from kplug.layers.random_affine import RandomAffine
from kplug.layers.sampling import Sampling
from kplug.layers.seeded import SeededLayer, derived_seeds
from kplug.layers.vector_quantizer import VectorQuantizer

__all__ = [
    "DirichletSampling",
    "GradientReversal",
    "GumbelSoftmax",
    "KLDivergence",
    "LogisticNormal",
    "ProxyHead",
    "RandomAffine",
    "Sampling",
    "SeededLayer",
    "VectorQuantizer",
    "derived_seeds",
    "dirichlet_laplace",
    "precise_dtype",
]
