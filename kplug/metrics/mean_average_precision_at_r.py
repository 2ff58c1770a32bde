"""Mean average precision at R of embeddings."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
from keras import ops

from kplug.catalog.facts import component
from kplug.metrics.embedding_metric import Capacity, Distance, EmbeddingMetric, squared_distances, weighted_share

_MUSGRAVE = "Musgrave et al. (2020), A Metric Learning Reality Check, https://arxiv.org/abs/2003.08505"
_SMALLEST_SIZE = 256


@component(tasks=["metric-learning"], references=[_MUSGRAVE])
@keras.saving.register_keras_serializable(package="kplug")
class MeanAveragePrecisionAtR(EmbeddingMetric):
    """MAP@R: how high the samples of a query's own label stand among its R nearest, where R of them exist.

    ```
    MAP@R(q) = 1/R * sum over i = 1..R of P(i),
    P(i) = precision of the i nearest others of q if the i-th has q's label, else 0
    ```

    with R the number of other samples that have q's label (Musgrave et al. 2020); the result is the mean
    over the queries. Each sample is a query once, and all other samples since the last reset are its neighbours. The
    result is exact for up to `capacity` samples.

    Use it to compare encoders: it tells apart embeddings whose Recall@1 is equally near 1. While a model trains, `fit`
    shows it on embeddings that the model of earlier steps has made: look at `val_mean_average_precision_at_r`.

    - A query whose label no other sample has is left out, as in pytorch-metric-learning's calculator.
    - Of samples at the same distance, as far as rounding can tell, those of other labels count as nearer.
    - A sample whose embedding is not finite is farther from every other than any finite one.
    - Only the first `capacity` samples since the last reset count; the others are left out. To judge a larger test
      set, make `capacity` at least its size.
    - Sample weights (`weighted_metrics` in `compile`) weight the queries; a sample of weight 0 is a neighbour still.

    An update only stores its batch. The result sorts all distances of the n samples so far, in O(n^2 log n) time and
    about `24 * n^2` bytes: some tenths of a second and 100 MB for 2048 samples on two cores. Keras asks for it at every
    step, so evaluate in large batches, and leave it out of the metrics of `fit` where that is too slow. On GPUs on
    which TensorFlow or JAX multiply matrices in TF32, neighbours whose distances agree to three digits may change
    places.

    Args:
        distance: `"cosine"` or `"euclidean"`: by which distance neighbours are near. A zero vector has a cosine
            similarity of 0 with every other vector.
        capacity: How many samples count at most; at least 2.
        name: The metric's name.
        dtype: The dtype of the state; computed in float32 at least. Keras' `floatx` by default.

    Call arguments:
        y_true: Integer labels, between -2^31 and 2^31 - 1, of shape `(batch_size,)` or `(batch_size, 1)`.
        y_pred: Embeddings of shape `(batch_size, dim)`.
        sample_weight: Weights of the queries, of shape `(batch_size,)` or `(batch_size, 1)`, or `None`.

    Returns:
        A scalar between 0 and 1; 0 if there is no query.

    Raises:
        ValueError: If a parameter or the shapes are wrong.

    References:
        Musgrave et al. (2020), A Metric Learning Reality Check, https://arxiv.org/abs/2003.08505

    Example:

    >>> metric = kplug.MeanAveragePrecisionAtR(distance="euclidean")
    >>> metric.update_state([0, 1, 0, 0], [[0.0], [1.0], [3.0], [4.0]])
    >>> round(float(metric.result()), 4)  # (1/2 * 1/2 + (1 + 0) / 2 + (1 + 0) / 2) / 3
    0.4167

    ```python
    encoder.compile(metrics=[kplug.MeanAveragePrecisionAtR(capacity=len(labels))])
    encoder.evaluate(images, labels, batch_size=1024)
    ```
    """

    def __init__(
        self,
        distance: Distance = "cosine",
        capacity: Capacity = 2048,
        name: str = "mean_average_precision_at_r",
        dtype: str | None = None,
    ) -> None:
        super().__init__(distance, capacity, name, dtype)
        # Shapes are static, so a cost that follows the count needs one computation per size.
        sizes = [capacity]
        while sizes[0] > _SMALLEST_SIZE:
            sizes.insert(0, (sizes[0] + 1) // 2)
        self._sizes = tuple(sizes)
        self._means = tuple(_mean_of_first(size) for size in sizes)

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        self.append(y_true, y_pred, sample_weight)

    def result(self) -> Any:
        if self.points is None:
            return ops.zeros((), dtype=self.dtype)
        fitting = ops.sum(ops.cast(self.count > ops.convert_to_tensor(self._sizes, dtype="int32"), "int32"))
        state = (self.points.value, self.labels.value, self.weights.value, self.count.value)
        return ops.cast(ops.switch(fitting, self._means, *state), self.dtype)


@functools.cache
def _mean_of_first(size: int) -> Callable[..., Any]:
    # One function per size for all metrics, which JAX compiles once.
    return functools.partial(_mean, size)


def _mean(size: int, points: Any, labels: Any, weights: Any, count: Any) -> Any:
    points, labels, weights = points[:size], labels[:size], weights[:size]
    row = ops.arange(size, dtype="int32")
    pair = (row < count)[:, None] & (row < count)[None, :] & (row[:, None] != row[None, :])
    match = pair & (labels[:, None] == labels[None, :])
    distances = squared_distances(points, points, count)
    precision = np.finfo(keras.backend.standardize_dtype(distances.dtype))
    # One unit in the last place puts a match behind the others that are as far.
    distances = ops.where(match, distances * (1 + precision.eps) + precision.tiny, distances)
    order = ops.argsort(ops.where(pair, distances, np.inf), axis=1)
    found = ops.cast(ops.take_along_axis(match, order, axis=1), distances.dtype)
    rank = ops.arange(1, size + 1, dtype=distances.dtype)
    matches = ops.sum(ops.cast(match, distances.dtype), axis=1)
    precisions = found * ops.cumsum(found, axis=1) / rank
    within = ops.cast(rank[None, :] <= matches[:, None], distances.dtype)
    average = ops.sum(precisions * within, axis=1) / ops.maximum(matches, 1)
    return weighted_share(average, weights, matches > 0)
