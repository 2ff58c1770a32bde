"""N-pairs losses."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from kplug.catalog.facts import component
from kplug.losses.function_loss import FunctionLoss, Reduction
from kplug.losses.labelled import check_one_batch, in_float32

_SOHN = "Sohn (2016), Improved Deep Metric Learning with Multi-class N-pair Loss Objective, NeurIPS"


@keras.saving.register_keras_serializable(package="kplug")
def npairs_loss(y_true: Any, y_pred: Any) -> Any:
    """N-pairs loss: each anchor picks out the positives of its class among all positives of the batch.

    ```
    L_i = - sum over j of t_ij * log softmax_j(s_ij)
    ```

    with s_ij the dot product of anchor i and positive j, and t_ij shared evenly among the positives of the anchor's
    class. With one pair per class this is `log(1 + sum over j != i of exp(s_ij - s_ii))` (Sohn 2016, equation 7).

    Use it with batches of one pair for each of many classes. Dot products are not bounded: add a penalty on the
    embeddings' length, as the paper does (`activity_regularizer`).

    Args:
        y_true: Integer labels of shape `(batch_size,)` or `(batch_size, 1)`. Keras casts targets to float32, so
            labels above 16,777,216 may collide.
        y_pred: Pairs of embeddings, of shape `(batch_size, 2, dim)`: anchor and positive; or their similarities, of
            shape `(batch_size, batch_size)`, anchors along the first axis (as TensorFlow Addons took them).

    Returns:
        One value per anchor in nats, of shape `(batch_size,)`.

    Raises:
        ValueError: If the shape is wrong.

    References:
        Sohn (2016), Improved Deep Metric Learning with Multi-class N-pair Loss Objective, NeurIPS

    Example:

    >>> pairs = [[[1.0, 0.0], [1.0, 0.0]], [[0.0, 1.0], [0.0, 1.0]]]
    >>> [round(float(value), 4) for value in kplug.npairs_loss([0, 1], pairs)]  # log(1 + exp(-1))
    [0.3133, 0.3133]
    """
    logits = _similarities(y_pred, "npairs_loss")
    labels = ops.convert_to_tensor(y_true)
    check_one_batch(labels, logits, "npairs_loss", labels=True)
    labels = ops.reshape(labels, (-1,))
    shared = ops.cast(ops.equal(labels[:, None], labels[None, :]), logits.dtype)
    return _cross_entropy(shared, logits)


@component(tasks=["metric-learning"], references=[_SOHN])
@keras.saving.register_keras_serializable(package="kplug")
class NPairsLoss(FunctionLoss, function=npairs_loss):
    """N-pairs loss: each anchor picks out the positives of its class among all positives of the batch.

    The class of `kplug.npairs_loss`, which has the formula, the shapes and when to use it.

    Example:

    >>> loss = kplug.NPairsLoss()
    >>> round(float(loss([0, 1], [[[1.0, 0.0], [1.0, 0.1]], [[0.0, 1.0], [0.3, 1.0]]])), 4)
    0.3722

    In a model:

    ```python
    model.compile("adam", loss=kplug.NPairsLoss())
    ```
    """

    def __init__(
        self,
        reduction: Reduction = "sum_over_batch_size",
        name: str = "npairs_loss",
        dtype: str | None = None,
    ) -> None:
        super().__init__(reduction, name, dtype)


@keras.saving.register_keras_serializable(package="kplug")
def npairs_multilabel_loss(y_true: Any, y_pred: Any) -> Any:
    """N-pairs loss for samples with several labels: the more labels two samples share, the more alike they shall be.

    ```
    L_i = - sum over j of t_ij * log softmax_j(s_ij)
    t_ij = |labels_i and labels_j| / sum over k of |labels_i and labels_k|
    ```

    with s_ij the dot product of anchor i and positive j: `npairs_loss` with targets by overlap, as TensorFlow Addons
    defined it.

    Use it where a sample has a set of labels (tags, objects in a picture). With one label each it is `npairs_loss`.

    Args:
        y_true: Labels as zeros and ones, of shape `(batch_size, num_classes)`.
        y_pred: Pairs of embeddings, of shape `(batch_size, 2, dim)`: anchor and positive; or their similarities, of
            shape `(batch_size, batch_size)`, anchors along the first axis.

    Returns:
        One value per anchor in nats, of shape `(batch_size,)`; zero for an anchor without a label.

    Raises:
        ValueError: If a shape is wrong.

    References:
        Sohn (2016), Improved Deep Metric Learning with Multi-class N-pair Loss Objective, NeurIPS

    Example:

    >>> similarities = [[1.0, 0.0], [0.0, 1.0]]
    >>> loss = kplug.npairs_multilabel_loss([[1, 1, 0], [0, 0, 1]], similarities)
    >>> [round(float(value), 4) for value in loss]
    [0.3133, 0.3133]
    """
    logits = _similarities(y_pred, "npairs_multilabel_loss")
    labels = ops.cast(ops.convert_to_tensor(y_true), logits.dtype)
    if len(labels.shape) != 2 or labels.shape[1] == 1:
        raise ValueError(
            "npairs_multilabel_loss needs labels as zeros and ones, of shape (batch_size, num_classes). "
            f"Received: y_true of shape {tuple(labels.shape)}. For class numbers there is npairs_loss."
        )
    check_one_batch(labels, logits, "npairs_multilabel_loss")
    return _cross_entropy(ops.matmul(labels, ops.transpose(labels)), logits)


@component(tasks=["metric-learning"], references=[_SOHN])
@keras.saving.register_keras_serializable(package="kplug")
class NPairsMultilabelLoss(FunctionLoss, function=npairs_multilabel_loss):
    """N-pairs loss for samples with several labels: the more labels two samples share, the more alike they shall be.

    The class of `kplug.npairs_multilabel_loss`, which has the formula, the shapes and when to use it.

    Example:

    >>> loss = kplug.NPairsMultilabelLoss()
    >>> round(float(loss([[1, 1], [0, 1]], [[[1.0, 0.0], [1.0, 0.1]], [[0.0, 1.0], [0.3, 1.0]]])), 4)
    0.7138

    In a model:

    ```python
    model.compile("adam", loss=kplug.NPairsMultilabelLoss())
    ```
    """

    def __init__(
        self,
        reduction: Reduction = "sum_over_batch_size",
        name: str = "npairs_multilabel_loss",
        dtype: str | None = None,
    ) -> None:
        super().__init__(reduction, name, dtype)


def _similarities(y_pred: Any, loss: str) -> Any:
    given = in_float32(y_pred)
    if len(given.shape) == 3 and given.shape[1] == 2:
        anchors, positives = ops.unstack(given, num=2, axis=1)
        return ops.matmul(anchors, ops.transpose(positives))
    sides = {side for side in given.shape if side is not None}
    if len(given.shape) == 2 and len(sides) <= 1:
        return given
    raise ValueError(
        f"{loss} needs pairs of embeddings of shape (batch_size, 2, dim), or similarities of shape "
        f"(batch_size, batch_size). Received: y_pred of shape {tuple(given.shape)}"
    )


def _cross_entropy(shared: Any, logits: Any) -> Any:
    """Return the cross-entropy of each row with targets in proportion to `shared`; zero for a row that shares none."""
    total = ops.sum(shared, axis=1, keepdims=True)
    targets = shared / ops.where(total > 0, total, ops.ones_like(total))
    return -ops.sum(targets * ops.log_softmax(logits, axis=1), axis=1)
