"""Focal loss for one class out of several."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

import keras
import numpy as np
from keras import ops
from pydantic import Field

from kplug.catalog.facts import component
from kplug.losses.function_loss import FunctionLoss, Reduction
from kplug.losses.labelled import by_class, check_one_batch, in_float32
from kplug.losses.powers import times_power

_LIN = "Lin et al. (2017), Focal Loss for Dense Object Detection, https://arxiv.org/abs/1708.02002"
_TASKS = ["image-classification", "tabular-classification", "text-classification"]

Weight = Annotated[float, Field(ge=0)]
Gamma = Annotated[float, Field(ge=0)]
Fraction = Annotated[float, Field(ge=0, le=1)]


def check_categorical_focal(alpha: float | Sequence[float] | None, gamma: float, label_smoothing: float) -> None:
    """Refuse negative weights and exponents, and a smoothing outside 0 to 1.

    Raises:
        ValueError: If a parameter is wrong.
    """
    if alpha is not None and not np.all(np.asarray(alpha) >= 0):
        raise ValueError(f"`alpha` must be at least 0, or None. Received: alpha={alpha}")
    if not gamma >= 0:
        raise ValueError(f"`gamma` must be at least 0. Received: gamma={gamma}")
    if not 0 <= label_smoothing <= 1:
        raise ValueError(f"`label_smoothing` must lie between 0 and 1. Received: label_smoothing={label_smoothing}")


@keras.saving.register_keras_serializable(package="kplug")
def categorical_focal_loss(
    y_true: Any,
    y_pred: Any,
    alpha: Weight | Sequence[Weight] | None = 0.25,
    gamma: Gamma = 2.0,
    from_logits: bool = False,
    label_smoothing: Fraction = 0.0,
    axis: int = -1,
) -> Any:
    """Focal loss for one class out of several, with one-hot labels.

    ```
    FL = - sum over classes c of y_c * alpha_c * (1 - p_c) ** gamma * log(p_c)
    ```

    (Lin et al. 2017, equation 5, for a softmax.) A scalar `alpha` only scales the loss; a sequence balances classes.

    Use it when some classes are rare or most samples are easy. With balanced classes cross-entropy is better
    calibrated. For integer labels there is `sparse_categorical_focal_loss`, for independent labels `focal_loss`.

    Args:
        y_true: One-hot labels, or probabilities, of the shape of `y_pred`.
        y_pred: Predictions of shape `(batch_size, ..., num_classes)`: probabilities, or logits if `from_logits`.
        alpha: Weight of the classes, at least 0: one number, one per class, or `None` for 1.
        gamma: Focusing exponent, at least 0. At 0 this is weighted cross-entropy; the paper's best is 2.
        from_logits: Whether `y_pred` holds logits, of any size, rather than probabilities.
        label_smoothing: Between 0 and 1: labels become `y * (1 - s) + s / num_classes`.
        axis: The axis of the classes.

    Returns:
        One value per sample in nats, `y_pred`'s shape without `axis`.

    Raises:
        ValueError: If a parameter is out of range or the shapes do not fit each other.

    References:
        Lin et al. (2017), Focal Loss for Dense Object Detection, https://arxiv.org/abs/1708.02002

    Example:

    >>> loss = kplug.categorical_focal_loss([[0, 1, 0]], [[0.25, 0.5, 0.25]], alpha=None)
    >>> round(float(loss[0]), 4)  # 0.5 ** 2 * log(2)
    0.1733
    """
    check_categorical_focal(alpha, gamma, label_smoothing)
    y_pred = in_float32(y_pred)
    y_true = ops.cast(ops.convert_to_tensor(y_true), y_pred.dtype)
    fits = len(y_true.shape) == len(y_pred.shape) >= 1 and all(
        None in {mine, other} or mine == other for mine, other in zip(y_true.shape, y_pred.shape, strict=True)
    )
    if not fits:
        raise ValueError(
            "categorical_focal_loss needs one-hot labels of the predictions' shape. Received: y_true of shape "
            f"{tuple(y_true.shape)}, y_pred of shape {tuple(y_pred.shape)}. For class numbers use "
            "sparse_categorical_focal_loss."
        )
    if label_smoothing:
        y_true = y_true * (1 - label_smoothing) + label_smoothing / y_pred.shape[axis]
    p, log_p = _probabilities(y_pred, from_logits, axis)
    # A class that is ruled out by a logit of minus infinity must not cost where it is not meant.
    terms = times_power(y_true * ops.where(y_true > 0, log_p, 0.0), _of_the_others(p, axis), gamma)
    if alpha is not None:
        terms = terms * _along_axis(alpha, y_pred, axis)
    return -ops.sum(terms, axis=axis)


@component(tasks=_TASKS, references=[_LIN])
@keras.saving.register_keras_serializable(package="kplug")
class CategoricalFocalLoss(FunctionLoss, function=categorical_focal_loss, check=check_categorical_focal):
    """Focal loss for one class out of several, with one-hot labels.

    The class of `kplug.categorical_focal_loss`, which has the formula, the shapes and when to use it.

    Example:

    >>> loss = kplug.CategoricalFocalLoss(alpha=None)
    >>> round(float(loss([[0, 1]], [[0.2, 0.8]])), 4)
    0.0089

    In a model:

    ```python
    model.compile("adam", loss=kplug.CategoricalFocalLoss(from_logits=True))
    ```
    """

    def __init__(
        self,
        alpha: Weight | Sequence[Weight] | None = 0.25,
        gamma: Gamma = 2.0,
        from_logits: bool = False,
        label_smoothing: Fraction = 0.0,
        axis: int = -1,
        reduction: Reduction = "sum_over_batch_size",
        name: str = "categorical_focal_loss",
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


@keras.saving.register_keras_serializable(package="kplug")
def sparse_categorical_focal_loss(
    y_true: Any,
    y_pred: Any,
    alpha: Weight | Sequence[Weight] | None = 0.25,
    gamma: Gamma = 2.0,
    from_logits: bool = False,
    label_smoothing: Fraction = 0.0,
    axis: int = -1,
) -> Any:
    """Focal loss for one class out of several, with class numbers for labels.

    ```
    FL = - alpha_y * (1 - p_y) ** gamma * log(p_y)
    ```

    `categorical_focal_loss` on the one-hot labels; see there for when to use it.

    Args:
        y_true: Class numbers from 0 to `num_classes - 1`, of `y_pred`'s shape without `axis`, or with length 1 there;
            a negative number costs nothing, one beyond them NaN.
        y_pred: Predictions of shape `(batch_size, ..., num_classes)`: probabilities, or logits if `from_logits`.
        alpha: Weight of the classes, at least 0: one number, one per class, or `None` for 1.
        gamma: Focusing exponent, at least 0. At 0 this is weighted cross-entropy; the paper's best is 2.
        from_logits: Whether `y_pred` holds logits, of any size, rather than probabilities.
        label_smoothing: Between 0 and 1: one-hot labels become `y * (1 - s) + s / num_classes`.
        axis: The axis of the classes.

    Returns:
        One value per sample in nats, `y_pred`'s shape without `axis`.

    Raises:
        ValueError: If a parameter is out of range or the shapes do not fit each other.

    References:
        Lin et al. (2017), Focal Loss for Dense Object Detection, https://arxiv.org/abs/1708.02002

    Example:

    >>> loss = kplug.sparse_categorical_focal_loss([1], [[0.25, 0.5, 0.25]], alpha=None)
    >>> round(float(loss[0]), 4)  # 0.5 ** 2 * log(2)
    0.1733
    """
    check_categorical_focal(alpha, gamma, label_smoothing)
    y_pred = in_float32(y_pred)
    classes = ops.cast(ops.convert_to_tensor(y_true), "int32")
    if len(classes.shape) == len(y_pred.shape) and classes.shape[axis] == 1:
        classes = ops.squeeze(classes, axis)
    if len(classes.shape) != len(y_pred.shape) - 1:
        raise ValueError(
            "sparse_categorical_focal_loss needs class numbers of the predictions' shape without the classes. "
            f"Received: y_true of shape {tuple(classes.shape)}, y_pred of shape {tuple(y_pred.shape)}"
        )
    check_one_batch(classes, y_pred, "sparse_categorical_focal_loss")
    count = y_pred.shape[axis]
    one_hot = ops.one_hot(ops.clip(classes, 0, count - 1), count, axis=axis, dtype=y_pred.dtype)
    values = categorical_focal_loss(one_hot, y_pred, alpha, gamma, from_logits, label_smoothing, axis)
    return by_class(values, classes, count)


@component(tasks=_TASKS, references=[_LIN])
@keras.saving.register_keras_serializable(package="kplug")
class SparseCategoricalFocalLoss(FunctionLoss, function=sparse_categorical_focal_loss, check=check_categorical_focal):
    """Focal loss for one class out of several, with class numbers for labels.

    The class of `kplug.sparse_categorical_focal_loss`, which has the formula, the shapes and when to use it.

    Example:

    >>> loss = kplug.SparseCategoricalFocalLoss(alpha=None)
    >>> round(float(loss([1], [[0.2, 0.8]])), 4)
    0.0089

    In a model:

    ```python
    model.compile("adam", loss=kplug.SparseCategoricalFocalLoss(from_logits=True))
    ```
    """

    def __init__(
        self,
        alpha: Weight | Sequence[Weight] | None = 0.25,
        gamma: Gamma = 2.0,
        from_logits: bool = False,
        label_smoothing: Fraction = 0.0,
        axis: int = -1,
        reduction: Reduction = "sum_over_batch_size",
        name: str = "sparse_categorical_focal_loss",
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


def _probabilities(y_pred: Any, from_logits: bool, axis: int) -> tuple[Any, Any]:
    """Return p and log p of each class."""
    if from_logits:
        log_p = ops.log_softmax(y_pred, axis=axis)
        return ops.exp(log_p), log_p
    total = ops.sum(y_pred, axis=axis, keepdims=True)
    share = y_pred / ops.where(total > 0, total, ops.ones_like(total))
    epsilon = keras.config.epsilon()
    # The clipped value with the gradient of the unclipped one: a certain mistake must still be pulled back.
    p = ops.stop_gradient(ops.clip(share, epsilon, 1 - epsilon)) + (share - ops.stop_gradient(share))
    return p, ops.log(p)


def _of_the_others(p: Any, axis: int) -> Any:
    """Return 1 - p of each class, for a likely one as the sum of the others: the difference would lose its digits."""
    likely = p > 0.5
    others = ops.sum(ops.where(likely, 0.0, p), axis=axis, keepdims=True)
    return ops.where(likely, others, 1 - p)


def _along_axis(alpha: float | Sequence[float], y_pred: Any, axis: int) -> Any:
    weights = np.asarray(alpha, dtype="float32")
    if weights.ndim == 0:
        return float(weights)
    if weights.ndim != 1 or y_pred.shape[axis] not in {None, len(weights)}:
        raise ValueError(
            f"`alpha` must be one number, or one per class along axis {axis}. Received: {weights.size} weights, y_pred "
            f"of shape {tuple(y_pred.shape)}"
        )
    shape = [1] * len(y_pred.shape)
    shape[axis] = len(weights)
    return ops.reshape(ops.convert_to_tensor(weights, dtype=y_pred.dtype), shape)
