"""Similarities to learned class centres."""

from __future__ import annotations

from typing import Annotated, Any

import keras
from keras import ops
from pydantic import Field

from kplug.catalog.facts import component
from kplug.layers.precision import precise_dtype

PositiveInt = Annotated[int, Field(gt=0)]
_KIM = "Kim et al. (2020), Proxy Anchor Loss for Deep Metric Learning, https://arxiv.org/abs/2003.13911"
_DENG = "Deng et al. (2020), Sub-center ArcFace, ECCV"
_TINY = 1e-24


@component(tasks=["metric-learning", "image-classification"], references=[_KIM, _DENG])
@keras.saving.register_keras_serializable(package="kplug")
class ProxyHead(keras.layers.Layer):
    """Cosine similarities between embeddings and one learned proxy per class: the head for proxy losses.

    ```
    s_c = max over the class's centers k of x . w_ck / (|x| |w_ck|)
    ```

    With several centers per class, a noisy or varied class may have more than one place (Deng et al. 2020). An
    embedding of zeros has the similarity 0 to every class, and no gradient. Under mixed precision the similarities are
    computed in float32 and returned in the compute dtype; as the last layer it is better given `dtype="float32"`, since
    near 1 float16 tells angles less than two degrees apart no more.

    Use it as the last layer under `kplug.ProxyAnchorLoss` or `kplug.ArcFaceLoss`; after training the layer before it
    gives the embeddings.

    Args:
        num_classes: Number of classes.
        centers_per_class: Number of proxies of each class.
        initializer: How the proxies begin; the default spreads them evenly in direction.
        **kwargs: Keras' own layer arguments (`name`, `dtype`, …).

    Call arguments:
        inputs: Embeddings of shape `(batch_size, ..., dim)`, of any length.

    Returns:
        Similarities between -1 and 1, of shape `(batch_size, ..., num_classes)`.

    Raises:
        ValueError: If a number is less than 1.

    References:
        Kim et al. (2020), Proxy Anchor Loss for Deep Metric Learning, https://arxiv.org/abs/2003.13911
        Deng et al. (2020), Sub-center ArcFace, ECCV

    Example:

    >>> similarities = kplug.ProxyHead(num_classes=3)(np.ones((2, 5), "float32"))
    >>> tuple(similarities.shape)
    (2, 3)
    """

    def __init__(
        self,
        num_classes: PositiveInt,
        centers_per_class: PositiveInt = 1,
        initializer: Any = "he_normal",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        for name, value in (("num_classes", num_classes), ("centers_per_class", centers_per_class)):
            if value < 1:
                raise ValueError(f"`{name}` must be at least 1. Received: {name}={value}")
        self.num_classes = num_classes
        self.centers_per_class = centers_per_class
        self.initializer = keras.initializers.get(initializer)
        self.supports_masking = True

    def build(self, input_shape: Any) -> None:
        self.proxies = self.add_weight(
            shape=(input_shape[-1], self.num_classes * self.centers_per_class),
            initializer=self.initializer,
            autocast=False,
            name="proxies",
        )

    def call(self, inputs: Any) -> Any:
        dtype = precise_dtype(self)
        similarities = ops.matmul(_unit(ops.cast(inputs, dtype), -1), _unit(ops.cast(self.proxies, dtype), 0))
        if self.centers_per_class > 1:
            shape = (*ops.shape(similarities)[:-1], self.num_classes, self.centers_per_class)
            similarities = ops.max(ops.reshape(similarities, shape), axis=-1)
        return ops.cast(similarities, self.compute_dtype)

    def compute_output_shape(self, input_shape: Any) -> Any:
        return (*input_shape[:-1], self.num_classes)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "num_classes": self.num_classes,
            "centers_per_class": self.centers_per_class,
            "initializer": keras.initializers.serialize(self.initializer),
        }


def _unit(vectors: Any, axis: int) -> Any:
    # The gradient grows with 1 / length; a vector of no length stays zero and has none.
    squared = ops.sum(ops.square(vectors), axis=axis, keepdims=True)
    directed = ops.cast(squared > _TINY, vectors.dtype)
    return vectors * directed * ops.rsqrt(ops.maximum(squared, _TINY))
