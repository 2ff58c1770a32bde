"""A person's own pictures, in a folder for each class."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import Field

from kplug.catalog.facts import component
from kplug.datasets.dataset import Dataset
from kplug.datasets.limits import Fraction, Seed, check_choice, check_counts, check_fractions, check_seed
from kplug.datasets.paths import existing_folder, visible_files, visible_folders
from kplug.datasets.splits import split_three_ways, take
from kplug.errors import DataError

_SUFFIXES = frozenset({".bmp", ".gif", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp"})
_MODES = {"rgb": ("RGB", 3), "grayscale": ("L", 1)}


@component(
    tasks=["image-classification", "image-generation"],
    provides=["input_shape", "num_classes", "class_names"],
    references=["Pillow, https://pillow.readthedocs.io"],
)
def images(
    path: str | Path,
    image_size: Annotated[int, Field(ge=1)] = 64,
    color_mode: Literal["rgb", "grayscale"] = "rgb",
    validation_fraction: Fraction = 0.1,
    test_fraction: Fraction = 0.2,
    seed: Seed = 0,
) -> Dataset:
    """Your own images from a folder that has one folder for each class; the folders' names are the classes.

    ```
    flowers/daisy/1.jpg  flowers/daisy/2.png  …
    flowers/tulip/1.jpg  …
    ```

    Images may be of any size: each is turned as its camera noted, and resized to a square (bilinear, smoothed where
    it shrinks), whatever its proportions. Transparency is dropped. Hidden files and files of other types are left
    alone. All images are held in memory.

    Args:
        path: The folder. BMP, GIF (the first frame), JPEG, PGM, PNG, PPM, TIFF and WebP are read.
        image_size: Height and width in pixels of all images.
        color_mode: `"rgb"` for three channels, `"grayscale"` for one.
        validation_fraction: Share of the images outside the test split that becomes the validation split.
        test_fraction: Share of the images that becomes the test split.
        seed: Seed of the order in which the images are split; classes are in proportion in every split.

    Returns:
        A `kplug.Dataset` with images of shape `(images, image_size, image_size, channels)`, float32 between 0 and 1,
        and classes from 0 in the order of the folders' names, int64; its info has `input_shape`, `num_classes` and
        `class_names`.

    Raises:
        ValueError: If a parameter is out of range.
        DataError: If there are fewer than two classes, a class has no image, or an image cannot be read.

    References:
        Pillow, https://pillow.readthedocs.io

    Example:

    ```python
    flowers = kplug.datasets.images("flowers", image_size=32)
    ```
    """
    check_counts(image_size=image_size)
    check_choice("color_mode", color_mode, ("rgb", "grayscale"))
    check_fractions(validation_fraction=validation_fraction, test_fraction=test_fraction)
    check_seed(seed)
    folder = existing_folder(path)
    files, y, names = _files(folder)
    # Before the images are read, which takes long.
    indices = split_three_ways(len(files), validation_fraction, test_fraction, seed, np.asarray(names)[y], str(folder))
    mode, channels = _MODES[color_mode]
    x = np.empty((len(files), image_size, image_size, channels), "float32")
    for number, file in enumerate(files):
        x[number] = _read(file, image_size, mode).reshape(x.shape[1:])
    x /= 255
    train, validation, test = take(indices, x, y)
    info = {"input_shape": x.shape[1:], "num_classes": len(names), "class_names": names}
    return Dataset(train, validation, test, info)


def _files(folder: Path) -> tuple[list[Path], np.ndarray, tuple[str, ...]]:
    """Return all images' files, their classes, and the classes' names."""
    classes = visible_folders(folder)
    if len(classes) < 2:
        found = "one folder" if classes else "no folders"
        raise DataError(f"{folder} has {found} in it; a folder of images for each of two or more classes is needed.")
    by_class = [visible_files(one, _SUFFIXES) for one in classes]
    for one, files in zip(classes, by_class, strict=True):
        if not files:
            raise DataError(
                f"{one} has no images ({', '.join(sorted(_SUFFIXES))}) directly in it. Put the images of class "
                f"{one.name!r} there, or take the folder away."
            )
    y = np.repeat(np.arange(len(classes), dtype="int64"), [len(files) for files in by_class])
    return [file for files in by_class for file in files], y, tuple(one.name for one in classes)


def _read(file: Path, size: int, mode: str) -> np.ndarray:
    """Return a square image, uint8."""
    try:
        from PIL import Image, ImageOps
    except ImportError as error:
        raise DataError("Images need the package Pillow, which is not installed: pip install pillow.") from error
    try:
        with Image.open(file) as opened:
            image = ImageOps.exif_transpose(_as_8_bit(opened, file)).convert(mode)
        return np.asarray(image.resize((size, size), Image.Resampling.BILINEAR))
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        if isinstance(error, DataError):
            raise
        raise DataError(f"{file} cannot be read as an image: {error}. Replace the file or take it away.") from error


def _as_8_bit(image: Any, file: Path) -> Any:
    """Bring 16-bit grey values to 8 bits; Pillow's own conversion cuts them off at 255."""
    from PIL import Image

    if image.mode == "F":
        raise DataError(f"{file} has floating-point pixels, of no known range. Save it with 8 or 16 bits per channel.")
    if not image.mode.startswith("I"):
        return image
    return Image.fromarray((np.asarray(image).clip(0, 65535) // 257).astype("uint8"))
