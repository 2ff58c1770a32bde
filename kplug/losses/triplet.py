"""Triplet loss on triplets that are given."""

from __future__ import annotations

from typing import Annotated, Any

import keras
from keras import ops
from pydantic import Field

from kplug.catalog.facts import component
from kplug.losses.distances import Distance, check_distance, distances_between
from kplug.losses.function_loss import FunctionLoss, Reduction
from kplug.losses.labelled import in_float32

_SCHROFF = "Schroff et al. (2015), FaceNet, https://arxiv.org/abs/1503.03832"

Margin = Annotated[float, Field(ge=0)]


def check_margin_and_distance(margin: float, distance: Distance) -> None:
    """Refuse a negative margin and an unknown distance.

    Raises:
        ValueError: If one of them is wrong.
    """
    if not margin >= 0:
        raise ValueError(f"`margin` must be at least 0. Received: margin={margin}")
    check_distance(distance)


@keras.saving.register_keras_serializable(package="kplug")
def triplet_loss(y_true: Any, y_pred: Any, margin: Margin = 1.0, distance: Distance = "euclidean") -> Any:
    """Triplet loss on given triplets: the positive shall be nearer to the anchor than the negative, by a margin.

    ```
    L = max(0, d(anchor, positive) - d(anchor, negative) + margin)
    ```

    (Schroff et al. 2015, equation 2, with their squared distance for `distance="squared"`.)

    Use it when triplets are part of the data. Where samples have labels, `triplet_semihard_loss` and its siblings
    find better triplets in the batch, and far more of them.

    Args:
        y_true: Ignored; Keras wants a target.
        y_pred: Embeddings of shape `(batch_size, 3, dim)`: anchor, positive and negative.
        margin: How much nearer, at least 0, in the distance's unit.
        distance: `"euclidean"`, `"squared"`, `"cosine"`, or a function of two tensors of shape `(..., dim)` that
            returns distances of shape `(...)`.

    Returns:
        One value per triplet, of shape `(batch_size,)`, in the distance's unit.

    Raises:
        ValueError: If a parameter or the shape is wrong.

    References:
        Schroff et al. (2015), FaceNet, https://arxiv.org/abs/1503.03832

    Example:

    >>> anchor, positive, negative = [0.0, 0.0], [3.0, 4.0], [0.0, 5.5]
    >>> loss = kplug.triplet_loss([0], [[anchor, positive, negative]], margin=1.0)
    >>> float(loss[0])
    0.5
    """
    del y_true
    check_margin_and_distance(margin, distance)
    embeddings = in_float32(y_pred)
    if len(embeddings.shape) != 3 or embeddings.shape[1] != 3:
        raise ValueError(
            "triplet_loss needs embeddings of shape (batch_size, 3, dim): anchor, positive, negative. "
            f"Received: y_pred of shape {tuple(embeddings.shape)}. For labels there is triplet_semihard_loss."
        )
    anchor, positive, negative = ops.unstack(embeddings, num=3, axis=1)
    nearer = distances_between(anchor, positive, distance) - distances_between(anchor, negative, distance)
    return ops.maximum(nearer + margin, 0)


@component(tasks=["metric-learning"], references=[_SCHROFF])
@keras.saving.register_keras_serializable(package="kplug")
class TripletLoss(FunctionLoss, function=triplet_loss, check=check_margin_and_distance):
    """Triplet loss on given triplets: the positive shall be nearer to the anchor than the negative, by a margin.

    The class of `kplug.triplet_loss`, which has the formula, the shapes and when to use it.

    Example:

    >>> loss = kplug.TripletLoss(margin=2.0)
    >>> round(float(loss([0], [[[0.0, 0.0], [0.0, 1.0], [2.0, 0.0]]])), 4)
    1.0

    In a model:

    ```python
    model.compile("adam", loss=kplug.TripletLoss(margin=0.2, distance="squared"))
    ```
    """

    def __init__(
        self,
        margin: Margin = 1.0,
        distance: Distance = "euclidean",
        reduction: Reduction = "sum_over_batch_size",
        name: str = "triplet_loss",
        dtype: str | None = None,
    ) -> None:
        super().__init__(reduction, name, dtype, margin=margin, distance=distance)
