"""A loss class can be subclassed like any of Keras' own."""

import keras
import numpy as np
import pytest

import kplug


@keras.saving.register_keras_serializable(package="tests")
class DoubledFocalLoss(kplug.FocalLoss):
    """Twice the focal loss."""

    def call(self, y_true, y_pred):
        return 2 * super().call(y_true, y_pred)


def test_a_subclass_keeps_the_function_and_the_parameters():
    y_true, y_pred = np.array([[0.0, 1.0]]), np.array([[0.2, 0.6]], "float32")
    doubled = DoubledFocalLoss(gamma=1.5)
    assert float(doubled(y_true, y_pred)) == pytest.approx(
        2 * float(kplug.FocalLoss(gamma=1.5)(y_true, y_pred)), rel=1e-6
    )
    assert DoubledFocalLoss.from_config(doubled.get_config()).gamma == 1.5
    assert DoubledFocalLoss.__doc__ == "Twice the focal loss."


def test_a_subclass_is_checked_like_its_parent():
    class Margin(kplug.TripletLoss):
        pass

    with pytest.raises(ValueError, match="distance"):
        Margin(distance="manhattan")
