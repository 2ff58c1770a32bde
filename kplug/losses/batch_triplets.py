"""Triplet losses that find their triplets in the batch, by labels."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from keras import ops

from kplug.catalog.facts import component
from kplug.losses.distances import Distance, pairwise_distances
from kplug.losses.function_loss import FunctionLoss, Reduction
from kplug.losses.labelled import FAR, labelled_embeddings, pairs, per_anchor
from kplug.losses.triplet import Margin, check_margin_and_distance

_SCHROFF = "Schroff et al. (2015), FaceNet, https://arxiv.org/abs/1503.03832"
_HERMANS = "Hermans et al. (2017), In Defense of the Triplet Loss for Person Re-Identification, https://arxiv.org/abs/1703.07737"


@keras.saving.register_keras_serializable(package="kplug")
def triplet_semihard_loss(y_true: Any, y_pred: Any, margin: Margin = 1.0, distance: Distance = "euclidean") -> Any:
    """Triplet loss with semi-hard negatives: for each positive pair, the nearest negative that is farther away.

    ```
    L = mean over positive pairs (a, p) of max(0, d(a, p) - d(a, n) + margin)
    n = argmin { d(a, n) : d(a, n) > d(a, p) },  or the farthest negative where there is no such
    ```

    This is FaceNet's reading of "semi-hard" (Schroff et al. 2015, section 3.2), and TensorFlow Addons': the negative
    may lie beyond the margin, which makes the term zero. A pair whose anchor has no negative in the batch counts as
    there: as if the negative were at distance zero.

    Use it as the first choice for metric learning with labels: the hardest negatives (`triplet_hard_loss`) may
    collapse an untrained model. Batches need several samples per class, and several classes.

    Args:
        y_true: Integer labels of shape `(batch_size,)` or `(batch_size, 1)`. Keras casts targets to float32, so
            labels above 16,777,216 may collide.
        y_pred: Embeddings of shape `(batch_size, dim)`, often scaled to length 1.
        margin: How much nearer the positive shall be, at least 0, in the distance's unit.
        distance: `"euclidean"`, `"squared"`, `"cosine"`, or a function of two tensors that broadcast against each
            other, of shape `(..., dim)`, which returns distances of shape `(...)`.

    Returns:
        One value per anchor, of shape `(batch_size,)`, scaled so that the mean over the batch is the mean over the
        positive pairs. Without a positive pair: zeros, with a zero gradient.

    Raises:
        ValueError: If a parameter or the shapes are wrong.

    References:
        Schroff et al. (2015), FaceNet, https://arxiv.org/abs/1503.03832

    Example:

    >>> embeddings = [[0.0, 0.0], [0.0, 1.0], [0.0, 1.5], [0.0, 9.0]]
    >>> loss = kplug.triplet_semihard_loss([7, 7, 8, 9], embeddings)
    >>> round(float(keras.ops.mean(loss)), 4)  # of two pairs, (0 - 1) costs 0.5, and (1 - 0) nothing
    0.25
    """
    check_margin_and_distance(margin, distance)
    labels, embeddings = labelled_embeddings(y_true, y_pred, "triplet_semihard_loss")
    distances = pairwise_distances(embeddings, distance)
    positive, negative = pairs(labels, distances.dtype)
    fixed = ops.stop_gradient(distances)

    # All of an anchor's samples by distance: a positive's semi-hard negative is the next negative after it. Positives
    # are put a rounding error further, so that a negative at the same distance comes before.
    order = ops.argsort(fixed + positive * (fixed * 4e-7 + 1e-30), axis=1)
    sorted_positive = ops.take_along_axis(positive, order, axis=1)
    nearer_negatives = ops.cumsum(ops.take_along_axis(negative, order, axis=1), axis=1)
    negatives = ops.sum(negative, axis=1, keepdims=True)
    negatives_by_distance = ops.argsort(fixed + (1 - negative) * FAR, axis=1)
    rank = ops.maximum(ops.minimum(nearer_negatives, negatives - 1), 0)
    chosen = ops.take_along_axis(negatives_by_distance, ops.cast(rank, "int32"), axis=1)

    to_positive = ops.take_along_axis(distances, order, axis=1)
    to_negative = ops.take_along_axis(distances * negative, chosen, axis=1)
    terms = ops.maximum(to_positive - to_negative + margin, 0) * sorted_positive
    return per_anchor(ops.sum(terms, axis=1), ops.sum(positive))


@component(tasks=["metric-learning"], references=[_SCHROFF])
@keras.saving.register_keras_serializable(package="kplug")
class TripletSemihardLoss(FunctionLoss, function=triplet_semihard_loss, check=check_margin_and_distance):
    """Triplet loss with semi-hard negatives: for each positive pair, the nearest negative that is farther away.

    The class of `kplug.triplet_semihard_loss`, which has the formula, the shapes and when to use it.

    Example:

    >>> loss = kplug.TripletSemihardLoss(margin=3.0)
    >>> round(float(loss([0, 0, 1, 1], [[0.0, 0.0], [0.0, 1.0], [2.0, 3.0], [1.0, 3.0]])), 4)
    1.3843

    In a model:

    ```python
    model.compile("adam", loss=kplug.TripletSemihardLoss(margin=0.5))
    model.fit(images, labels)
    ```
    """

    def __init__(
        self,
        margin: Margin = 1.0,
        distance: Distance = "euclidean",
        reduction: Reduction = "sum_over_batch_size",
        name: str = "triplet_semihard_loss",
        dtype: str | None = None,
    ) -> None:
        super().__init__(reduction, name, dtype, margin=margin, distance=distance)


@keras.saving.register_keras_serializable(package="kplug")
def triplet_hard_loss(
    y_true: Any, y_pred: Any, margin: Margin = 1.0, distance: Distance = "euclidean", soft_margin: bool = False
) -> Any:
    """Triplet loss with the hardest triplet of each anchor: its farthest positive and its nearest negative.

    ```
    L = mean over anchors a of max(0, max_p d(a, p) - min_n d(a, n) + margin)
    ```

    or, with a soft margin, of `log(1 + exp(max_p d(a, p) - min_n d(a, n)))` (Hermans et al. 2017, equations 5 and 6,
    "batch hard").

    Use it on batches of P classes with K samples each, with clean labels: one wrong label is the hardest sample. While
    all embeddings are still alike it may collapse them; start with `triplet_semihard_loss` then.

    Args:
        y_true: Integer labels of shape `(batch_size,)` or `(batch_size, 1)`. Keras casts targets to float32, so
            labels above 16,777,216 may collide.
        y_pred: Embeddings of shape `(batch_size, dim)`.
        margin: How much nearer the positive shall be, at least 0, in the distance's unit; without meaning if
            `soft_margin`.
        distance: `"euclidean"`, `"squared"`, `"cosine"`, or a function of two tensors that broadcast against each
            other, of shape `(..., dim)`, which returns distances of shape `(...)`.
        soft_margin: Whether to use the softplus instead of the hinge.

    Returns:
        One value per anchor, of shape `(batch_size,)`, scaled so that the mean over the batch is the mean over the
        anchors that have a positive. Without any: zeros, with a zero gradient. An anchor with positives but no
        negative counts with its farthest positive as the negative, as in TensorFlow Addons: a constant.

    Raises:
        ValueError: If a parameter or the shapes are wrong.

    References:
        Hermans et al. (2017), In Defense of the Triplet Loss for Person Re-Identification,
        https://arxiv.org/abs/1703.07737

    Example:

    >>> embeddings = [[0.0, 0.0], [0.0, 1.0], [0.0, 1.5], [0.0, 1.75]]
    >>> loss = kplug.triplet_hard_loss([7, 7, 8, 8], embeddings)
    >>> [round(float(value), 4) for value in loss]
    [0.5, 1.5, 0.75, 0.5]
    """
    check_margin_and_distance(margin, distance)
    labels, embeddings = labelled_embeddings(y_true, y_pred, "triplet_hard_loss")
    if embeddings.shape[0] == 0:
        return embeddings[:, 0]
    distances = pairwise_distances(embeddings, distance)
    positive, negative = pairs(labels, distances.dtype)
    nearest = ops.min(distances, axis=1, keepdims=True)
    farthest = ops.max(distances, axis=1, keepdims=True)
    hardest_positive = ops.max(ops.where(positive > 0, distances, nearest), axis=1)
    hardest_negative = ops.min(ops.where(negative > 0, distances, farthest), axis=1)
    nearer = hardest_positive - hardest_negative
    terms = ops.softplus(nearer) if soft_margin else ops.maximum(nearer + margin, 0)
    valid = ops.max(positive, axis=1)
    return per_anchor(terms * valid, ops.sum(valid))


@component(tasks=["metric-learning"], references=[_HERMANS])
@keras.saving.register_keras_serializable(package="kplug")
class TripletHardLoss(FunctionLoss, function=triplet_hard_loss, check=check_margin_and_distance):
    """Triplet loss with the hardest triplet of each anchor: its farthest positive and its nearest negative.

    The class of `kplug.triplet_hard_loss`, which has the formula, the shapes and when to use it.

    Example:

    >>> loss = kplug.TripletHardLoss(margin=3.0)
    >>> round(float(loss([0, 0, 1, 1], [[0.0, 0.0], [0.0, 1.0], [2.0, 3.0], [1.0, 3.0]])), 4)
    1.3843

    In a model:

    ```python
    model.compile("adam", loss=kplug.TripletHardLoss(soft_margin=True))
    model.fit(images, labels)
    ```
    """

    def __init__(
        self,
        margin: Margin = 1.0,
        distance: Distance = "euclidean",
        soft_margin: bool = False,
        reduction: Reduction = "sum_over_batch_size",
        name: str = "triplet_hard_loss",
        dtype: str | None = None,
    ) -> None:
        super().__init__(reduction, name, dtype, margin=margin, distance=distance, soft_margin=soft_margin)


@keras.saving.register_keras_serializable(package="kplug")
def triplet_all_loss(
    y_true: Any,
    y_pred: Any,
    margin: Margin = 1.0,
    distance: Distance = "euclidean",
    nonzero_mean: bool = False,
) -> Any:
    """Triplet loss over all triplets of the batch.

    ```
    L = mean over all (a, p, n) of max(0, d(a, p) - d(a, n) + margin)
    ```

    with anchor and positive of one label and the negative of another (Hermans et al. 2017, equation 7, "batch all").
    Time and memory grow with the square of the batch, not with the cube: the terms are added up by rank.

    Use it for small batches and noisy labels, where the hardest triplets mislead. Late in training nearly all triplets
    are satisfied and the mean over all vanishes; `nonzero_mean=True` then keeps the gradient alive.

    Args:
        y_true: Integer labels of shape `(batch_size,)` or `(batch_size, 1)`. Keras casts targets to float32, so
            labels above 16,777,216 may collide.
        y_pred: Embeddings of shape `(batch_size, dim)`.
        margin: How much nearer the positive shall be, at least 0, in the distance's unit.
        distance: `"euclidean"`, `"squared"`, `"cosine"`, or a function of two tensors that broadcast against each
            other, of shape `(..., dim)`, which returns distances of shape `(...)`.
        nonzero_mean: Whether to take the mean over the triplets with a loss greater than zero only.

    Returns:
        One value per anchor, of shape `(batch_size,)`, scaled so that the mean over the batch is the mean over the
        triplets. Without any: zeros, with a zero gradient.

    Raises:
        ValueError: If a parameter or the shapes are wrong.

    References:
        Hermans et al. (2017), In Defense of the Triplet Loss for Person Re-Identification,
        https://arxiv.org/abs/1703.07737

    Example:

    >>> embeddings = [[0.0, 0.0], [0.0, 1.0], [0.0, 1.5], [0.0, 9.0]]
    >>> loss = kplug.triplet_all_loss([7, 7, 8, 9], embeddings)
    >>> round(float(keras.ops.mean(loss)), 4)  # four triplets, with 0.5, 0, 1.5 and 0
    0.5
    """
    check_margin_and_distance(margin, distance)
    labels, embeddings = labelled_embeddings(y_true, y_pred, "triplet_all_loss")
    distances = pairwise_distances(embeddings, distance)
    positive, negative = pairs(labels, distances.dtype)

    # A triplet costs something where its positive, put off by the margin, comes after its negative. One that costs
    # nothing but a rounding error does not count: at equal places the positive comes first.
    fixed = ops.stop_gradient(distances)
    epsilon = float(np.finfo(keras.backend.standardize_dtype(distances.dtype)).eps)
    rounding = 32 * epsilon * (ops.max(fixed, axis=1, keepdims=True) + margin) if embeddings.shape[0] != 0 else 0.0
    order = ops.argsort(fixed + (margin - rounding) * positive, axis=1)
    sorted_positive = ops.take_along_axis(positive, order, axis=1)
    sorted_negative = ops.take_along_axis(negative, order, axis=1)
    negatives_before = ops.cumsum(sorted_negative, axis=1)
    positives_after = ops.sum(positive, axis=1, keepdims=True) - ops.cumsum(sorted_positive, axis=1)
    costly = sorted_positive * negatives_before
    times = costly - sorted_negative * positives_after
    sums = ops.sum(times * ops.take_along_axis(distances, order, axis=1) + margin * costly, axis=1)
    if nonzero_mean:
        return per_anchor(sums, ops.sum(costly))
    return per_anchor(sums, ops.sum(ops.sum(positive, axis=1) * ops.sum(negative, axis=1)))


@component(tasks=["metric-learning"], references=[_HERMANS])
@keras.saving.register_keras_serializable(package="kplug")
class TripletAllLoss(FunctionLoss, function=triplet_all_loss, check=check_margin_and_distance):
    """Triplet loss over all triplets of the batch.

    The class of `kplug.triplet_all_loss`, which has the formula, the shapes and when to use it.

    Example:

    >>> loss = kplug.TripletAllLoss(margin=3.0)
    >>> round(float(loss([0, 0, 1, 1], [[0.0, 0.0], [0.0, 1.0], [2.0, 3.0], [1.0, 3.0]])), 4)
    1.0419

    In a model:

    ```python
    model.compile("adam", loss=kplug.TripletAllLoss(margin=0.2, nonzero_mean=True))
    model.fit(images, labels)
    ```
    """

    def __init__(
        self,
        margin: Margin = 1.0,
        distance: Distance = "euclidean",
        nonzero_mean: bool = False,
        reduction: Reduction = "sum_over_batch_size",
        name: str = "triplet_all_loss",
        dtype: str | None = None,
    ) -> None:
        super().__init__(reduction, name, dtype, margin=margin, distance=distance, nonzero_mean=nonzero_mean)
