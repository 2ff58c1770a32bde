"""What the metrics on classes share: labels as class ids, and a weight per sample."""

from __future__ import annotations

from typing import Any

from keras import ops


def class_ids(y_true: Any, num_classes: int, metric: str) -> Any:
    """Return class ids of shape `(batch_size,)`.

    Args:
        y_true: Class ids of shape `(batch_size,)` or `(batch_size, 1)`, or one-hot labels of shape
            `(batch_size, num_classes)`.
        num_classes: How many classes there are.
        metric: The metric's name, for messages.

    Raises:
        ValueError: If the shape is another.
    """
    labels = ops.convert_to_tensor(y_true)
    if tuple(labels.shape[1:]) in {(), (1,)} and len(labels.shape) > 0:
        return ops.reshape(ops.cast(labels, "int32"), (-1,))
    if tuple(labels.shape[1:]) == (num_classes,):
        return ops.cast(ops.argmax(labels, axis=1), "int32")
    raise ValueError(
        f"{metric} needs class ids of shape (batch_size,) or one-hot labels of shape (batch_size, {num_classes}). "
        f"Received: y_true of shape {tuple(labels.shape)}"
    )


def weights_per_sample(sample_weight: Any, like: Any) -> Any:
    """Return weights of the shape and dtype of `like`, which is `(batch_size,)`; ones for `None`."""
    ones = ops.ones_like(like)
    if sample_weight is None:
        return ones
    return ones * ops.reshape(ops.cast(ops.convert_to_tensor(sample_weight), like.dtype), (-1,))
