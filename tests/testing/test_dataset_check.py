"""The check of data sets finds what it is there to find."""

import numpy as np
import pytest

import kplug
from kplug.testing import check_dataset

pytestmark = pytest.mark.neutral


def made(seed=0, size=30, **changes):
    """Return the values of a sound data set, with changes."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(size, 3)).astype("float32")
    y = rng.integers(0, 2, size=size)
    info = {"input_shape": (3,), "num_features": 3, "num_classes": 2, "class_names": ("no", "yes")}
    return {"train": (x[:20], y[:20]), "test": (x[20:], y[20:]), "info": {**info, **changes}}


@kplug.component(provides=["input_shape", "num_features", "num_classes", "class_names"])
def good(seed: int = 0):
    return kplug.Dataset(**made(seed))


def sequence_of_batches(seed: int = 0):
    import keras

    class Batches(keras.utils.PyDataset):
        def __len__(self):
            return 2

        def __getitem__(self, index):
            return tuple(part[10 * index : 10 * index + 10] for part in made(seed)["train"])

    return kplug.Dataset(train=Batches(), info={"num_classes": 2})


@pytest.mark.parametrize("make", [good, sequence_of_batches])
def test_a_good_data_set_passes(make):
    check_dataset(make)
    check_dataset(make, {"seed": 4})


def takes_an_object(model: np.ndarray = None):
    return kplug.Dataset(**made())


def default_out_of_its_own_range(size: "kplug.datasets.limits.Fraction" = 2.0):
    return kplug.Dataset(**made())


def no_dataset():
    return made()


def not_a_number():
    data = made()
    data["train"][0][3, 1] = np.nan
    return kplug.Dataset(**data)


@kplug.component(provides=["vocabulary"])
def promises_too_much():
    return kplug.Dataset(**made())


@kplug.component(provides=["input_shape"])
def says_too_little():
    return kplug.Dataset(**made())


def no_targets():
    return kplug.Dataset(train=(made()["train"][0],))


def texts():
    return kplug.Dataset(train=(np.array(["a", "b"]), np.array([0, 1])))


def double():
    x, y = made()["train"]
    return kplug.Dataset(train=(x.astype("float64"), y))


def other_shape_in_the_test():
    data = made()
    data["test"] = (data["test"][0][:, :2], data["test"][1])
    return kplug.Dataset(**data)


def numpy_in_the_record():
    return kplug.Dataset(**made(num_classes=np.int64(2)))


def too_few_names():
    return kplug.Dataset(**made(class_names=("no",)))


def wrong_shape_in_the_record():
    return kplug.Dataset(**made(input_shape=(4,)))


def another_each_time():
    return kplug.Dataset(**made(np.random.default_rng().integers(10**9)))


def draws_from_the_shared_generator():
    np.random.normal(size=3)
    return kplug.Dataset(**made())


def forgets_its_seed(seed: int = 0):
    return kplug.Dataset(**made())


def learns_what_it_is_tested_on():
    data = made()
    return kplug.Dataset(train=data["train"], test=tuple(part[5:15] for part in data["train"]))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (takes_an_object, "`model` of takes_an_object takes a Python object"),
        (default_out_of_its_own_range, r"cannot hold these parameters.*size = 2.0 is not possible"),
        (no_dataset, "must return a kplug.Dataset with a training split. It returned dict"),
        (not_a_number, "train split has NaN in x in column 1"),
        (promises_too_much, "provides vocabulary, and its info record does not"),
        (says_too_little, r"has num_features, num_classes, class_names in its info record. Say so"),
        (no_targets, r"train split of no_targets must be \(x, y\).* It is tuple of 1"),
        (texts, "x of the train split of texts has dtype <U1"),
        (double, "float64.*Return it as float32"),
        (other_shape_in_the_test, r"float32\[2\].*of the training split.*float32\[3\]"),
        (numpy_in_the_record, "info record of numpy_in_the_record cannot be JSON.*int64"),
        (too_few_names, "num_classes 2 and 1 class_names"),
        (wrong_shape_in_the_record, r"input_shape \(4,\); x has samples of shape \(3,\)"),
        (another_each_time, "gives other data when it is made again"),
        (draws_from_the_shared_generator, "draws from the random generators that all code shares"),
        (forgets_its_seed, "gives the same data for another `seed`"),
        (learns_what_it_is_tested_on, "10 of the 10 samples of the test split .* are in the training split too"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_a_bad_data_set_is_found_out(make, message):
    with pytest.raises(AssertionError, match=message):
        check_dataset(make)


def test_parameters_that_it_does_not_take_are_found_out():
    with pytest.raises(AssertionError, match=r"no parameter 'sed'. Did you mean dataset.seed"):
        check_dataset(good, {"sed": 1})
