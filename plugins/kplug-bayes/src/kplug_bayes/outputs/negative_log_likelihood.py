"""The loss of models that end with a distribution."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops
from keras.src.backend.common.masking import get_keras_mask  # Keras has no public name for it


@keras.saving.register_keras_serializable(package="bayes")
class NegativeLogLikelihood(keras.losses.Loss):
    """The negative log likelihood of the targets, in nats, under the distribution that a model ends with.

    `loss(y_true, y_pred) = -layer.log_prob(y_pred, y_true)`: one value for each event, then Keras' own sample weights,
    masks and reductions. It needs the layer for its kind and event shape only, and is saved with the model.

    Args:
        layer: The output layer, which must put out its parameters; or its configuration, as Keras serialises it.
        reduction: As for each loss of Keras.
        name: The loss's name.
        dtype: What it is computed in; Keras' `floatx` by default, also under mixed precision.

    Call arguments:
        y_true: Targets of shape `(*batch, *event_shape)`; where an event is one number, its axis may be missing.
        y_pred: What the layer puts out, of shape `(*batch, params_size)`.
        sample_weight: Weights of shape `batch`, or of its first axes, or `None`. Targets of weight 0, and masked ones,
            may be anything.

    Raises:
        ValueError: If the layer is no output layer, or does not put out its parameters, or the shapes do not fit.

    Example:

    >>> layer = kplug_bayes.IndependentNormal(1)
    >>> model = keras.Sequential([keras.layers.Dense(layer.params_size(1)), layer])
    >>> model.compile("adam", loss=kplug_bayes.NegativeLogLikelihood(layer))
    """

    def __init__(
        self,
        layer: Any,
        reduction: str | None = "sum_over_batch_size",
        name: str = "negative_log_likelihood",
        dtype: Any = None,
    ) -> None:
        super().__init__(name=name, reduction=reduction, dtype=dtype)
        layer = keras.saving.deserialize_keras_object(layer) if isinstance(layer, dict) else layer
        if not hasattr(layer, "log_prob") or not hasattr(layer, "convert_to"):
            raise ValueError(
                "`layer` must be an output layer, such as kplug_bayes.IndependentNormal. "
                f"Received: layer={type(layer).__name__}"
            )
        if layer.convert_to != "parameters":
            raise ValueError(
                "The likelihood needs the distribution's parameters: make the layer that is trained with "
                'convert_to="parameters", and another on the same model for what follows. '
                f"Received: a layer with convert_to={layer.convert_to!r}"
            )
        # Keras would take the layer for a part of the loss whose weights are to be saved and loaded.
        self._log_prob = layer.log_prob
        self._layer = keras.saving.serialize_keras_object(layer)

    def __call__(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> Any:
        counted = _counted(y_pred, sample_weight)
        targets = y_true if counted is None else (ops.convert_to_tensor(y_true), counted)
        return super().__call__(targets, y_pred, sample_weight)

    def call(self, y_true: Any, y_pred: Any) -> Any:
        if not isinstance(y_true, tuple):
            return -self._log_prob(y_pred, y_true)
        targets, counted = y_true
        counted = ops.broadcast_to(counted, ops.shape(y_pred)[:-1]) > 0
        # What is masked or has no weight may be anything, -1 or NaN, which times 0 would still be NaN.
        places = counted
        for _ in range(len(targets.shape) - len(counted.shape)):
            places = ops.expand_dims(places, -1)
        values = -self._log_prob(y_pred, ops.where(places, targets, ops.zeros_like(targets)))
        return ops.where(counted, values, ops.zeros_like(values))

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "layer": self._layer}


def _counted(y_pred: Any, sample_weight: Any) -> Any:
    """Return what counts, of the rank of the batch, or `None` if all does."""
    rank = len(y_pred.shape) - 1
    mask = get_keras_mask(y_pred)
    given = [] if mask is None else [ops.cast(mask, "bool")]
    if sample_weight is not None:
        given.append(ops.not_equal(ops.convert_to_tensor(sample_weight), 0))
    if any(len(part.shape) > rank and part.shape[rank:] != (1,) for part in given):
        return None  # Keras says what is wrong
    counted = None
    for part in given:
        sides = tuple(ops.shape(part))[:rank]
        placed = ops.reshape(part, (*sides, *(1,) * (rank - len(sides))))
        counted = placed if counted is None else ops.logical_and(counted, placed)
    return counted
