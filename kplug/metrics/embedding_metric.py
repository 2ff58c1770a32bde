"""What the metrics on embeddings share: a buffer of the samples seen, and distances whose order can be trusted."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import keras
import numpy as np
from keras import ops
from pydantic import Field

from kplug.losses.labelled import check_one_batch

Distance = Literal["cosine", "euclidean"]
Capacity = Annotated[int, Field(gt=1)]

_DISTANCES = ("cosine", "euclidean")
_FIRST = 64

FARTHEST = 1e38
"""Stands for every distance that is not a number, or larger than this: such a sample is farther than all others."""


class EmbeddingMetric(keras.Metric):
    """A metric on the embeddings and labels of all samples since the last reset, up to `capacity`.

    Samples fill the rows of a buffer in the order in which they come; the ones beyond `capacity` are left out. One more
    row takes what is left out, so that all shapes are static. A member calls `append` in `update_state`, and reads
    `points`, `labels`, `weights` and `count`; rows from `count` on hold nothing.
    """

    def __init__(self, distance: Distance, capacity: int, name: str, dtype: str | None) -> None:
        super().__init__(name=name, dtype=dtype)
        if distance not in _DISTANCES:
            raise ValueError(
                f"`distance` must be one of {', '.join(map(repr, _DISTANCES))}. Received: distance={distance!r}"
            )
        if capacity < 2:
            raise ValueError(
                f"`capacity` must be at least 2, for a sample and its neighbour. Received: capacity={capacity}"
            )
        self.distance = distance
        self.capacity = capacity
        self.count = self.add_variable((), "zeros", dtype="int32", name="count")
        self.points: Any = None

    def build(self, dim: int) -> None:
        """Make the buffer; a member with more state per sample makes it here too.

        Args:
            dim: How many coordinates a point has.
        """
        self.points = self.add_rows((dim,), name="points")
        self.labels = self.add_rows((), dtype="int32", name="labels")
        self.weights = self.add_rows((), name="weights")

    def add_rows(self, shape: tuple[int, ...], name: str, dtype: str | None = None) -> Any:
        """Add a variable with one row of the given shape per sample, and one for what is left out."""
        return self.add_variable((self.capacity + 1, *shape), "zeros", dtype=dtype or self.precise, name=name)

    @property
    def precise(self) -> str:
        """The dtype of the computations: the metric's own, at least float32."""
        return keras.backend.result_type(self.dtype, "float32")

    def append(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> tuple[Any, Any, Any]:
        """Put a batch into the buffer.

        Args:
            y_true: Integer labels of shape `(batch_size,)` or `(batch_size, 1)`.
            y_pred: Embeddings of shape `(batch_size, dim)`.
            sample_weight: Weights of shape `(batch_size,)` or `(batch_size, 1)`, one number, or `None`.

        Returns:
            The batch's points of shape `(batch_size, coordinates)`, its labels, and the rows they were put into, both
            of shape `(batch_size,)`.

        Raises:
            ValueError: If the shapes do not fit.
        """
        labels, embeddings = ops.convert_to_tensor(y_true), ops.cast(ops.convert_to_tensor(y_pred), self.precise)
        if len(embeddings.shape) != 2 or tuple(labels.shape[1:]) not in {(), (1,)}:
            raise ValueError(
                f"{type(self).__name__} needs integer labels of shape (batch_size,) and embeddings of shape "
                f"(batch_size, dim). Received: y_true of shape {tuple(labels.shape)}, "
                f"y_pred of shape {tuple(embeddings.shape)}"
            )
        check_one_batch(labels, embeddings, type(self).__name__)
        points = _on_the_sphere(embeddings) if self.distance == "cosine" else embeddings
        if self.points is None:
            self.build(points.shape[-1])
        if points.shape[-1] != self.points.shape[-1]:
            before = embeddings.shape[-1] + self.points.shape[-1] - points.shape[-1]
            raise ValueError(
                f"{type(self).__name__} holds embeddings of {before} dimensions; make a new metric for others. "
                f"Received: y_pred of shape {tuple(embeddings.shape)}"
            )
        labels = ops.reshape(ops.cast(labels, "int32"), (-1,))
        batch_size = ops.shape(points)[0]
        weights = ops.ones((batch_size,), dtype=self.precise)
        if sample_weight is not None:
            weights *= ops.reshape(ops.cast(ops.convert_to_tensor(sample_weight), self.precise), (-1,))
        rows = ops.clip(self.count + ops.arange(batch_size, dtype="int32"), 0, self.capacity)
        put(self.points, rows, points)
        put(self.labels, rows, labels)
        put(self.weights, rows, weights)
        self.count.assign(ops.clip(self.count + batch_size, 0, self.capacity))
        return points, labels, rows

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "distance": self.distance, "capacity": self.capacity}


def put(variable: Any, rows: Any, values: Any) -> None:
    """Overwrite the given rows of a variable."""
    variable.assign(ops.scatter_update(variable.value, rows[:, None], values))


def squared_distances(points: Any, others: Any, count: Any) -> Any:
    """Return the squared Euclidean distances of points from others; what rounding cannot tell from zero is zero.

    Args:
        points: Tensor of shape `(num_points, coordinates)`.
        others: Tensor of shape `(num_others, coordinates)`.
        count: How many rows of `points` hold something.

    Returns:
        Tensor of shape `(num_points, num_others)`, between 0 and `FARTHEST`.
    """
    # Distances do not change with the origin; near it, fewer digits cancel.
    origin = _middle(points[:_FIRST], ops.clip(ops.convert_to_tensor(count, dtype="int32"), 0, _FIRST))
    points, others = points - origin, others - origin
    both = ops.sum(ops.square(points), axis=1)[:, None] + ops.sum(ops.square(others), axis=1)[None, :]
    squared = both - 2 * ops.matmul(points, ops.transpose(others))
    rounding = 8 * np.finfo(keras.backend.standardize_dtype(squared.dtype)).eps
    # Written so that NaN, with which no comparison holds, ends farthest.
    near = ops.where(squared < FARTHEST, squared, FARTHEST)
    return ops.where(squared <= rounding * both, ops.where(both < FARTHEST, 0, FARTHEST), near)


def _middle(points: Any, count: Any) -> Any:
    """Return the medians of the coordinates, which one point far away does not move."""
    held = (ops.arange(ops.shape(points)[0]) < count)[:, None] & ops.isfinite(points)
    middle = ops.take(ops.sort(ops.where(held, points, np.inf), axis=0), count // 2, axis=0)
    return ops.where(ops.isfinite(middle), middle, 0)


def weighted_share(values: Any, weights: Any, counted: Any) -> Any:
    """Return the weighted mean of the values that count, or 0 if none does."""
    weights = ops.where(counted, weights, 0)
    total = ops.sum(weights)
    return ops.sum(ops.where(counted, values, 0) * weights) / ops.where(total > 0, total, 1)


def _on_the_sphere(embeddings: Any) -> Any:
    # Among vectors of length 1, Euclidean distances are in the order of cosine distances. A zero vector, which has no
    # direction, gets a coordinate of its own: it is orthogonal to all others, as its cosine similarity of 0 says.
    largest = ops.max(ops.abs(embeddings), axis=1, keepdims=True)
    zero = ops.cast(largest == 0, embeddings.dtype)
    scaled = ops.concatenate([embeddings / (largest + zero), zero], axis=1)
    return scaled / ops.sqrt(ops.sum(ops.square(scaled), axis=1, keepdims=True))
