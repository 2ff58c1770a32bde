"""The well-known sets of small images, fetched through Keras when they are first used."""

from __future__ import annotations

from typing import Any

import numpy as np

from kplug.catalog.facts import component
from kplug.datasets.dataset import Dataset
from kplug.datasets.downloads import load_download
from kplug.datasets.limits import Fraction, Seed, check_fractions, check_seed
from kplug.datasets.splits import split_two_ways, take

_TASKS = ("image-classification", "image-generation")
_PROVIDES = ("input_shape", "num_classes", "class_names")
_KERAS_FILES = "https://storage.googleapis.com/tensorflow/tf-keras-datasets"
_CIFAR_FILES = "https://www.cs.toronto.edu/~kriz"
_CLOTHES = ("T-shirt/top", "trouser", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "ankle boot")
_CIFAR10 = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
_CIFAR100 = (
    "apple aquarium_fish baby bear beaver bed bee beetle bicycle bottle bowl boy bridge bus butterfly camel can castle "
    "caterpillar cattle chair chimpanzee clock cloud cockroach couch crab crocodile cup dinosaur dolphin elephant "
    "flatfish forest fox girl hamster house kangaroo keyboard lamp lawn_mower leopard lion lizard lobster man "
    "maple_tree motorcycle mountain mouse mushroom oak_tree orange orchid otter palm_tree pear pickup_truck pine_tree "
    "plain plate poppy porcupine possum rabbit raccoon ray road rocket rose sea seal shark shrew skunk skyscraper "
    "snail snake spider squirrel streetcar sunflower sweet_pepper table tank telephone television tiger tractor train "
    "trout tulip turtle wardrobe whale willow_tree wolf woman worm"
)


@component(
    tasks=_TASKS,
    provides=_PROVIDES,
    references=["LeCun et al. (1998), Gradient-Based Learning Applied to Document Recognition, doi:10.1109/5.726791"],
)
def mnist(validation_fraction: Fraction = 0.1, seed: Seed = 0) -> Dataset:
    """70,000 grey images of handwritten digits, 28 by 28 pixels; downloads 11 MB once.

    The 10,000 test images are those of the authors.

    Args:
        validation_fraction: Share of the authors' 60,000 training images that becomes the validation split.
        seed: Seed of the order in which they are split; digits are in proportion.

    Returns:
        A `kplug.Dataset` with images of shape `(images, 28, 28, 1)`, float32 between 0 and 1, and digits, int64; its
        info has `input_shape`, `num_classes` and `class_names`.

    Raises:
        ValueError: If a parameter is out of range.
        DataError: If the file is not on this machine and cannot be fetched.

    References:
        LeCun et al. (1998), Gradient-Based Learning Applied to Document Recognition, doi:10.1109/5.726791

    Example:

    ```python
    mnist = kplug.datasets.mnist()
    mnist.train[0].shape  # (54000, 28, 28, 1)
    ```
    """
    place = (f"{_KERAS_FILES}/mnist.npz", "mnist.npz")
    return _images("mnist", place, tuple("0123456789"), validation_fraction, seed)


@component(
    tasks=_TASKS,
    provides=_PROVIDES,
    references=["Xiao et al. (2017), Fashion-MNIST, https://arxiv.org/abs/1708.07747"],
)
def fashion_mnist(validation_fraction: Fraction = 0.1, seed: Seed = 0) -> Dataset:
    """70,000 grey images of clothes in ten classes, 28 by 28 pixels; downloads 30 MB once.

    The 10,000 test images are those of the authors.

    Args:
        validation_fraction: Share of the authors' 60,000 training images that becomes the validation split.
        seed: Seed of the order in which they are split; classes are in proportion.

    Returns:
        A `kplug.Dataset` with images of shape `(images, 28, 28, 1)`, float32 between 0 and 1, and classes from 0 to 9,
        int64; its info has `input_shape`, `num_classes` and `class_names`.

    Raises:
        ValueError: If a parameter is out of range.
        DataError: If the files are not on this machine and cannot be fetched.

    References:
        Xiao et al. (2017), Fashion-MNIST, https://arxiv.org/abs/1708.07747

    Example:

    ```python
    clothes = kplug.datasets.fashion_mnist()
    clothes.info["class_names"][:2]  # ("T-shirt/top", "trouser")
    ```
    """
    files = "{train,t10k}-{images-idx3,labels-idx1}-ubyte.gz"
    place = (f"{_KERAS_FILES}/{files}", f"fashion-mnist/{files}")
    return _images("fashion_mnist", place, _CLOTHES, validation_fraction, seed)


@component(
    tasks=_TASKS,
    provides=_PROVIDES,
    references=["Krizhevsky (2009), Learning Multiple Layers of Features, https://www.cs.toronto.edu/~kriz/cifar.html"],
)
def cifar10(validation_fraction: Fraction = 0.1, seed: Seed = 0) -> Dataset:
    """60,000 colour images of animals and vehicles in ten classes, 32 by 32 pixels; downloads 170 MB once.

    The 10,000 test images are those of the author.

    Args:
        validation_fraction: Share of the author's 50,000 training images that becomes the validation split.
        seed: Seed of the order in which they are split; classes are in proportion.

    Returns:
        A `kplug.Dataset` with images of shape `(images, 32, 32, 3)`, float32 between 0 and 1, and classes from 0 to 9,
        int64; its info has `input_shape`, `num_classes` and `class_names`.

    Raises:
        ValueError: If a parameter is out of range.
        DataError: If the file is not on this machine and cannot be fetched.

    References:
        Krizhevsky (2009), Learning Multiple Layers of Features, https://www.cs.toronto.edu/~kriz/cifar.html

    Example:

    ```python
    cifar10 = kplug.datasets.cifar10()
    cifar10.train[0].shape  # (45000, 32, 32, 3)
    ```
    """
    place = (f"{_CIFAR_FILES}/cifar-10-python.tar.gz", "cifar-10-batches-py-target_archive")
    return _images("cifar10", place, _CIFAR10, validation_fraction, seed)


@component(
    tasks=_TASKS,
    provides=_PROVIDES,
    references=["Krizhevsky (2009), Learning Multiple Layers of Features, https://www.cs.toronto.edu/~kriz/cifar.html"],
)
def cifar100(validation_fraction: Fraction = 0.1, seed: Seed = 0) -> Dataset:
    """60,000 colour images in a hundred classes, 32 by 32 pixels; downloads 170 MB once.

    The 10,000 test images are those of the author; the labels are the fine ones.

    Args:
        validation_fraction: Share of the author's 50,000 training images that becomes the validation split.
        seed: Seed of the order in which they are split; classes are in proportion.

    Returns:
        A `kplug.Dataset` with images of shape `(images, 32, 32, 3)`, float32 between 0 and 1, and classes from 0 to
        99, int64; its info has `input_shape`, `num_classes` and `class_names`.

    Raises:
        ValueError: If a parameter is out of range.
        DataError: If the file is not on this machine and cannot be fetched.

    References:
        Krizhevsky (2009), Learning Multiple Layers of Features, https://www.cs.toronto.edu/~kriz/cifar.html

    Example:

    ```python
    cifar100 = kplug.datasets.cifar100()
    cifar100.info["class_names"][:2]  # ("apple", "aquarium_fish")
    ```
    """
    place = (f"{_CIFAR_FILES}/cifar-100-python.tar.gz", "cifar-100-python-target_archive")
    return _images("cifar100", place, tuple(_CIFAR100.split()), validation_fraction, seed)


def _images(
    name: str, place: tuple[str, str], class_names: tuple[str, ...], validation_fraction: float, seed: int
) -> Dataset:
    check_fractions(validation_fraction=validation_fraction)
    check_seed(seed)
    import keras

    load = getattr(keras.datasets, name).load_data
    (x, y), (x_test, y_test) = load_download(name, load, *place, otherwise="digits")
    x, x_test = _between_0_and_1(x), _between_0_and_1(x_test)
    y, y_test = y.reshape(-1).astype("int64"), y_test.reshape(-1).astype("int64")
    indices = split_two_ways(len(x), validation_fraction, seed, labels=y, source=f"The data set {name}")
    train, validation = take(indices, x, y)
    info: dict[str, Any] = {
        "input_shape": x.shape[1:],
        "num_classes": len(class_names),
        "class_names": class_names,
    }
    return Dataset(train, validation, (x_test, y_test), info)


def _between_0_and_1(images: np.ndarray) -> np.ndarray:
    """Return bytes as shares of 255, channels last."""
    if images.ndim == 3:
        images = images[..., np.newaxis]
    elif images.shape[-1] != 3:  # Keras' own configuration may ask for channels first.
        images = images.transpose(0, 2, 3, 1)
    return images.astype("float32") / 255
