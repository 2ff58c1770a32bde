"""Which way a metric gets better."""

import pytest

from kplug.runs.direction import higher_is_better

pytestmark = pytest.mark.neutral


@pytest.mark.parametrize("name", ["accuracy", "val_accuracy", "test.auc", "sparse_categorical_accuracy", "recall_at_k"])
def test_accuracies_and_their_like_are_better_when_higher(name):
    assert higher_is_better(name)


@pytest.mark.parametrize("name", ["loss", "val_loss", "kl_loss", "mean_squared_error", "expected_calibration_error"])
def test_losses_and_errors_are_better_when_lower(name):
    assert not higher_is_better(name)
