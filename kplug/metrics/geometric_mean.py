"""Running geometric mean of values."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from kplug.catalog.facts import component


@component(references=["TensorFlow Addons, tfa.metrics.GeometricMean"])
@keras.saving.register_keras_serializable(package="kplug")
class GeometricMean(keras.Metric):
    """The geometric mean of the values seen: what `keras.metrics.Mean` is for sums, this is for products.

    ```
    G = exp( sum of w_i * log(x_i) / sum of w_i )
    ```

    (as TensorFlow Addons' `GeometricMean`.) Use it for ratios and for quantities of several magnitudes, such as speeds
    relative to a baseline, in which 2 and 1/2 cancel out. One value of 0 makes it 0; negative values have none, and
    make it NaN.

    Like `keras.metrics.Mean` it takes values, not `(y_true, y_pred)`: use it in a loop or a `train_step`, not in
    `compile`. It is not the geometric mean of the recalls of all classes, which imbalanced-learn calls by this name.

    Args:
        name: The metric's name.
        dtype: The dtype of the result; the logarithms are summed in float32 at least. Keras' `floatx` by default.

    Call arguments:
        values: Numbers of any shape, at least 0.
        sample_weight: Weights of the values' shape or of its first axes, or `None`. A value of weight 0 does not
            count, be it what it may.

    Returns:
        A scalar in the values' unit; 0 if there are no values.

    Raises:
        ValueError: If the weights do not fit the values.

    References:
        TensorFlow Addons, https://www.tensorflow.org/addons/api_docs/python/tfa/metrics/GeometricMean

    Example:

    >>> metric = kplug.GeometricMean()
    >>> metric.update_state([1, 3, 5, 7, 9])
    >>> round(float(metric.result()), 4)
    3.9363
    """

    def __init__(self, name: str = "geometric_mean", dtype: str | None = None) -> None:
        super().__init__(name=name, dtype=dtype)
        self.precise = keras.backend.result_type(self.dtype, "float32")
        self.total = self.add_variable((), "zeros", dtype=self.precise, name="total")
        self.count = self.add_variable((), "zeros", dtype=self.precise, name="count")

    def update_state(self, values: Any, sample_weight: Any = None) -> None:
        logs = ops.log(ops.cast(ops.convert_to_tensor(values), self.precise))
        if sample_weight is None:
            weights = ops.ones_like(logs)
        else:
            weights = ops.cast(ops.convert_to_tensor(sample_weight), self.precise)
            if len(weights.shape) > len(logs.shape):
                raise ValueError(
                    "`sample_weight` must have the values' shape, or that of their first axes. "
                    f"Received: sample_weight of shape {tuple(weights.shape)} for values of shape {tuple(logs.shape)}"
                )
            for _ in range(len(logs.shape) - len(weights.shape)):
                weights = ops.expand_dims(weights, -1)
            weights = ops.broadcast_to(weights, ops.shape(logs))
        self.total.assign_add(ops.sum(ops.where(weights == 0, 0, weights * logs)))
        self.count.assign_add(ops.sum(weights))

    def result(self) -> Any:
        count = self.count.value
        mean = ops.exp(self.total / ops.where(count > 0, count, 1))
        return ops.cast(ops.where(count > 0, mean, 0), self.dtype)
