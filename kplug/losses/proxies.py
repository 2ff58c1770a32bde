"""Losses on the similarities between samples and one learned proxy per class, as `kplug.ProxyHead` puts them out."""

from __future__ import annotations

import math
from typing import Annotated, Any

import keras
from keras import ops
from pydantic import Field

from kplug.catalog.facts import component
from kplug.losses.function_loss import FunctionLoss, Reduction
from kplug.losses.labelled import FAR, by_class, check_one_batch, in_float32

_KIM = "Kim et al. (2020), Proxy Anchor Loss for Deep Metric Learning, https://arxiv.org/abs/2003.13911"
_DENG = "Deng et al. (2019), ArcFace, https://arxiv.org/abs/1801.07698"

Scale = Annotated[float, Field(gt=0)]
Angle = Annotated[float, Field(ge=0, lt=math.pi)]


def check_proxy_anchor(margin: float, alpha: float) -> None:
    """Refuse a negative margin and a scale that is not greater than 0.

    Raises:
        ValueError: If a parameter is wrong.
    """
    if not margin >= 0:
        raise ValueError(f"`margin` must be at least 0. Received: margin={margin}")
    if not alpha > 0:
        raise ValueError(f"`alpha` must be greater than 0. Received: alpha={alpha}")


@keras.saving.register_keras_serializable(package="kplug")
def proxy_anchor_loss(
    y_true: Any, y_pred: Any, margin: Annotated[float, Field(ge=0)] = 0.1, alpha: Scale = 32.0
) -> Any:
    """Proxy-anchor loss: each class's proxy draws in its samples and pushes away all others, the hardest most.

    ```
    L = 1/|P+| * sum over proxies p with samples of log(1 + sum over its samples x of exp(-alpha (s_xp - margin)))
      + 1/|P|  * sum over all proxies p of          log(1 + sum over other samples x of exp( alpha (s_xp + margin)))
    ```

    with s the cosine similarity (Kim et al. 2020, equation 4). The proxies are weights of `kplug.ProxyHead`.

    Use it for retrieval with labels and up to some thousands of classes: it converges fast, and batches need no
    particular make-up.

    Args:
        y_true: Integer labels from 0 to `num_classes - 1`, of shape `(batch_size,)` or `(batch_size, 1)`. A
            negative number costs nothing, one beyond them NaN.
        y_pred: Cosine similarities of samples and proxies, of shape `(batch_size, num_classes)`.
        margin: By how much similarities shall exceed 0, or fall below it; at least 0.
        alpha: Scale of the similarities, greater than 0.

    Returns:
        One value per sample, of shape `(batch_size,)`; their mean is the published loss. A proxy's two terms are
        shared evenly among the samples in them.

    Raises:
        ValueError: If a parameter or a shape is wrong.

    References:
        Kim et al. (2020), Proxy Anchor Loss for Deep Metric Learning, https://arxiv.org/abs/2003.13911

    Example:

    >>> loss = kplug.proxy_anchor_loss([0, 1], [[1.0, 0.0], [0.0, 1.0]], margin=0.0, alpha=1.0)
    >>> round(float(keras.ops.mean(loss)), 4)  # log(1 + exp(-1)) + log(2)
    1.0064
    """
    check_proxy_anchor(margin, alpha)
    similarities, own, classes = _similarities_and_own(y_true, y_pred, "proxy_anchor_loss")
    other = (1 - own) * ops.cast(classes >= 0, own.dtype)[:, None]
    drawn = ops.softplus(ops.logsumexp(-alpha * (similarities - margin) - FAR * (1 - own), axis=0))
    pushed = ops.softplus(ops.logsumexp(alpha * (similarities + margin) - FAR * (1 - other), axis=0))
    samples, others = ops.sum(own, axis=0), ops.sum(other, axis=0)
    with_samples = ops.maximum(ops.sum(ops.cast(samples > 0, own.dtype)), 1)
    proxies = ops.cast(ops.shape(own)[1], own.dtype)
    shares = (
        own * (drawn / ops.maximum(samples, 1)) / with_samples + other * (pushed / ops.maximum(others, 1)) / proxies
    )
    return by_class(ops.sum(shares, axis=1) * ops.cast(ops.shape(own)[0], own.dtype), classes, ops.shape(own)[1])


@component(tasks=["metric-learning"], references=[_KIM])
@keras.saving.register_keras_serializable(package="kplug")
class ProxyAnchorLoss(FunctionLoss, function=proxy_anchor_loss, check=check_proxy_anchor):
    """Proxy-anchor loss: each class's proxy draws in its samples and pushes away all others, the hardest most.

    The class of `kplug.proxy_anchor_loss`, which has the formula, the shapes and when to use it.

    Example:

    >>> loss = kplug.ProxyAnchorLoss(alpha=4.0)
    >>> round(float(loss([0, 1], [[0.9, 0.1], [0.2, 0.4]])), 4)
    1.4688

    In a model:

    ```python
    similarities = kplug.ProxyHead(num_classes)(encoder(images))
    model = keras.Model(images, similarities)
    model.compile("adam", loss=kplug.ProxyAnchorLoss())
    ```
    """

    def __init__(
        self,
        margin: Annotated[float, Field(ge=0)] = 0.1,
        alpha: Scale = 32.0,
        reduction: Reduction = "sum_over_batch_size",
        name: str = "proxy_anchor_loss",
        dtype: str | None = None,
    ) -> None:
        super().__init__(reduction, name, dtype, margin=margin, alpha=alpha)


def check_arcface(margin: float, scale: float) -> None:
    """Refuse an angle outside 0 to pi and a scale that is not greater than 0.

    Raises:
        ValueError: If a parameter is wrong.
    """
    if not 0 <= margin < math.pi:
        raise ValueError(f"`margin` is an angle in radians, from 0 to less than pi. Received: margin={margin}")
    if not scale > 0:
        raise ValueError(f"`scale` must be greater than 0. Received: scale={scale}")


@keras.saving.register_keras_serializable(package="kplug")
def arcface_loss(y_true: Any, y_pred: Any, margin: Angle = 0.5, scale: Scale = 64.0) -> Any:
    """ArcFace: softmax cross-entropy on cosines, with a margin on the angle to the sample's own class.

    ```
    L = log( 1 + sum over j != y of exp(scale * (cos(angle_j) - cos(angle_y + margin))) )
    ```

    (Deng et al. 2019, equation 3.) Where the angle and the margin together exceed pi, the cosine would rise again;
    there `cos(angle_y) - margin * sin(margin)` takes its place, as in the authors' own code, so that the loss always
    falls as the angle does.

    Use it for faces, products and other open-set recognition with many classes; `kplug.ProxyHead` holds the class
    centres. With a handful of classes plain cross-entropy does as well.

    Args:
        y_true: Integer labels from 0 to `num_classes - 1`, of shape `(batch_size,)` or `(batch_size, 1)`. A
            negative number costs nothing, one beyond them NaN.
        y_pred: Cosine similarities of samples and class centres, of shape `(batch_size, num_classes)`.
        margin: An angle in radians, from 0 to less than pi.
        scale: Scale of the logits, greater than 0.

    Returns:
        One value per sample in nats, of shape `(batch_size,)`.

    Raises:
        ValueError: If a parameter or a shape is wrong.

    References:
        Deng et al. (2019), ArcFace: Additive Angular Margin Loss for Deep Face Recognition,
        https://arxiv.org/abs/1801.07698

    Example:

    >>> loss = kplug.arcface_loss([0], [[1.0, 0.0]], margin=0.5, scale=1.0)
    >>> round(float(loss[0]), 4)  # log(1 + exp(-cos(0.5)))
    0.3477
    """
    check_arcface(margin, scale)
    cosines, own, classes = _similarities_and_own(y_true, y_pred, "arcface_loss")
    cosine = ops.sum(cosines * own, axis=1, keepdims=True)
    sine = ops.sqrt(ops.maximum(1 - ops.square(cosine), 1e-12))
    turned = cosine * math.cos(margin) - sine * math.sin(margin)
    beyond = ops.cast(cosine < math.cos(math.pi - margin), cosine.dtype)
    turned = (1 - beyond) * turned + beyond * (cosine - margin * math.sin(margin))
    logits = scale * (cosines + own * (turned - cosine))
    return by_class(ops.logsumexp(logits, axis=1) - ops.sum(logits * own, axis=1), classes, ops.shape(own)[1])


@component(tasks=["metric-learning"], references=[_DENG])
@keras.saving.register_keras_serializable(package="kplug")
class ArcFaceLoss(FunctionLoss, function=arcface_loss, check=check_arcface):
    """ArcFace: softmax cross-entropy on cosines, with a margin on the angle to the sample's own class.

    The class of `kplug.arcface_loss`, which has the formula, the shapes and when to use it.

    Example:

    >>> loss = kplug.ArcFaceLoss(scale=4.0)
    >>> round(float(loss([0, 1], [[0.9, 0.1], [0.2, 0.4]])), 4)
    0.782

    In a model:

    ```python
    cosines = kplug.ProxyHead(num_classes)(encoder(images))
    model = keras.Model(images, cosines)
    model.compile("adam", loss=kplug.ArcFaceLoss(margin=0.5, scale=64.0))
    ```
    """

    def __init__(
        self,
        margin: Angle = 0.5,
        scale: Scale = 64.0,
        reduction: Reduction = "sum_over_batch_size",
        name: str = "arcface_loss",
        dtype: str | None = None,
    ) -> None:
        super().__init__(reduction, name, dtype, margin=margin, scale=scale)


def _similarities_and_own(y_true: Any, y_pred: Any, loss: str) -> tuple[Any, Any, Any]:
    """Return the similarities, zeros and ones of the same shape that mark each sample's own class, and the classes."""
    similarities = in_float32(y_pred)
    labels = ops.convert_to_tensor(y_true)
    if len(similarities.shape) != 2 or tuple(labels.shape[1:]) not in {(), (1,)}:
        raise ValueError(
            f"{loss} needs integer labels of shape (batch_size,) and similarities of shape (batch_size, num_classes). "
            f"Received: y_true of shape {tuple(labels.shape)}, y_pred of shape {tuple(similarities.shape)}"
        )
    check_one_batch(labels, similarities, loss)
    labels = ops.cast(ops.reshape(labels, (-1, 1)), "int32")
    classes = ops.arange(ops.shape(similarities)[1], dtype="int32")
    return similarities, ops.cast(ops.equal(labels, classes[None, :]), similarities.dtype), labels[:, 0]
