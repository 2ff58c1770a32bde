"""What is given as arrays, checked and in one form."""

from __future__ import annotations

from typing import Any

import numpy as np
from keras import ops


def checked_probabilities(probabilities: Any) -> np.ndarray:
    """Return probabilities in float64, of shape `(n, num_classes)`, or `(n,)` where they are of class 1 alone.

    Raises:
        ValueError: If they have another number of axes, or are none.
    """
    array = np.asarray(probabilities, "float64")
    if array.ndim == 2 and array.shape[1] == 1:
        array = array[:, 0]
    if array.ndim not in {1, 2} or array.size == 0:
        raise ValueError(
            "`probabilities` must be of shape (n, num_classes), or (n,) for those of class 1 alone. "
            f"Received: probabilities of shape {np.shape(probabilities)}"
        )
    if not (array.min() >= 0 and array.max() <= 1 + 1e-4):
        raise ValueError(
            "`probabilities` must be between 0 and 1: apply a softmax or a sigmoid to logits. "
            f"Received: values from {array.min():.4g} to {array.max():.4g}"
        )
    if array.ndim == 2 and not np.allclose(array.sum(axis=1), 1.0, atol=1e-2):
        row = int(np.argmax(np.abs(array.sum(axis=1) - 1)))
        raise ValueError(
            "`probabilities` of each sample must add up to 1: apply a softmax to logits. "
            f"Received: a sum of {array[row].sum():.4g} in sample {row}"
        )
    return np.asarray(np.minimum(array, 1.0))


def checked_classes(y_true: Any, probabilities: np.ndarray) -> np.ndarray:
    """Return class numbers of shape `(n,)`, for probabilities that are checked already.

    Raises:
        ValueError: If there are not as many, or one is no class.
    """
    given = np.asarray(y_true)
    several = probabilities.ndim == 2
    labels = given.argmax(axis=1) if several and given.shape == probabilities.shape else given
    labels = labels[:, 0] if labels.ndim == 2 and labels.shape[1] == 1 else labels
    if labels.shape != probabilities.shape[:1]:
        raise ValueError(
            f"`y_true` must be {len(probabilities)} class numbers, one for each sample of `probabilities`, or one-hot. "
            f"Received: y_true of shape {given.shape}"
        )
    count = probabilities.shape[1] if several else 2
    wrong = ~np.isin(labels, np.arange(count))
    if wrong.any():
        raise ValueError(
            f"`y_true` must be whole numbers from 0 to {count - 1}. Received: {labels[wrong][0]} in sample "
            f"{int(np.argmax(wrong))}"
        )
    return np.asarray(labels.astype(int))


def checked_draws(y_true: Any, draws: Any) -> tuple[np.ndarray, np.ndarray]:
    """Return targets of shape `(m,)` and draws of shape `(draws, m)`, float64, with all outputs in one row.

    Raises:
        ValueError: If the shapes do not fit, or a number is not finite.
    """
    targets, drawn = np.asarray(y_true, "float64"), np.asarray(draws, "float64")
    if drawn.ndim < 2 or targets.size == 0 or drawn[0].size != targets.size or len(drawn[0]) != len(targets):
        raise ValueError(
            "`draws` must be of shape (draws, *y_true.shape), as `predict_distribution(…, keep_draws=True).draws` is. "
            f"Received: draws of shape {drawn.shape}, y_true of shape {targets.shape}"
        )
    for name, array in (("y_true", targets), ("draws", drawn)):
        if not np.isfinite(array).all():
            raise ValueError(f"`{name}` must be finite. Received: NaN or infinity in {name}")
    return targets.reshape(-1), drawn.reshape(len(drawn), -1)


def as_array(name: str, values: Any) -> Any:
    """Return a list, a data frame or a tensor as an array, and anything else as it is.

    Args:
        name: What the values are called, for the message.
        values: What was given.

    Raises:
        ValueError: If it holds what are no numbers, or rows of different lengths.
    """
    if ops.is_tensor(values):
        return ops.convert_to_numpy(values)
    if not (isinstance(values, list) or hasattr(values, "to_numpy")):
        return values
    try:
        array = np.asarray(values)
        return array.astype("float32") if array.dtype.kind in "fO" else array
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"`{name}` must be numbers in rows of one length: encode or leave out other columns. "
            f"Received: {name}={type(values).__name__} ({error})"
        ) from error
