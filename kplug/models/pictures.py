"""What the models' pictures share: which samples are shown, and images in rows and columns."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from matplotlib.figure import Figure


def shown_split(dataset: Any) -> tuple[Any, Any]:
    """Return `x` and `y` of the test split, or else of the first that has arrays; `None` for what there is not."""
    for split in (dataset.test, dataset.validation, dataset.train):
        if isinstance(split, tuple) and isinstance(split[0], np.ndarray):
            return split[0], split[1] if len(split) > 1 else None
    return None, None


def is_image(x: np.ndarray) -> bool:
    """Say whether samples can be shown as images: grey, with one channel, or with three or four."""
    return x.ndim == 3 or (x.ndim == 4 and x.shape[-1] in {1, 3, 4})


def tiles(images: np.ndarray, columns: int) -> np.ndarray:
    """Lay images of shape `(n, height, width[, channels])` out as one picture, with thin white lines between."""
    if images.ndim == 3:
        images = images[..., np.newaxis]
    n, height, width, channels = images.shape
    rows = math.ceil(n / columns)
    canvas = np.ones((rows * (height + 1) - 1, columns * (width + 1) - 1, channels), dtype="float32")
    for index, image in enumerate(images):
        top, left = (index // columns) * (height + 1), (index % columns) * (width + 1)
        canvas[top : top + height, left : left + width] = image
    return canvas.clip(0, 1).squeeze()


def picture(canvas: np.ndarray, title: str) -> Figure:
    """Return a figure of one image with a title."""
    height, width = canvas.shape[:2]
    side = 6.0
    figure = Figure(figsize=(side, side * height / width + 0.5), dpi=120, layout="constrained")
    axes = figure.add_subplot()
    axes.imshow(canvas, cmap="gray", vmin=0, vmax=1, interpolation="nearest")
    axes.set_title(title)
    axes.axis("off")
    return figure
