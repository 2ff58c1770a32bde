"""Distances between embeddings, with gradients that are finite where two embeddings meet."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

import keras
import numpy as np
from keras import ops

Distance = Literal["euclidean", "squared", "cosine"] | Callable[[Any, Any], Any]
"""`"euclidean"`, `"squared"` (Euclidean), `"cosine"` (one minus the cosine similarity), or a function of two tensors
that broadcast against each other, of shape `(..., dim)`, which returns distances of shape `(...)`."""

_NAMES = ("euclidean", "squared", "cosine")
_TINY = 1e-16
_WEISZFELD_STEPS = 2


def check_distance(distance: Distance) -> None:
    """Refuse what is no distance.

    Raises:
        ValueError: If it is neither a known name nor callable.
    """
    if not callable(distance) and distance not in _NAMES:
        raise ValueError(
            f"`distance` must be one of {', '.join(map(repr, _NAMES))}, or a function of two tensors. "
            f"Received: distance={distance!r}"
        )


def pairwise_distances(embeddings: Any, distance: Distance = "euclidean") -> Any:
    """Return the distances of all embeddings from each other.

    Args:
        embeddings: Tensor of shape `(batch_size, dim)`.
        distance: See `Distance`.

    Returns:
        Tensor of shape `(batch_size, batch_size)`, zero on the diagonal. Distances that rounding cannot tell from zero
        are zero, and have a zero gradient: those below a thousandth of the two embeddings' distance from the middle of
        the batch, where float32 has no digits left for them.
    """
    if callable(distance):
        return distance(embeddings[:, None, :], embeddings[None, :, :])
    if distance == "cosine":
        unit = unit_vectors(embeddings)
        return _off_diagonal(1 - ops.matmul(unit, ops.transpose(unit)))
    squared = _pairwise_squared(embeddings)
    return squared if distance == "squared" else _square_root(squared)


def distances_between(first: Any, second: Any, distance: Distance = "euclidean") -> Any:
    """Return the distance of each embedding from its partner.

    Args:
        first: Tensor of shape `(..., dim)`.
        second: Tensor of the same shape.
        distance: See `Distance`.

    Returns:
        Tensor of shape `(...)`.
    """
    if callable(distance):
        return distance(first, second)
    if distance == "cosine":
        return 1 - ops.sum(unit_vectors(first) * unit_vectors(second), axis=-1)
    squared = ops.sum(ops.square(first - second), axis=-1)
    return squared if distance == "squared" else _square_root(squared)


def cosine_similarities(embeddings: Any) -> Any:
    """Return the cosine similarities of all embeddings of shape `(batch_size, dim)`: `(batch_size, batch_size)`."""
    unit = unit_vectors(embeddings)
    return ops.matmul(unit, ops.transpose(unit))


def unit_vectors(vectors: Any) -> Any:
    """Scale vectors of shape `(..., dim)` to length 1; a zero vector stays zero, with a finite gradient."""
    return vectors * ops.rsqrt(ops.maximum(ops.sum(ops.square(vectors), axis=-1, keepdims=True), 1e-24))


def _pairwise_squared(embeddings: Any) -> Any:
    # Distances do not change with the origin; near it, fewer digits cancel.
    centred = embeddings - ops.stop_gradient(_middle(embeddings))
    lengths = ops.sum(ops.square(centred), axis=-1)
    both = lengths[:, None] + lengths[None, :]
    squared = both - 2 * ops.matmul(centred, ops.transpose(centred))
    rounding = 8 * np.finfo(keras.backend.standardize_dtype(squared.dtype)).eps
    return _off_diagonal(squared * ops.cast(squared > rounding * both, squared.dtype))


def _middle(points: Any) -> Any:
    """Return nearly the geometric median of points of shape `(count, dim)`, which one far outlier does not move."""
    middle = ops.mean(points, axis=0, keepdims=True)
    for _ in range(_WEISZFELD_STEPS):
        nearness = ops.rsqrt(ops.sum(ops.square(points - middle), axis=-1, keepdims=True) + _TINY)
        middle = ops.sum(points * nearness, axis=0, keepdims=True) / ops.sum(nearness, axis=0, keepdims=True)
    return middle


def _off_diagonal(matrix: Any) -> Any:
    return matrix * (1 - ops.eye(ops.shape(matrix)[0], dtype=matrix.dtype))


def _square_root(squared: Any) -> Any:
    # Where a square is zero, so is the gradient: the root's own would be infinite.
    return ops.sqrt(ops.maximum(squared, _TINY)) * ops.cast(squared > 0, squared.dtype)
