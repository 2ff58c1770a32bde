"""Multi-similarity loss."""

from __future__ import annotations

from typing import Annotated, Any

import keras
from keras import ops
from pydantic import Field

from kplug.catalog.facts import component
from kplug.losses.distances import cosine_similarities
from kplug.losses.function_loss import FunctionLoss, Reduction
from kplug.losses.labelled import FAR, labelled_embeddings, pairs

_WANG = "Wang et al. (2019), Multi-Similarity Loss with General Pair Weighting, https://arxiv.org/abs/1904.06627"

Scale = Annotated[float, Field(gt=0)]


def check_multi_similarity(alpha: float, beta: float, threshold: float, epsilon: float | None) -> None:
    """Refuse scales that are not greater than 0, and a negative margin of the mining.

    Raises:
        ValueError: If a parameter is wrong.
    """
    del threshold
    for name, value in (("alpha", alpha), ("beta", beta)):
        if not value > 0:
            raise ValueError(f"`{name}` must be greater than 0. Received: {name}={value}")
    if epsilon is not None and not epsilon >= 0:
        raise ValueError(f"`epsilon` must be at least 0, or None. Received: epsilon={epsilon}")


@keras.saving.register_keras_serializable(package="kplug")
def multi_similarity_loss(
    y_true: Any,
    y_pred: Any,
    alpha: Scale = 2.0,
    beta: Scale = 50.0,
    threshold: float = 0.5,
    epsilon: Annotated[float, Field(ge=0)] | None = 0.1,
) -> Any:
    """Multi-similarity loss: pairs weighted by how they compare with the anchor's other pairs.

    ```
    L_i = 1/alpha * log(1 + sum over positives k of exp(-alpha (s_ik - threshold)))
        + 1/beta  * log(1 + sum over negatives k of exp( beta  (s_ik - threshold)))
    ```

    with s the cosine similarity, over the pairs that are hard: negatives more similar than the anchor's least similar
    positive less `epsilon`, and positives less similar than its most similar negative plus `epsilon` (Wang et al.
    2019, equations 11 to 15).

    Use it as a strong default for retrieval with labels, on batches of several samples per class.

    Args:
        y_true: Integer labels of shape `(batch_size,)` or `(batch_size, 1)`. Keras casts targets to float32, so
            labels above 16,777,216 may collide.
        y_pred: Embeddings of shape `(batch_size, dim)`; they are scaled to length 1 here.
        alpha: Scale of the positives' similarities, greater than 0.
        beta: Scale of the negatives' similarities, greater than 0.
        threshold: The similarity that parts alike from other ("lambda" in the paper).
        epsilon: Margin of the mining, at least 0; `None` takes all pairs.

    Returns:
        One value per anchor, of shape `(batch_size,)`; zero, with a zero gradient, for an anchor without hard pairs.

    Raises:
        ValueError: If a parameter or the shapes are wrong.

    References:
        Wang et al. (2019), Multi-Similarity Loss with General Pair Weighting for Deep Metric Learning,
        https://arxiv.org/abs/1904.06627

    Example:

    >>> embeddings = [[1.0, 0.0], [1.0, 0.0], [0.8, 0.6]]
    >>> loss = kplug.multi_similarity_loss([0, 0, 1], embeddings, alpha=1.0, beta=1.0, epsilon=None)
    >>> round(float(loss[0]), 4)  # log(1 + exp(-0.5)) + log(1 + exp(0.3))
    1.3284
    """
    check_multi_similarity(alpha, beta, threshold, epsilon)
    labels, embeddings = labelled_embeddings(y_true, y_pred, "multi_similarity_loss")
    if embeddings.shape[0] == 0:
        return embeddings[:, 0]
    similarities = cosine_similarities(embeddings)
    positive, negative = pairs(labels, similarities.dtype)
    if epsilon is not None:
        fixed = ops.stop_gradient(similarities)
        hardest_positive = ops.min(fixed + FAR * (1 - positive), axis=1, keepdims=True)
        hardest_negative = ops.max(fixed - FAR * (1 - negative), axis=1, keepdims=True)
        positive = positive * ops.cast(fixed - epsilon < hardest_negative, fixed.dtype)
        negative = negative * ops.cast(fixed + epsilon > hardest_positive, fixed.dtype)
    above = similarities - threshold
    return _log_one_plus(-alpha * above, positive) / alpha + _log_one_plus(beta * above, negative) / beta


def _log_one_plus(exponents: Any, chosen: Any) -> Any:
    """Return `log(1 + sum of exp)` over the chosen entries of each row."""
    return ops.softplus(ops.logsumexp(exponents - FAR * (1 - chosen), axis=1))


@component(tasks=["metric-learning"], references=[_WANG])
@keras.saving.register_keras_serializable(package="kplug")
class MultiSimilarityLoss(FunctionLoss, function=multi_similarity_loss, check=check_multi_similarity):
    """Multi-similarity loss: pairs weighted by how they compare with the anchor's other pairs.

    The class of `kplug.multi_similarity_loss`, which has the formula, the shapes and when to use it.

    Example:

    >>> loss = kplug.MultiSimilarityLoss(beta=5.0)
    >>> round(float(loss([0, 0, 1, 1], [[1.0, 0.0], [0.0, 1.0], [2.0, 3.0], [1.0, 3.0]])), 4)
    0.6747

    In a model:

    ```python
    model.compile("adam", loss=kplug.MultiSimilarityLoss())
    model.fit(images, labels)
    ```
    """

    def __init__(
        self,
        alpha: Scale = 2.0,
        beta: Scale = 50.0,
        threshold: float = 0.5,
        epsilon: Annotated[float, Field(ge=0)] | None = 0.1,
        reduction: Reduction = "sum_over_batch_size",
        name: str = "multi_similarity_loss",
        dtype: str | None = None,
    ) -> None:
        super().__init__(reduction, name, dtype, alpha=alpha, beta=beta, threshold=threshold, epsilon=epsilon)
