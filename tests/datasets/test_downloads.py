"""`mnist` and the others that Keras fetches: with Keras' loaders replaced, and without a network."""

from __future__ import annotations

import importlib
import urllib.error

import keras
import numpy as np
import pytest

from kplug import datasets
from kplug.errors import DataError

IMAGES = {"mnist": 10, "fashion_mnist": 10, "cifar10": 10, "cifar100": 100}
TEXTS = {"imdb": 2, "reuters": 46}


def fake_images(name, channels_first=False):
    """Image i has the value i % 256 everywhere, and the label i modulo the number of classes."""
    classes = IMAGES[name]

    def part(size):
        number = np.arange(size)
        shape = (28, 28) if "mnist" in name else (3, 32, 32) if channels_first else (32, 32, 3)
        x = np.broadcast_to(number.astype("uint8").reshape(-1, *[1] * len(shape)), (size, *shape)).copy()
        y = (number % classes).astype("uint8")
        return x, y if "mnist" in name else y[:, np.newaxis]

    return lambda: (part(2 * classes * 5), part(classes))


@pytest.fixture
def replace(monkeypatch):
    def replace(name, loader):
        monkeypatch.setattr(getattr(keras.datasets, name), "load_data", loader)

    return replace


@pytest.mark.parametrize(("name", "classes"), IMAGES.items())
def test_images(replace, name, classes):
    replace(name, fake_images(name))
    data = getattr(datasets, name)()
    shape = (28, 28, 1) if "mnist" in name else (32, 32, 3)
    assert data.info["input_shape"] == shape
    assert data.info["num_classes"] == len(set(data.info["class_names"])) == classes
    assert [len(split[0]) for split in (data.train, data.validation, data.test)] == [9 * classes, classes, classes]
    np.testing.assert_array_equal(np.bincount(data.validation[1]), np.ones(classes))
    for x, y in (data.train, data.validation, data.test):
        assert (x.shape, x.dtype) == ((len(y), *shape), np.float32)
        assert (y.shape, y.dtype) == ((len(x),), np.int64)
    # The test split is the source's own, in its order.
    np.testing.assert_array_equal(data.test[1], np.arange(classes))
    np.testing.assert_allclose(data.test[0][:, 0, 0, 0], np.arange(classes) / 255, rtol=1e-6)
    values = np.concatenate([data.train[0], data.validation[0]])[:, 0, 0, 0] * 255
    np.testing.assert_allclose(np.sort(values), np.sort(np.arange(10 * classes) % 256), atol=1e-4)


def test_channels_come_last_whatever_keras_is_set_to(replace):
    replace("cifar10", fake_images("cifar10", channels_first=True))
    assert datasets.cifar10().train[0].shape == (90, 32, 32, 3)


def fake_texts(classes):
    def load(num_words):
        def part(size):
            x = np.empty(size, dtype=object)
            x[:] = [[1, *range(3, 3 + number % 7)] for number in range(size)]
            assert all(max(sequence) < num_words for sequence in x)
            return x, np.arange(size) % classes

        return part(10 * classes), part(classes)

    return load


@pytest.mark.parametrize(("name", "classes"), TEXTS.items())
def test_texts(replace, name, classes):
    replace(name, fake_texts(classes))
    data = getattr(datasets, name)(vocabulary_size=50, sequence_length=4)
    assert {key: value for key, value in data.info.items() if key != "class_names"} == {
        "input_shape": (4,),
        "sequence_length": 4,
        "vocabulary_size": 50,
        "num_classes": classes,
    }
    assert len(data.info["class_names"]) == classes
    assert [len(split[0]) for split in (data.train, data.validation, data.test)] == [9 * classes, classes, classes]
    assert (data.train[0].dtype, data.train[1].dtype) == (np.int32, np.int64)
    # The first test text is [1], the second [1, 3].
    np.testing.assert_array_equal(data.test[0][:2], [[0, 0, 0, 1], [0, 0, 1, 3]])


def test_of_long_texts_the_end_is_kept(replace):
    replace("reuters", fake_texts(46))
    # Text 6 is [1, 3, 4, 5, 6, 7, 8].
    np.testing.assert_array_equal(datasets.reuters(sequence_length=3).test[0][6], [6, 7, 8])


@pytest.mark.parametrize("name", TEXTS)
def test_words_are_numbered_from_4(monkeypatch, tmp_path, name):
    # Keras' own loader, on a file as its host has it: a word is its rank by frequency, from 1.
    sequences = np.empty(20, dtype=object)
    sequences[:] = [[1, 2, 3]] * 20
    parts = (sequences, np.arange(20) % 2)
    arrays = dict(zip(("x", "y") if name == "reuters" else ("x_train", "y_train"), parts, strict=True))
    if name == "imdb":
        arrays |= {"x_test": parts[0], "y_test": parts[1]}
    np.savez(tmp_path / "words.npz", **arrays)
    module = importlib.import_module(f"keras.src.datasets.{name}")
    monkeypatch.setattr(module, "get_file", lambda **_: str(tmp_path / "words.npz"))
    # Padding, start, the two most frequent words, and a word beyond the vocabulary.
    expected = [0, 1, 4, 5, 2]
    np.testing.assert_array_equal(getattr(datasets, name)(vocabulary_size=6, sequence_length=5).train[0][0], expected)
    with pytest.raises(ValueError, match="`vocabulary_size` must be a whole number, at least 5"):
        getattr(datasets, name)(vocabulary_size=4)


@pytest.mark.parametrize("name", [*IMAGES, *TEXTS])
def test_one_seed_gives_one_order_and_another_another(replace, name):
    replace(name, fake_images(name) if name in IMAGES else fake_texts(TEXTS[name]))
    load = getattr(datasets, name)
    np.testing.assert_array_equal(load(seed=1).train[1], load(seed=1).train[1])
    assert not np.array_equal(load(seed=1).train[1], load(seed=2).train[1])
    assert load(seed=1).test[1].tolist() == load(seed=2).test[1].tolist()


def failing(error):
    def load(**_):
        raise error

    return load


HOSTS = {
    "mnist": "storage.googleapis.com",
    "fashion_mnist": "storage.googleapis.com",
    "cifar10": "www.cs.toronto.edu",
    "cifar100": "www.cs.toronto.edu",
    "imdb": "storage.googleapis.com",
    "reuters": "storage.googleapis.com",
}
PLACES = {
    "mnist": "mnist.npz",
    "fashion_mnist": "fashion-mnist",
    "cifar10": "cifar-10-batches-py-target_archive",
    "cifar100": "cifar-100-python-target_archive",
    "imdb": "imdb.npz",
    "reuters": "reuters.npz",
}


@pytest.mark.parametrize("name", HOSTS)
@pytest.mark.parametrize(
    "error",
    [
        Exception("URL fetch failure on https://host/file: None -- [Errno -2] Name or service not known"),
        urllib.error.URLError("Name or service not known"),
        ConnectionResetError("Connection reset by peer"),
        TimeoutError("timed out"),
    ],
)
def test_without_a_network_the_host_and_the_remedy_are_named(replace, monkeypatch, tmp_path, name, error):
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    replace(name, failing(error))
    with pytest.raises(DataError) as caught:
        getattr(datasets, name)()
    message = str(caught.value)
    assert f"The data set {name} is not on this machine, and its host {HOSTS[name]} cannot be reached: " in message
    assert str(error) in message
    assert f"save it here as {tmp_path / 'datasets' / PLACES[name]}" in message
    assert "needs no download, such as " + ("digits" if name in IMAGES else "python_docs") in message
    assert caught.value.__cause__ is error


def test_the_place_is_where_keras_looks(monkeypatch, tmp_path):
    # Keras' own loader, with a fetch that fails: what it would write is where the message says.
    from keras.src.utils import file_utils

    written = []

    def fetch(origin, target, progress):
        written.append(target)
        raise urllib.error.URLError("no network in tests")

    monkeypatch.setattr(file_utils, "urlretrieve", fetch)
    monkeypatch.setattr(file_utils.config, "keras_home", lambda: str(tmp_path))
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    for name in ("mnist", "cifar10", "cifar100", "imdb", "reuters"):
        with pytest.raises(DataError, match="cannot be reached: URL fetch failure on https://") as caught:
            getattr(datasets, name)()
        assert f"save it here as {written[-1]};" in str(caught.value)
    with pytest.raises(DataError, match="cannot be reached"):
        datasets.fashion_mnist()
    assert written[-1] == str(tmp_path / "datasets" / "fashion-mnist" / "train-labels-idx1-ubyte.gz")


def test_a_damaged_file_is_another_matter(replace, monkeypatch, tmp_path):
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    replace("mnist", failing(ValueError("Incomplete or corrupted file detected.")))
    with pytest.raises(DataError, match=r"mnist cannot be read: ValueError: Incomplete.*mnist\.npz is damaged, remove"):
        datasets.mnist()


@pytest.mark.parametrize(
    ("name", "parameter", "value"),
    [
        *[(name, parameter, -1) for name in HOSTS for parameter in ("validation_fraction", "seed")],
        *[(name, "vocabulary_size", 4) for name in TEXTS],
        *[(name, "sequence_length", 0) for name in TEXTS],
    ],
)
def test_parameters_out_of_range_are_refused_before_anything_is_fetched(replace, name, parameter, value):
    replace(name, failing(AssertionError("was called")))
    with pytest.raises(ValueError, match=f"`{parameter}`.*{value}"):
        getattr(datasets, name)(**{parameter: value})
