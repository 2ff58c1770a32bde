"""`kplug.GeometricMean`: equal to scipy's and to TensorFlow Addons' documented case."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from scipy.stats import gmean

from kplug.metrics import GeometricMean


def mean_of(*batches, sample_weight=None) -> float:
    metric = GeometricMean()
    for batch in batches:
        metric.update_state(batch, sample_weight)
    return float(metric.result())


def test_the_documented_case_of_tensorflow_addons():
    assert mean_of([1, 3, 5, 7, 9]) == pytest.approx(3.9362833, rel=1e-6)


def test_batches_are_as_one():
    assert mean_of([1.0, 3.0], [5.0], [7.0, 9.0]) == pytest.approx(3.9362833, rel=1e-6)


def test_values_of_any_shape_and_magnitude():
    values = np.exp(np.random.default_rng(0).uniform(-60, 60, (4, 5, 6)))
    assert mean_of(values) == pytest.approx(gmean(values, axis=None), rel=1e-4)


@pytest.mark.parametrize("shape", [(), (6,), (6, 1), (6, 4)], ids=str)
def test_weights_of_the_values_or_of_their_first_axes(shape):
    rng = np.random.default_rng(1)
    values, weights = rng.uniform(0.1, 10, (6, 4)), rng.uniform(0, 2, shape)
    spread = np.broadcast_to(np.reshape(weights, (*shape, 1, 1)[:2] if len(shape) < 2 else shape), (6, 4))
    assert mean_of(values, sample_weight=weights) == pytest.approx(gmean(values, axis=None, weights=spread), rel=1e-5)


def test_a_0_makes_it_0():
    assert mean_of([3.0, 0.0], [4.0]) == 0.0


def test_a_value_of_weight_0_does_not_count():
    assert mean_of([2.0, 0.0, -1.0, 8.0], sample_weight=[1.0, 0.0, 0.0, 1.0]) == pytest.approx(4.0)


def test_a_negative_value_makes_it_nan():
    assert np.isnan(mean_of([2.0, -1.0]))


def test_without_values_it_is_0():
    assert float(GeometricMean().result()) == 0.0


def test_reset_state():
    metric = GeometricMean()
    metric.update_state([0.0, 5.0])
    metric.reset_state()
    assert float(metric.result()) == 0.0
    metric.update_state([2.0, 8.0])
    assert float(metric.result()) == pytest.approx(4.0)


def test_inside_a_model_of_ones_own():
    class Ratios(keras.Sequential):
        """Reports the geometric mean of the targets it has seen."""

        def __init__(self, layers):
            super().__init__(layers)
            self.ratio = GeometricMean(name="ratio")

        def compute_metrics(self, x, y, y_pred, sample_weight=None):
            self.ratio.update_state(y)
            return {**super().compute_metrics(x, y, y_pred, sample_weight), "ratio": self.ratio.result()}

    model = Ratios([keras.Input((1,)), keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    targets = np.array([1.0, 3.0, 5.0, 7.0, 9.0])[:, None]
    history = model.fit(np.ones((5, 1)), targets, batch_size=2, epochs=2, verbose=0).history
    assert history["ratio"] == pytest.approx([3.9362833] * 2, rel=1e-5)


def test_config_round_trip():
    again = keras.metrics.deserialize(keras.metrics.serialize(GeometricMean(name="ratio", dtype="float64")))
    assert type(again) is GeometricMean
    assert (again.name, again.dtype) == ("ratio", "float64")


def test_weights_with_more_axes_are_refused():
    with pytest.raises(ValueError, match=r"\(2, 1\) for values of shape \(2,\)"):
        GeometricMean().update_state([1.0, 2.0], [[1.0], [2.0]])
