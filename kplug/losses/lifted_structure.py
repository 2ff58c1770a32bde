"""Lifted structured loss."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from kplug.catalog.facts import component
from kplug.losses.distances import Distance, pairwise_distances
from kplug.losses.function_loss import FunctionLoss, Reduction
from kplug.losses.labelled import FAR, labelled_embeddings, pairs, per_anchor
from kplug.losses.triplet import Margin, check_margin_and_distance

_SONG = (
    "Song et al. (2016), Deep Metric Learning via Lifted Structured Feature Embedding, https://arxiv.org/abs/1511.06452"
)


@keras.saving.register_keras_serializable(package="kplug")
def lifted_structure_loss(y_true: Any, y_pred: Any, margin: Margin = 1.0, distance: Distance = "euclidean") -> Any:
    """Lifted structured loss: each positive pair against all negatives of both its samples.

    ```
    J_ij = d_ij + log( sum over negatives k of i of exp(margin - d_ik)
                     + sum over negatives l of j of exp(margin - d_jl) )
    L = 1 / (2 |P|) * sum over positive pairs (i, j) of max(0, J_ij) ** 2
    ```

    with P the set of unordered positive pairs (Song et al. 2016, equation 4).

    Use it with labels and batches of many classes; it needs no mining. It grows with the square of the distances, so
    embeddings of length 1, or a small learning rate, keep its beginning calm.

    Args:
        y_true: Integer labels of shape `(batch_size,)` or `(batch_size, 1)`. Keras casts targets to float32, so
            labels above 16,777,216 may collide.
        y_pred: Embeddings of shape `(batch_size, dim)`.
        margin: How far negatives shall be pushed, at least 0, in the distance's unit.
        distance: `"euclidean"`, `"squared"`, `"cosine"`, or a function of two tensors that broadcast against each
            other, of shape `(..., dim)`, which returns distances of shape `(...)`.

    Returns:
        One value per anchor, of shape `(batch_size,)`, scaled so that the mean over the batch is the published loss.
        Without a positive pair, or without a negative: zeros, with a zero gradient.

    Raises:
        ValueError: If a parameter or the shapes are wrong.

    References:
        Song et al. (2016), Deep Metric Learning via Lifted Structured Feature Embedding,
        https://arxiv.org/abs/1511.06452

    Example:

    >>> embeddings = [[0.0, 0.0], [0.0, 1.0], [0.0, 2.0]]
    >>> loss = kplug.lifted_structure_loss([7, 7, 8], embeddings)
    >>> round(float(keras.ops.mean(loss)), 4)  # (log(exp(1 - 2) + exp(1 - 1)) + 1) ** 2 / 2
    0.8623
    """
    check_margin_and_distance(margin, distance)
    labels, embeddings = labelled_embeddings(y_true, y_pred, "lifted_structure_loss")
    distances = pairwise_distances(embeddings, distance)
    positive, negative = pairs(labels, distances.dtype)
    pushed = ops.logsumexp(margin - distances - FAR * (1 - negative), axis=1)
    costs = ops.logaddexp(pushed[:, None], pushed[None, :]) + distances
    terms = ops.square(ops.maximum(costs, 0) * positive)
    return per_anchor(ops.sum(terms, axis=1) / 2, ops.sum(positive))


@component(tasks=["metric-learning"], references=[_SONG])
@keras.saving.register_keras_serializable(package="kplug")
class LiftedStructureLoss(FunctionLoss, function=lifted_structure_loss, check=check_margin_and_distance):
    """Lifted structured loss: each positive pair against all negatives of both its samples.

    The class of `kplug.lifted_structure_loss`, which has the formula, the shapes and when to use it.

    Example:

    >>> loss = kplug.LiftedStructureLoss(margin=2.0)
    >>> round(float(loss([0, 0, 1, 1], [[0.0, 0.0], [0.0, 1.0], [2.0, 3.0], [1.0, 3.0]])), 4)
    1.2073

    In a model:

    ```python
    model.compile("adam", loss=kplug.LiftedStructureLoss(margin=1.0))
    model.fit(images, labels)
    ```
    """

    def __init__(
        self,
        margin: Margin = 1.0,
        distance: Distance = "euclidean",
        reduction: Reduction = "sum_over_batch_size",
        name: str = "lifted_structure_loss",
        dtype: str | None = None,
    ) -> None:
        super().__init__(reduction, name, dtype, margin=margin, distance=distance)
