"""What an image classifier refuses: parameters that mean nothing, what is no image, labels that are no classes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def check_images(x: np.ndarray) -> None:
    """Refuse arrays that are no images.

    Raises:
        ValueError: If the number of axes is another, there is no image, or a value is not finite.
    """
    if x.ndim not in {3, 4}:
        raise ValueError(
            "AugmentedCNN needs images of shape (n, height, width, channels) or (n, height, width). "
            f"Received: an array of shape {x.shape}"
        )
    if x.size == 0:
        raise ValueError(f"AugmentedCNN needs one image at least. Received: an array of shape {x.shape}")
    if x.dtype.kind == "f" and not np.isfinite(x.min() + x.max()):
        place = tuple(map(int, np.argwhere(~np.isfinite(x))[0]))
        raise ValueError(
            f"Images must have finite values. Received: {x[place]} in image {place[0]} at {place[1:]}. "
            "Remove or replace such values."
        )


def check_classes(y: np.ndarray, num_classes: int) -> None:
    """Refuse labels that are neither class numbers nor one-hot.

    Raises:
        ValueError: If the shape is another, or a label is no class.
    """
    if y.ndim == 2 and y.shape[1] > 1:
        if y.shape[1] != num_classes:
            raise ValueError(
                f"One-hot labels need one column for each of the {num_classes} classes. "
                f"Received: labels of shape {y.shape}"
            )
        if y.dtype.kind == "f" and not np.isfinite(y).all():
            raise ValueError(f"One-hot labels must be finite. Received: NaN or infinity in {_first(~np.isfinite(y))}")
        return
    if y.ndim > 2 or y.dtype.kind not in "iufb":
        raise ValueError(f"Labels must be class numbers or one-hot. Received: {y.dtype} of shape {y.shape}")
    flat = y.reshape(-1)
    wrong = ~((flat >= 0) & (flat < num_classes) & (flat == np.floor(flat)))
    if wrong.any():
        raise ValueError(
            f"Labels must be whole numbers from 0 to {num_classes - 1}. Received: {flat[wrong][0]} in {_first(wrong)}"
        )


def _first(wrong: np.ndarray) -> str:
    return f"sample {int(np.argwhere(wrong)[0][0])}"


def check_architecture(
    num_classes: int, architecture: str, filters: Sequence[int], blocks: int, classifier_activation: str | None
) -> None:
    """Refuse a network that cannot be built.

    Raises:
        ValueError: If a parameter is out of range.
    """
    if not (isinstance(num_classes, int) and num_classes >= 2):
        raise ValueError(f"`num_classes` must be a whole number, at least 2. Received: num_classes={num_classes}")
    if architecture not in ("residual", "plain"):
        raise ValueError(f"`architecture` must be 'residual' or 'plain'. Received: architecture={architecture!r}")
    if not filters or not all(isinstance(count, int) and count >= 1 for count in filters):
        raise ValueError(f"`filters` must be whole numbers, each at least 1. Received: filters={filters!r}")
    if not (isinstance(blocks, int) and blocks >= 1):
        raise ValueError(f"`blocks` must be a whole number, at least 1. Received: blocks={blocks!r}")
    if classifier_activation not in (None, "softmax"):
        raise ValueError(
            "`classifier_activation` must be 'softmax' or None. "
            f"Received: classifier_activation={classifier_activation!r}"
        )
