"""Data sets, each with train, validation and test splits and an info record."""

from kplug.datasets.augmentation import GaussianNoiseAugmentation, augment
from kplug.datasets.bag_of_words import build_vocabulary, count_words, tokenize
from kplug.datasets.blobs import blobs
from kplug.datasets.csv_file import csv
from kplug.datasets.dataset import Dataset
from kplug.datasets.digits import digits
from kplug.datasets.downloaded_images import cifar10, cifar100, fashion_mnist, mnist
from kplug.datasets.downloaded_texts import imdb, reuters
from kplug.datasets.environments import gymnasium, pendulum
from kplug.datasets.gaussian_grid import gaussian_grid
from kplug.datasets.images import images
from kplug.datasets.imbalanced import imbalanced
from kplug.datasets.moons import moons
from kplug.datasets.npz_file import npz
from kplug.datasets.parquet_file import parquet
from kplug.datasets.python_docs import python_docs
from kplug.datasets.scikit_learn_tables import breast_cancer, diabetes, iris, wine
from kplug.datasets.synthetic_topics import synthetic_topics, synthetic_topics_truth
from kplug.datasets.text import text

__all__ = [
    "Dataset",
    "GaussianNoiseAugmentation",
    "augment",
    "blobs",
    "breast_cancer",
    "build_vocabulary",
    "cifar10",
    "cifar100",
    "count_words",
    "csv",
    "diabetes",
    "digits",
    "fashion_mnist",
    "gaussian_grid",
    "gymnasium",
    "images",
    "imbalanced",
    "imdb",
    "iris",
    "mnist",
    "moons",
    "npz",
    "parquet",
    "pendulum",
    "python_docs",
    "reuters",
    "synthetic_topics",
    "synthetic_topics_truth",
    "text",
    "tokenize",
    "wine",
]
