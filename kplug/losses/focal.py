"""Focal loss for binary and multi-label classification."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

import keras
import numpy as np
from keras import ops
from pydantic import Field

from kplug.catalog.facts import component
from kplug.losses.function_loss import FunctionLoss, Reduction
from kplug.losses.powers import times_power

Fraction = Annotated[float, Field(ge=0, le=1)]

_EPS = {"float16": 2.0**-10, "bfloat16": 2.0**-7}
_REFERENCE = "Lin et al. (2017), Focal Loss for Dense Object Detection, https://arxiv.org/abs/1708.02002"


def check_focal(alpha: float | Sequence[float] | None, gamma: float, label_smoothing: float) -> None:
    """Refuse weights and a smoothing outside 0 to 1, and negative exponents.

    Raises:
        ValueError: If a parameter is wrong.
    """
    weights = [] if alpha is None else np.ravel(alpha).tolist()
    if not all(0 <= weight <= 1 for weight in weights):
        raise ValueError(f"`alpha` must lie between 0 and 1, or be None. Received: alpha={alpha}")
    if not gamma >= 0:
        raise ValueError(f"`gamma` must be at least 0. Received: gamma={gamma}")
    if not 0 <= label_smoothing <= 1:
        raise ValueError(f"`label_smoothing` must lie between 0 and 1. Received: label_smoothing={label_smoothing}")


@keras.saving.register_keras_serializable(package="kplug")
def focal_loss(
    y_true: Any,
    y_pred: Any,
    alpha: Fraction | Sequence[Fraction] | None = 0.25,
    gamma: Annotated[float, Field(ge=0)] = 2.0,
    from_logits: bool = False,
    label_smoothing: Fraction = 0.0,
    axis: int = -1,
) -> Any:
    """Focal loss for independent 0/1 labels: binary and multi-label classification.

    Cross-entropy in which each label's term is scaled by how wrong the prediction still is, so that the many easy
    labels do not drown the few hard ones (Lin et al. 2017, equation 5):

    ```
    FL = -alpha_t * (1 - p_t) ** gamma * log(p_t)
    ```

    with `p_t = p`, `alpha_t = alpha` where the label is 1 and `p_t = 1 - p`, `alpha_t = 1 - alpha` where it is 0.

    Use it when positives are rare. With balanced labels plain cross-entropy is better calibrated. For one class out
    of many, this loss treats every class as a yes-or-no question of its own.

    It is computed in log space: gradients are finite for any finite logit and any `gamma >= 0`, and a confidently
    wrong logit keeps its gradient. Probabilities are kept `keras.config.epsilon()` away from 0 and 1.

    How it differs from others: `keras.losses.binary_focal_crossentropy` applies `alpha` only on request;
    TensorFlow Addons' `SigmoidFocalCrossEntropy` summed over the last axis where this function takes the mean.

    Args:
        y_true: Labels, 0 or 1 (or probabilities), of the same shape as `y_pred`; a last axis of length 1 may be
            missing.
        y_pred: Predictions of shape `(batch_size, d0, ..., labels)`, or `(batch_size,)`: probabilities, or logits if
            `from_logits`.
        alpha: Weight of the positive labels, between 0 and 1; negatives weigh `1 - alpha`. A sequence gives one
            weight per label along `axis`. `None` weighs both alike, by 1.
        gamma: Focusing exponent, at least 0. At 0 this is weighted cross-entropy; the paper's best is 2.
        from_logits: Whether `y_pred` holds logits, of any size, rather than probabilities.
        label_smoothing: Between 0 and 1: labels become `y * (1 - s) + s / 2`. Between the two labels the loss is as
            Keras has it: `p_t`, `alpha_t` and `log(p_t)` are each the mean of both labels' with the weights `y` and
            `1 - y`.
        axis: The axis of the labels, over which the mean is taken.

    Returns:
        The loss in nats, `y_pred`'s shape without `axis`: one value per sample. For predictions of shape
        `(batch_size,)` the shape stays.

    Raises:
        ValueError: If a parameter is out of range or the shapes do not fit each other.

    References:
        Lin et al. (2017), Focal Loss for Dense Object Detection, https://arxiv.org/abs/1708.02002

    Example:

    >>> loss = kplug.focal_loss([[0.0, 1.0], [0.0, 0.0]], [[0.6, 0.4], [0.4, 0.6]])
    >>> [round(float(value), 4) for value in loss]
    [0.1649, 0.1543]

    In a model: `model.compile("adam", loss=kplug.focal_loss)`.
    """
    check_focal(alpha, gamma, label_smoothing)
    y_pred = ops.convert_to_tensor(y_pred)
    if not keras.backend.is_float_dtype(y_pred.dtype):
        y_pred = ops.cast(y_pred, keras.config.floatx())
    y_true = _labels_like(y_true, y_pred)
    if label_smoothing:
        y_true = y_true * (1 - label_smoothing) + label_smoothing / 2

    if from_logits:
        cross_entropy = ops.binary_crossentropy(y_true, y_pred, from_logits=True)
        positive, negative = ops.sigmoid(y_pred), ops.sigmoid(-y_pred)
    else:
        positive = _inside(y_pred)
        negative = 1 - positive
        cross_entropy = -(y_true * ops.log(positive) + (1 - y_true) * ops.log1p(-positive))
    rest = 1 - y_true
    # 1 - p_t, from both probabilities, so that neither loses its digits.
    values = times_power(cross_entropy, y_true * negative + rest * positive, gamma)
    if alpha is not None:
        weight = _weights_along_axis(alpha, y_pred, axis)
        values = (y_true * weight + rest * (1 - weight)) * values
    return values if len(values.shape) == 1 else ops.mean(values, axis=axis)


@component(
    tasks=["image-classification", "tabular-classification", "text-classification"],
    references=[_REFERENCE],
)
@keras.saving.register_keras_serializable(package="kplug")
class FocalLoss(FunctionLoss, function=focal_loss, check=check_focal):
    """Focal loss for independent 0/1 labels: binary and multi-label classification.

    The class of `kplug.focal_loss`, which has the formula, the shapes and when to use it:
    `FL = -alpha_t * (1 - p_t) ** gamma * log(p_t)`, the mean over the labels of a sample.

    Sample weights, masks and mixed precision work as with every Keras loss.

    Example:

    ```python
    model.compile("adam", loss=kplug.FocalLoss(gamma=2.0, from_logits=True))
    ```

    Standing alone, on a batch, with sample weights:

    >>> loss = kplug.FocalLoss(alpha=None, gamma=0.0)
    >>> round(float(loss([[0.0], [1.0]], [[0.5], [0.5]])), 4)
    0.6931
    >>> round(float(loss([[0.0], [1.0]], [[0.5], [0.5]], sample_weight=[1.0, 0.0])), 4)
    0.3466
    """

    def __init__(
        self,
        alpha: Fraction | Sequence[Fraction] | None = 0.25,
        gamma: Annotated[float, Field(ge=0)] = 2.0,
        from_logits: bool = False,
        label_smoothing: Fraction = 0.0,
        axis: int = -1,
        reduction: Reduction = "sum_over_batch_size",
        name: str = "focal_loss",
        dtype: str | None = None,
    ) -> None:
        super().__init__(
            reduction,
            name,
            dtype,
            alpha=alpha,
            gamma=gamma,
            from_logits=from_logits,
            label_smoothing=label_smoothing,
            axis=axis,
        )


def _labels_like(y_true: Any, y_pred: Any) -> Any:
    """Return the labels in the predictions' dtype and rank."""
    y_true = ops.cast(ops.convert_to_tensor(y_true), y_pred.dtype)
    if len(y_true.shape) == len(y_pred.shape) - 1 and y_pred.shape[-1] == 1:
        y_true = ops.expand_dims(y_true, -1)
    elif len(y_true.shape) == len(y_pred.shape) + 1 and y_true.shape[-1] == 1:
        y_true = ops.squeeze(y_true, -1)
    compatible = len(y_true.shape) == len(y_pred.shape) and all(
        labels == predictions or labels is None or predictions is None
        for labels, predictions in zip(y_true.shape, y_pred.shape, strict=True)
    )
    if not compatible:
        raise ValueError(
            "focal_loss needs one 0/1 label per prediction. "
            f"Received: y_true of shape {tuple(y_true.shape)}, y_pred of shape {tuple(y_pred.shape)}. "
            "Class numbers must be made one-hot first; sparse_categorical_focal_loss takes them as they are."
        )
    return y_true


def _inside(probability: Any) -> Any:
    """Return probabilities kept away from 0 and 1, with the gradient of the given ones."""
    # In half precision 1 - 1e-7 would round to 1.
    dtype = keras.backend.standardize_dtype(probability.dtype)
    epsilon = max(keras.config.epsilon(), _EPS.get(dtype, 0.0))
    # A certain mistake must still be pulled back.
    clipped = ops.stop_gradient(ops.clip(probability, epsilon, 1 - epsilon))
    return clipped + (probability - ops.stop_gradient(probability))


def _weights_along_axis(alpha: float | Sequence[float], y_pred: Any, axis: int) -> Any:
    if np.ndim(alpha) == 0:
        return alpha
    shape = [1] * len(y_pred.shape)
    count = len(np.ravel(alpha))
    shape[axis] = count
    if y_pred.shape[axis] not in {None, count}:
        raise ValueError(
            f"`alpha` must have one weight per label along axis {axis}. "
            f"Received: {count} weights, y_pred of shape {tuple(y_pred.shape)}"
        )
    return ops.reshape(ops.convert_to_tensor(alpha, dtype=y_pred.dtype), shape)
