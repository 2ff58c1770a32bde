"""Checks that a component works in every way Keras uses one: for plugin authors, and for kplug's own tests.

Each check takes a component and one batch of data it can have, and raises `AssertionError` with what went wrong.
"""

from kplug.testing.backends import agree_across_backends
from kplug.testing.datasets import check_dataset
from kplug.testing.gradients import gradient
from kplug.testing.launchers import check_launcher
from kplug.testing.layers import check_layer
from kplug.testing.losses import check_loss
from kplug.testing.metrics import check_metric
from kplug.testing.models import check_model

__all__ = [
    "agree_across_backends",
    "check_dataset",
    "check_launcher",
    "check_layer",
    "check_loss",
    "check_metric",
    "check_model",
    "gradient",
]
