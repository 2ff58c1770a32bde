"""Data sets, each with train, validation and test splits and an info record."""

from kplug.datasets.bag_of_words import build_vocabulary, count_words, tokenize
from kplug.datasets.blobs import blobs
from kplug.datasets.dataset import Dataset
from kplug.datasets.digits import digits
from kplug.datasets.gaussian_grid import gaussian_grid
from kplug.datasets.imbalanced import imbalanced
from kplug.datasets.moons import moons
from kplug.datasets.python_docs import python_docs
from kplug.datasets.scikit_learn_tables import breast_cancer, diabetes, iris, wine
from kplug.datasets.synthetic_topics import synthetic_topics, synthetic_topics_truth

__all__ = [
    "Dataset",
    "blobs",
    "breast_cancer",
    "build_vocabulary",
    "count_words",
    "diabetes",
    "digits",
    "gaussian_grid",
    "imbalanced",
    "iris",
    "moons",
    "python_docs",
    "synthetic_topics",
    "synthetic_topics_truth",
    "tokenize",
    "wine",
]
