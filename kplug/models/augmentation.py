"""Image augmentation as one Keras layer, for use inside a model or alone."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import keras
from keras import layers
from pydantic import Field

from kplug.layers.random_affine import RandomAffine
from kplug.layers.seeded import derived_seeds

Share = Annotated[float, Field(ge=0, lt=1)]
Flip = Literal["none", "horizontal", "vertical", "both"]


def augmentation(
    rotation: Annotated[float, Field(ge=0, le=180)] = 10.0,
    zoom: Share = 0.1,
    translation: Share = 0.1,
    flip: Flip = "none",
    contrast: Share = 0.0,
    brightness: Share = 0.0,
    noise: Annotated[float, Field(ge=0)] = 0.0,
    erasing: Share = 0.0,
    value_range: tuple[float, float] = (0.0, 1.0),
    seed: int | None = None,
    dtype: Any = None,
) -> keras.Sequential:
    """Build augmentation for images: a model of layers that change images in training and leave them alone otherwise.

    The defaults keep the label of nearly every image: small turns, changes of size and shifts. What may change a label
    is off until it is asked for: flips (a mirrored digit is none, a mirrored cat is a cat), colours, erased patches.

    Args:
        rotation: Largest turn either way, in degrees.
        zoom: Largest relative change of size either way.
        translation: Largest shift either way, as a share of the image's side.
        flip: `"none"`, `"horizontal"`, `"vertical"` or `"both"`.
        contrast: Largest relative change of contrast.
        brightness: Largest change of brightness, as a share of `value_range`.
        noise: Standard deviation of Gaussian noise, in the images' unit.
        erasing: Share of the image that a random patch of zeros covers at most.
        value_range: Least and greatest value of the images.
        seed: Whole number that makes the draws repeat, or `None`.
        dtype: Dtype or dtype policy of the layers; Keras' global one by default.

    Returns:
        A `keras.Sequential` from images of shape `(batch_size, height, width, channels)` to the same shape.

    Raises:
        ValueError: If a parameter is out of range.

    Example:

    ```python
    augment = kplug.augmentation(flip="horizontal", brightness=0.2)
    seen = augment(images, training=True)
    ```
    """
    check_augmentation(flip, contrast=contrast, brightness=brightness, erasing=erasing, noise=noise)
    seeds = derived_seeds(seed, 6)
    chosen: list[keras.Layer] = []
    if rotation or zoom or translation:
        chosen.append(RandomAffine(rotation, zoom, translation, seed=seeds[0], dtype=dtype))
    if flip != "none":
        mode = "horizontal_and_vertical" if flip == "both" else flip
        chosen.append(layers.RandomFlip(mode, seed=seeds[1], dtype=dtype))
    if contrast:
        chosen.append(layers.RandomContrast(contrast, value_range=value_range, seed=seeds[2], dtype=dtype))
    if brightness:
        chosen.append(layers.RandomBrightness(brightness, value_range=value_range, seed=seeds[3], dtype=dtype))
    if erasing:
        chosen.append(
            layers.RandomErasing(
                factor=1.0,
                scale=(erasing / 4, erasing),
                fill_value=0.0,
                value_range=value_range,
                seed=seeds[4],
                dtype=dtype,
            )
        )
    if noise:
        chosen.append(layers.GaussianNoise(noise, seed=seeds[5], dtype=dtype))
    return keras.Sequential(chosen or [layers.Identity(dtype=dtype)], name="augmentation")


def check_augmentation(flip: str, noise: float, **shares: float) -> None:
    """Refuse amounts that mean nothing; `RandomAffine` checks its own.

    Raises:
        ValueError: If one does.
    """
    if flip not in ("none", "horizontal", "vertical", "both"):
        raise ValueError(f"`flip` must be 'none', 'horizontal', 'vertical' or 'both'. Received: flip={flip!r}")
    if not noise >= 0:
        raise ValueError(f"`noise` must be at least 0. Received: noise={noise}")
    for name, share in shares.items():
        if not 0 <= share < 1:
            raise ValueError(f"`{name}` must be at least 0 and less than 1. Received: {name}={share}")
