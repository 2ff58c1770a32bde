"""`images`: sizes, colours, classes, and what is said of folders that cannot be used."""

from __future__ import annotations

import sys

import numpy as np
import pytest
from PIL import Image

from kplug.datasets import images
from kplug.errors import DataError

RED, GREEN, BLUE, WHITE = (255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255)


@pytest.fixture
def folder(tmp_path):
    """Ten red images of ants, ten green ones of bees, of different sizes and types."""
    for name, colour in (("bee", GREEN), ("ant", RED)):
        for number in range(10):
            save(tmp_path / name / f"{number}.{('png', 'bmp', 'TIFF')[number % 3]}", colour, (4 + number, 9))
    return tmp_path


def save(file, colour, size=(6, 6), mode="RGB", **options):
    file.parent.mkdir(parents=True, exist_ok=True)
    Image.new(mode, size, colour).save(file, **options)


def everything(data):
    splits = (data.train, data.validation, data.test)
    return tuple(np.concatenate([split[part] for split in splits]) for part in (0, 1))


def test_shapes_classes_and_colours(folder):
    data = images(folder, image_size=8)
    assert data.info == {"input_shape": (8, 8, 3), "num_classes": 2, "class_names": ("ant", "bee")}
    assert [len(split[0]) for split in (data.train, data.validation, data.test)] == [14, 2, 4]
    x, y = everything(data)
    assert (x.dtype, y.dtype) == (np.float32, np.int64)
    np.testing.assert_array_equal(np.bincount(y), [10, 10])
    for image, label in zip(x, y, strict=True):
        np.testing.assert_array_equal(image, np.broadcast_to(np.eye(3)[label], (8, 8, 3)))
    np.testing.assert_array_equal(np.bincount(data.test[1]), [2, 2])


def test_grey(folder):
    x, y = everything(images(folder, image_size=4, color_mode="grayscale"))
    assert x.shape == (20, 4, 4, 1)
    # ITU-R 601: 0.299 red + 0.587 green + 0.114 blue.
    np.testing.assert_allclose(x[y == 0], 0.299, atol=1 / 255)
    np.testing.assert_allclose(x[y == 1], 0.587, atol=1 / 255)


def test_the_default_size(folder):
    assert images(folder).info["input_shape"] == (64, 64, 3)


def test_shrinking_takes_means(tmp_path):
    board = np.indices((64, 64)).sum(axis=0) % 2 * 255
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        for number in range(3):
            Image.fromarray(board.astype("uint8")).save(tmp_path / name / f"{number}.png")
    x, _ = everything(images(tmp_path, image_size=8, color_mode="grayscale"))
    np.testing.assert_allclose(x, 0.5, atol=0.01)


@pytest.mark.parametrize(
    ("mode", "colour", "expected"),
    [
        ("L", 51, (0.2, 0.2, 0.2)),
        ("1", 1, (1, 1, 1)),
        ("RGBA", (255, 0, 51, 0), (1, 0, 0.2)),
        ("CMYK", (0, 255, 255, 0), (1, 0, 0)),
        ("I;16", 257 * 51, (0.2, 0.2, 0.2)),
        ("P", 0, (0, 0, 0)),
    ],
)
def test_every_kind_of_pixel(folder, mode, colour, expected):
    save(folder / "cat" / "only.tif", colour, mode=mode)
    data = images(folder, image_size=2)
    x, y = everything(data)
    np.testing.assert_allclose(
        x[y == data.info["class_names"].index("cat")][0], np.full((2, 2, 3), expected), atol=1e-6
    )


def test_images_are_turned_as_the_camera_noted(tmp_path):
    picture = np.zeros((4, 4, 3), "uint8")
    picture[:2] = 255  # white above
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        for number in range(3):
            exif = Image.Exif()
            exif[0x0112] = 3  # upside down
            Image.fromarray(picture).save(tmp_path / name / f"{number}.png", exif=exif)
    x, _ = everything(images(tmp_path, image_size=4))
    np.testing.assert_array_equal(x[0], picture[::-1] / 255)


def test_hidden_files_and_files_of_other_types_are_left_alone(folder):
    (folder / "readme.txt").write_text("ants and bees")
    (folder / "ant" / "labels.csv").write_text("1,2")
    (folder / "ant" / ".hidden.png").write_bytes(b"")
    (folder / ".cache").mkdir()
    assert len(everything(images(folder, image_size=2))[0]) == 20


def test_one_seed_gives_one_order_and_another_another(folder):
    first, again, other = (images(folder, image_size=2, seed=seed).train[1] for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)


def test_no_classes_or_one(tmp_path):
    with pytest.raises(DataError, match="has no folders in it; a folder of images for each of two"):
        images(tmp_path)
    save(tmp_path / "ant" / "1.png", RED)
    with pytest.raises(DataError, match="has one folder in it"):
        images(tmp_path)


def test_a_class_without_images_is_named(folder):
    (folder / "cat").mkdir()
    with pytest.raises(DataError, match=r"cat has no images \(\.bmp, .*of class 'cat' there, or take the folder away"):
        images(folder)


def test_a_class_with_too_few_images_is_named_before_any_is_read(folder):
    (folder / "cat").mkdir()
    (folder / "cat" / "1.png").write_bytes(b"broken")
    with pytest.raises(DataError, match="too few samples of class cat: 1"):
        images(folder, test_fraction=0.7)


@pytest.mark.parametrize("content", [b"", b"no image", b"\x89PNG\r\n\x1a\n" + bytes(20)])
def test_a_file_that_is_no_image_is_named(folder, content):
    (folder / "bee" / "broken.png").write_bytes(content)
    with pytest.raises(DataError, match=r"broken\.png cannot be read as an image: .*Replace the file or take it away"):
        images(folder)


def test_a_truncated_image_is_named(folder):
    file = folder / "bee" / "half.bmp"
    save(file, WHITE, size=(50, 50))
    file.write_bytes(file.read_bytes()[:200])
    with pytest.raises(DataError, match=r"half\.bmp cannot be read as an image: .*truncated"):
        images(folder)


def test_floating_point_pixels_are_refused(folder):
    save(folder / "bee" / "depth.tiff", 0.5, mode="F")
    with pytest.raises(DataError, match=r"depth\.tiff has floating-point pixels"):
        images(folder)


def test_missing_folders_and_files(tmp_path):
    with pytest.raises(DataError, match=r"There is no .*flowers"):
        images(tmp_path / "flowers")
    (tmp_path / "flowers").write_text("")
    with pytest.raises(DataError, match="is a file; a folder is needed"):
        images(tmp_path / "flowers")


def test_without_pillow_it_is_named(folder, monkeypatch):
    monkeypatch.setitem(sys.modules, "PIL", None)
    with pytest.raises(DataError, match="pip install pillow"):
        images(folder)


@pytest.mark.parametrize(
    ("parameter", "value"),
    [("image_size", 0), ("color_mode", "blue"), ("validation_fraction", 0), ("test_fraction", 1), ("seed", -1)],
)
def test_parameters_out_of_range(folder, parameter, value):
    with pytest.raises(ValueError, match=f"`{parameter}`.*{value}"):
        images(folder, **{parameter: value})
