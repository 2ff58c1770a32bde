"""Metrics of what a distribution predicts on average."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops
from keras.src.backend.common.masking import get_keras_mask, set_keras_mask  # Keras has no public names for them


@keras.saving.register_keras_serializable(package="bayes")
class MetricOfMean(keras.metrics.Metric):
    """Applies a metric to the mean of the distribution that a model ends with.

    An output layer puts out parameters, which a metric such as the mean absolute error would take for predictions.

    Args:
        layer: The output layer, which puts out its parameters; or its configuration, as Keras serialises it.
        metric: A metric of Keras, its name or its configuration.
        name: The metric's name; by default that of `metric`.
        dtype: The metric's dtype.

    Call arguments:
        y_true: Targets of shape `(*batch, *event_shape)`.
        y_pred: What the layer puts out, of shape `(*batch, params_size)`.
        sample_weight: Weights as the metric takes them, or `None`.

    Raises:
        ValueError: If the layer is no output layer, or does not put out its parameters.

    Example:

    >>> layer = kplug_bayes.IndependentNormal(1)
    >>> metric = kplug_bayes.MetricOfMean(layer, "mean_absolute_error")
    >>> metric.update_state([[1.0], [2.0]], [[1.5, 0.0], [2.0, 0.0]])
    >>> float(metric.result())
    0.25
    """

    def __init__(self, layer: Any, metric: Any, name: str | None = None, dtype: Any = None) -> None:
        layer = keras.saving.deserialize_keras_object(layer) if isinstance(layer, dict) else layer
        metric = keras.metrics.get(metric)
        if not isinstance(metric, keras.metrics.Metric):
            metric = keras.metrics.MeanMetricWrapper(metric, name=metric.__name__)
        super().__init__(name=name or metric.name, dtype=dtype)
        if getattr(layer, "convert_to", None) != "parameters":
            raise ValueError(
                'The layer must put out its parameters: make it with convert_to="parameters", or apply the metric '
                f"itself. Received: layer={type(layer).__name__}"
            )
        # Keras would take the layer for a part of the metric whose weights are to be saved and loaded.
        self._mean = layer.mean
        self._layer = keras.saving.serialize_keras_object(layer)
        self.metric = metric

    @property
    def variables(self) -> list[Any]:
        return list(self.metric.variables)

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        mean, y_true = self._mean(y_pred), ops.convert_to_tensor(y_true)
        if len(y_true.shape) == len(mean.shape) - 1 and mean.shape[-1] == 1:
            y_true = y_true[..., None]
        elif len(y_true.shape) == len(mean.shape) + 1 and y_true.shape[-1] == 1:
            y_true = y_true[..., 0]
        mask = get_keras_mask(y_pred)
        if mask is not None:
            set_keras_mask(mean, mask)  # as a layer hands it on
        self.metric.update_state(y_true, mean, sample_weight)

    def reset_state(self) -> None:
        self.metric.reset_state()

    def result(self) -> Any:
        return self.metric.result()

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "layer": self._layer,
            "metric": keras.saving.serialize_keras_object(self.metric),
        }
