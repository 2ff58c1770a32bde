"""What the losses on embeddings with labels share: inputs, pairs, and the scale of a value per anchor."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

FAR = 1e30
"""Stands for infinity where masked values take part in sums and differences."""


def labelled_embeddings(y_true: Any, y_pred: Any, loss: str) -> tuple[Any, Any]:
    """Return labels of shape `(batch_size,)` and embeddings of shape `(batch_size, dim)`, at least float32.

    Args:
        y_true: Labels of shape `(batch_size,)` or `(batch_size, 1)`.
        y_pred: Embeddings.
        loss: The loss's name, for messages.

    Raises:
        ValueError: If the shapes do not fit.
    """
    embeddings = in_float32(y_pred)
    labels = ops.convert_to_tensor(y_true)
    if len(embeddings.shape) != 2 or tuple(labels.shape[1:]) not in {(), (1,)}:
        raise ValueError(
            f"{loss} needs integer labels of shape (batch_size,) and embeddings of shape (batch_size, dim). "
            f"Received: y_true of shape {tuple(labels.shape)}, y_pred of shape {tuple(embeddings.shape)}"
        )
    check_one_batch(labels, embeddings, loss)
    return ops.reshape(labels, (-1,)), embeddings


def check_one_batch(y_true: Any, y_pred: Any, loss: str, labels: bool = False) -> None:
    """Refuse targets and predictions of different batch sizes, which would broadcast or fail deep inside.

    Args:
        y_true: Tensor of targets.
        y_pred: Tensor of predictions.
        loss: The loss's or metric's name, for messages.
        labels: Whether targets must be one number for each sample, of shape `(batch_size,)` or `(batch_size, 1)`.

    Raises:
        ValueError: If both sizes are known and differ, or labels are of another shape.
    """
    targets, predictions = (tuple(part.shape) for part in (y_true, y_pred))
    differ = None not in {*targets[:1], *predictions[:1]} and targets[:1] != predictions[:1]
    if differ or (labels and (not targets or targets[1:] not in {(), (1,)})):
        raise ValueError(
            f"{loss} needs one target per prediction. "
            f"Received: y_true of shape {targets}, y_pred of shape {predictions}"
        )


def or_nan(values: Any, meant: Any) -> Any:
    """Put NaN in the place of values whose targets mean nothing, so that training on them shows at once.

    Args:
        values: Tensor of any shape.
        meant: Truth values of that shape.
    """
    return ops.where(meant, values, float("nan"))


def by_class(values: Any, classes: Any, count: Any) -> Any:
    """Leave out the values of negative class numbers, and put NaN in the place of those of classes that there are not.

    Args:
        values: Tensor of any shape.
        classes: Class numbers of that shape.
        count: How many classes there are.
    """
    return or_nan(ops.where(classes >= 0, values, ops.zeros_like(values)), classes < count)


def in_float32(values: Any) -> Any:
    """Return a tensor in float32, or in float64 if it is that."""
    values = ops.convert_to_tensor(values)
    return ops.cast(values, keras.backend.result_type(values.dtype, "float32"))


def in_one_dtype(*values: Any) -> tuple[Any, ...]:
    """Return tensors in the widest of their floating-point dtypes, at least float32; `None` stays."""
    tensors = [None if value is None else ops.convert_to_tensor(value) for value in values]
    floats = [one.dtype for one in tensors if one is not None and keras.backend.is_float_dtype(one.dtype)]
    dtype = keras.backend.result_type(*floats, "float32")
    return tuple(None if one is None else ops.cast(one, dtype) for one in tensors)


def pairs(labels: Any, dtype: Any) -> tuple[Any, Any]:
    """Return which pairs are positive and which are negative, as zeros and ones of shape `(batch_size, batch_size)`.

    A sample forms no pair with itself.
    """
    same = ops.cast(ops.equal(labels[:, None], labels[None, :]), dtype)
    return same - ops.eye(ops.shape(same)[0], dtype=dtype), 1 - same


def per_anchor(sums: Any, count: Any) -> Any:
    """Scale sums per anchor so that their mean over the batch is the sum over all divided by `count`.

    Args:
        sums: Tensor of shape `(batch_size,)`.
        count: How many pairs or triplets the published loss takes the mean over; with none, the values are zero.
    """
    batch_size = ops.cast(ops.shape(sums)[0], sums.dtype)
    return sums * (batch_size / ops.maximum(count, 1))
