"""Recall@K of embeddings."""

from __future__ import annotations

from typing import Annotated, Any

import keras
import numpy as np
from keras import ops
from pydantic import Field

from kplug.catalog.facts import component
from kplug.metrics.embedding_metric import Capacity, Distance, EmbeddingMetric, put, squared_distances, weighted_share

_JEGOU = "Jegou et al. (2011), Product Quantization for Nearest Neighbor Search, IEEE TPAMI 33(1)"
_SONG = (
    "Song et al. (2016), Deep Metric Learning via Lifted Structured Feature Embedding, https://arxiv.org/abs/1511.06452"
)


@component(tasks=["metric-learning"], references=[_SONG, _JEGOU])
@keras.saving.register_keras_serializable(package="kplug")
class RecallAtK(EmbeddingMetric):
    """Recall@K: the share of samples with a sample of their own label among their K nearest neighbours.

    ```
    Recall@K = mean over queries q of [ some of the K nearest others of q has q's label ]
    ```

    (Song et al. 2016, after Jegou et al. 2011.) Each sample is a query once, and all other samples since
    the last reset are its possible neighbours, not those of its batch alone. The result is exact for up to `capacity`
    samples.

    Use it to judge an encoder that is trained for retrieval, on the whole of a test set (`model.evaluate`). It sees
    the K nearest only; `MeanAveragePrecisionAtR` judges the order of all of a label's samples. While a model trains,
    `fit` shows it on embeddings that the model of earlier steps has made: look at `val_recall_at_k`.

    - A query whose label no other sample has is left out, as in pytorch-metric-learning's calculator.
    - Of samples at the same distance, as far as rounding can tell, those of other labels count as nearer: embeddings
      that have all become one point get 0.
    - A sample whose embedding is not finite is farther from every other than any finite one, and finds none.
    - Only the first `capacity` samples since the last reset count; the others are left out. To judge a larger test
      set, make `capacity` at least its size.
    - Sample weights (`weighted_metrics` in `compile`) weight the queries; a sample of weight 0 is a neighbour still.

    An update computes `batch_size * capacity` distances, and the result is then read off in `capacity * k` steps. The
    state takes about `4 * capacity * (dim + k + 4)` bytes: 2 MiB for the default and embeddings of 128 dimensions. On
    GPUs on which TensorFlow or JAX multiply matrices in TF32, neighbours whose distances agree to three digits may
    change places.

    Args:
        k: How many nearest neighbours are looked at; at least 1, less than `capacity`.
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
        - Song et al. (2016), Deep Metric Learning via Lifted Structured Feature Embedding,
          https://arxiv.org/abs/1511.06452
        - Jegou et al. (2011), Product Quantization for Nearest Neighbor Search, IEEE TPAMI 33(1)

    Example:

    >>> metric = kplug.RecallAtK(k=1, distance="euclidean")
    >>> metric.update_state([0, 0, 1], [[0.0], [1.0], [1.5]])
    >>> metric.update_state([1], [[4.0]])
    >>> float(metric.result())  # the first and the last sample find their own label
    0.5

    ```python
    encoder.compile("adam", loss=kplug.SupervisedContrastiveLoss(), metrics=[kplug.RecallAtK(k=1)])
    encoder.evaluate(images, labels)
    ```
    """

    def __init__(
        self,
        k: Annotated[int, Field(gt=0)] = 1,
        distance: Distance = "cosine",
        capacity: Capacity = 4096,
        name: str = "recall_at_k",
        dtype: str | None = None,
    ) -> None:
        super().__init__(distance, capacity, name, dtype)
        if not 1 <= k < capacity:
            raise ValueError(
                "`k` must be at least 1, and less than `capacity`, as a sample is not its own neighbour. "
                f"Received: k={k}, capacity={capacity}"
            )
        self.k = k

    def build(self, dim: int) -> None:
        super().build(dim)
        # A query finds its label if its nearest of the same label is nearer than its k-th nearest of the other labels.
        self.same_label = self.add_rows((), name="nearest_of_same_label")
        self.other_labels = self.add_rows((self.k,), name="nearest_of_other_labels")

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        points, labels, rows = self.append(y_true, y_pred, sample_weight)
        distances = squared_distances(points, self.points.value, ops.shape(points)[0])
        held = ops.arange(self.capacity + 1, dtype="int32")
        pair = (held < self.count)[None, :] & (rows < self.capacity)[:, None] & (held[None, :] != rows[:, None])
        same = labels[:, None] == self.labels[None, :]
        to_same = ops.where(pair & same, distances, np.inf)
        to_others = ops.where(pair & ~same, distances, np.inf)
        # The new samples as neighbours of those held, then all held as neighbours of the new ones.
        self.same_label.assign(ops.minimum(self.same_label, ops.min(to_same, axis=0)))
        self.other_labels.assign(
            _smallest(ops.concatenate([self.other_labels.value, ops.transpose(to_others)], axis=1), self.k)
        )
        put(self.same_label, rows, ops.min(to_same, axis=1))
        put(self.other_labels, rows, _smallest(to_others, self.k))

    def result(self) -> Any:
        if self.points is None:
            return ops.zeros((), dtype=self.dtype)
        found = ops.cast(self.same_label < self.other_labels[:, -1], self.precise)
        query = (ops.arange(self.capacity + 1) < self.count) & ops.isfinite(self.same_label)
        return ops.cast(weighted_share(found, self.weights.value, query), self.dtype)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "k": self.k}


def _smallest(values: Any, k: int) -> Any:
    return -ops.top_k(-values, k)[0]
