"""Data sets, each with train, validation and test splits and an info record."""

from kplug.datasets.dataset import Dataset
from kplug.datasets.digits import digits

__all__ = ["Dataset", "digits"]
