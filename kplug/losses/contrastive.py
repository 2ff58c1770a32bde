"""Contrastive losses: on pairs, on labels, and on two views of each sample."""

from __future__ import annotations

from typing import Annotated, Any

import keras
from keras import ops
from pydantic import Field

from kplug.catalog.facts import component
from kplug.losses.distances import Distance, cosine_similarities, distances_between, unit_vectors
from kplug.losses.function_loss import FunctionLoss, Reduction
from kplug.losses.labelled import FAR, check_one_batch, in_float32, labelled_embeddings, or_nan, pairs, per_anchor
from kplug.losses.triplet import Margin, check_margin_and_distance

_HADSELL = "Hadsell et al. (2006), Dimensionality Reduction by Learning an Invariant Mapping, CVPR"
_KHOSLA = "Khosla et al. (2020), Supervised Contrastive Learning, https://arxiv.org/abs/2004.11362"
_CHEN = "Chen et al. (2020), A Simple Framework for Contrastive Learning (SimCLR), https://arxiv.org/abs/2002.05709"

Temperature = Annotated[float, Field(gt=0)]


def check_temperature(temperature: float) -> None:
    """Refuse a temperature that is not greater than 0.

    Raises:
        ValueError: If it is not.
    """
    if not temperature > 0:
        raise ValueError(f"`temperature` must be greater than 0. Received: temperature={temperature}")


@keras.saving.register_keras_serializable(package="kplug")
def contrastive_loss(y_true: Any, y_pred: Any, margin: Margin = 1.0, distance: Distance = "euclidean") -> Any:
    """Contrastive loss on pairs: alike ones are drawn together, others pushed apart up to a margin.

    ```
    L = y * d ** 2 + (1 - y) * max(0, margin - d) ** 2
    ```

    (Hadsell et al. 2006, equation 4, without its factor 1/2, as in TensorFlow Addons, and with y = 1 for alike.)

    Use it when the data are pairs that are known to be alike or not. With labels, a loss that compares a whole batch
    (`supervised_contrastive_loss`, `triplet_semihard_loss`) learns more from the same samples.

    Args:
        y_true: 1 for a pair that is alike, 0 for one that is not, of shape `(batch_size,)` or `(batch_size, 1)`;
            anything outside 0 to 1 (a -1, say) costs NaN.
        y_pred: Pairs of embeddings, of shape `(batch_size, 2, dim)`; or their distances, of shape `(batch_size,)` or
            `(batch_size, 1)`.
        margin: From which distance on pairs that are not alike cost nothing; at least 0, in the distance's unit.
        distance: `"euclidean"`, `"squared"`, `"cosine"`, or a function of two tensors of shape `(..., dim)` that
            returns distances of shape `(...)`; without meaning where distances are given.

    Returns:
        One value per pair, of shape `(batch_size,)`, in the distance's unit squared.

    Raises:
        ValueError: If a parameter or the shapes are wrong.

    References:
        Hadsell et al. (2006), Dimensionality Reduction by Learning an Invariant Mapping, CVPR

    Example:

    >>> loss = kplug.contrastive_loss([1, 0, 0], [0.5, 0.5, 1.5], margin=1.0)
    >>> [float(value) for value in loss]
    [0.25, 0.25, 0.0]
    """
    check_margin_and_distance(margin, distance)
    given = in_float32(y_pred)
    if len(given.shape) == 3 and given.shape[1] == 2:
        first, second = ops.unstack(given, num=2, axis=1)
        distances = distances_between(first, second, distance)
    elif tuple(given.shape[1:]) in {(), (1,)}:
        distances = ops.reshape(given, (-1,))
    else:
        raise ValueError(
            "contrastive_loss needs pairs of embeddings of shape (batch_size, 2, dim), or distances of shape "
            f"(batch_size,). Received: y_pred of shape {tuple(given.shape)}"
        )
    alike = ops.cast(ops.convert_to_tensor(y_true), distances.dtype)
    check_one_batch(alike, distances, "contrastive_loss", labels=True)
    alike = ops.reshape(alike, (-1,))
    apart = ops.square(ops.maximum(margin - distances, 0))
    return or_nan(alike * ops.square(distances) + (1 - alike) * apart, (alike >= 0) & (alike <= 1))


@component(tasks=["metric-learning"], references=[_HADSELL])
@keras.saving.register_keras_serializable(package="kplug")
class ContrastiveLoss(FunctionLoss, function=contrastive_loss, check=check_margin_and_distance):
    """Contrastive loss on pairs: alike ones are drawn together, others pushed apart up to a margin.

    The class of `kplug.contrastive_loss`, which has the formula, the shapes and when to use it.

    Example:

    >>> loss = kplug.ContrastiveLoss(margin=2.0)
    >>> round(float(loss([1, 0], [[[1.0, 0.0], [1.0, 0.1]], [[0.0, 1.0], [0.3, 1.0]]])), 4)
    1.45

    In a model:

    ```python
    model.compile("adam", loss=kplug.ContrastiveLoss(margin=1.0))
    ```
    """

    def __init__(
        self,
        margin: Margin = 1.0,
        distance: Distance = "euclidean",
        reduction: Reduction = "sum_over_batch_size",
        name: str = "contrastive_loss",
        dtype: str | None = None,
    ) -> None:
        super().__init__(reduction, name, dtype, margin=margin, distance=distance)


@keras.saving.register_keras_serializable(package="kplug")
def supervised_contrastive_loss(y_true: Any, y_pred: Any, temperature: Temperature = 0.1) -> Any:
    """Supervised contrastive loss: each anchor picks out its positives among all other samples of the batch.

    ```
    L_i = - mean over positives p of log( exp(s_ip / t) / sum over a != i of exp(s_ia / t) )
    ```

    with s the cosine similarity and t the temperature (Khosla et al. 2020, equation 2, "L_out").

    Use it to train an encoder on labels before a classifier is put on top; large batches help. For two augmented views
    without labels use `ntxent_loss`.

    Args:
        y_true: Integer labels of shape `(batch_size,)` or `(batch_size, 1)`. Keras casts targets to float32, so
            labels above 16,777,216 may collide.
        y_pred: Embeddings of shape `(batch_size, dim)`; they are scaled to length 1 here.
        temperature: Greater than 0; small values look at the hardest samples only. The paper's best is 0.1.

    Returns:
        One value per anchor in nats, of shape `(batch_size,)`, scaled so that the mean over the batch is the mean over
        the anchors that have a positive. Without any: zeros, with a zero gradient.

    Raises:
        ValueError: If the temperature or the shapes are wrong.

    References:
        Khosla et al. (2020), Supervised Contrastive Learning, https://arxiv.org/abs/2004.11362

    Example:

    >>> loss = kplug.supervised_contrastive_loss([0, 0, 1], [[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]], temperature=1.0)
    >>> round(float(keras.ops.mean(loss)), 4)  # log(1 + exp(-1))
    0.3133
    """
    check_temperature(temperature)
    labels, embeddings = labelled_embeddings(y_true, y_pred, "supervised_contrastive_loss")
    logits = cosine_similarities(embeddings) / temperature
    positive, _ = pairs(labels, logits.dtype)
    others = logits - FAR * ops.eye(ops.shape(logits)[0], dtype=logits.dtype)
    log_share = logits - ops.logsumexp(others, axis=1, keepdims=True)
    positives = ops.sum(positive, axis=1)
    terms = -ops.sum(positive * log_share, axis=1) / ops.maximum(positives, 1)
    return per_anchor(terms, ops.sum(ops.cast(positives > 0, logits.dtype)))


@component(tasks=["metric-learning"], references=[_KHOSLA])
@keras.saving.register_keras_serializable(package="kplug")
class SupervisedContrastiveLoss(FunctionLoss, function=supervised_contrastive_loss, check=check_temperature):
    """Supervised contrastive loss: each anchor picks out its positives among all other samples of the batch.

    The class of `kplug.supervised_contrastive_loss`, which has the formula, the shapes and when to use it.

    Example:

    >>> loss = kplug.SupervisedContrastiveLoss(temperature=0.5)
    >>> round(float(loss([0, 0, 1, 1], [[1.0, 0.0], [0.0, 1.0], [2.0, 3.0], [1.0, 3.0]])), 4)
    1.4844

    In a model:

    ```python
    encoder.compile("adam", loss=kplug.SupervisedContrastiveLoss(temperature=0.1))
    encoder.fit(images, labels, batch_size=256)
    ```
    """

    def __init__(
        self,
        temperature: Temperature = 0.1,
        reduction: Reduction = "sum_over_batch_size",
        name: str = "supervised_contrastive_loss",
        dtype: str | None = None,
    ) -> None:
        super().__init__(reduction, name, dtype, temperature=temperature)


@keras.saving.register_keras_serializable(package="kplug")
def ntxent_loss(y_true: Any, y_pred: Any, temperature: Temperature = 0.1) -> Any:
    """SimCLR's loss on two views of each sample: each view picks out the other among all views of the batch.

    ```
    l(i, j) = - log( exp(s_ij / t) / sum over k != i of exp(s_ik / t) ),    L = (l(i, j) + l(j, i)) / 2
    ```

    with s the cosine similarity, t the temperature, and k over all 2 * batch_size views (Chen et al. 2020, equation 1:
    the normalized temperature-scaled cross-entropy).

    Use it to learn from images without labels, each augmented twice, with batches of hundreds. With labels use
    `supervised_contrastive_loss`.

    Args:
        y_true: Ignored; Keras wants a target.
        y_pred: Embeddings of shape `(batch_size, 2, dim)`, the two views of each sample; scaled to length 1 here.
        temperature: Greater than 0. The paper's best are 0.1 for ImageNet and 0.5 for CIFAR-10.

    Returns:
        One value per sample in nats, of shape `(batch_size,)`; zero for a batch of one.

    Raises:
        ValueError: If the temperature or the shape is wrong.

    References:
        Chen et al. (2020), A Simple Framework for Contrastive Learning of Visual Representations,
        https://arxiv.org/abs/2002.05709

    Example:

    >>> views = [[[1.0, 0.0], [1.0, 0.0]], [[0.0, 1.0], [0.0, 1.0]]]
    >>> loss = kplug.ntxent_loss([0, 0], views, temperature=1.0)
    >>> [round(float(value), 4) for value in loss]  # log(1 + 2 / e)
    [0.5514, 0.5514]
    """
    del y_true
    check_temperature(temperature)
    embeddings = in_float32(y_pred)
    if len(embeddings.shape) != 3 or embeddings.shape[1] != 2:
        raise ValueError(
            "ntxent_loss needs embeddings of shape (batch_size, 2, dim): two views of each sample. "
            f"Received: y_pred of shape {tuple(embeddings.shape)}"
        )
    first, second = map(unit_vectors, ops.unstack(embeddings, num=2, axis=1))
    across = ops.matmul(first, ops.transpose(second)) / temperature
    itself = FAR * ops.eye(ops.shape(across)[0], dtype=across.dtype)
    among_first = ops.matmul(first, ops.transpose(first)) / temperature - itself
    among_second = ops.matmul(second, ops.transpose(second)) / temperature - itself
    all_from_first = ops.logsumexp(ops.concatenate([among_first, across], axis=1), axis=1)
    all_from_second = ops.logsumexp(ops.concatenate([among_second, ops.transpose(across)], axis=1), axis=1)
    return (all_from_first + all_from_second) / 2 - ops.sum(first * second, axis=1) / temperature


@component(tasks=["metric-learning"], references=[_CHEN])
@keras.saving.register_keras_serializable(package="kplug")
class NTXentLoss(FunctionLoss, function=ntxent_loss, check=check_temperature):
    """SimCLR's loss on two views of each sample: each view picks out the other among all views of the batch.

    The class of `kplug.ntxent_loss`, which has the formula, the shapes and when to use it.

    Example:

    >>> loss = kplug.NTXentLoss(temperature=0.5)
    >>> round(float(loss([0, 0], [[[1.0, 0.0], [1.0, 0.1]], [[0.0, 1.0], [0.3, 1.0]]])), 4)
    0.3596

    In a model:

    ```python
    model.compile("adam", loss=kplug.NTXentLoss(temperature=0.5))
    ```
    """

    def __init__(
        self,
        temperature: Temperature = 0.1,
        reduction: Reduction = "sum_over_batch_size",
        name: str = "ntxent_loss",
        dtype: str | None = None,
    ) -> None:
        super().__init__(reduction, name, dtype, temperature=temperature)
