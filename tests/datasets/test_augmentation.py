"""More samples from those there are: noise by its moments, labels by counting, generators by what they were asked."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import kplug
from kplug.errors import DataError

FEW = settings(max_examples=50)


def noise(n=5, **options):
    return kplug.GaussianNoiseAugmentation(n, **{"seed": 0, **options})


@pytest.fixture
def table():
    """Columns: a quantity, the row's number, a constant, a quantity of another size. Labels count in threes."""
    random = np.random.default_rng(3)
    rows = np.arange(60)
    x = np.stack([random.normal(size=60), rows, np.full(60, 0.1), random.normal(500, 40, 60)], axis=1)
    return x.astype("float32"), rows % 3


def test_noise_has_the_stated_standard_deviation_and_no_mean():
    x = np.random.default_rng(0).normal([0, 100], [1, 7], (50, 2))
    x_new, rows = noise(40_000, scale=0.3, originals=False)(x, np.arange(50))
    added = (x_new - x[rows]) / x.std(axis=0)
    np.testing.assert_allclose(added.mean(axis=0), 0, atol=5 * 0.3 / np.sqrt(40_000))
    np.testing.assert_allclose(added.std(axis=0), 0.3, rtol=5 / np.sqrt(2 * 40_000))
    # Independent of each other and of the sample: correlations within five standard errors, normal kurtosis 3.
    assert abs(np.corrcoef(added.T)[0, 1]) < 5 / np.sqrt(40_000)
    assert abs(np.corrcoef(added[:, 0], x[rows, 0])[0, 1]) < 5 / np.sqrt(40_000)
    assert np.mean((added / 0.3) ** 4) == pytest.approx(3, abs=5 * np.sqrt(96 / 40_000))


def test_samples_are_drawn_with_replacement_each_equally_often():
    _, rows = noise(10_000, originals=False)(np.random.default_rng(0).normal(size=(10, 1)), np.arange(10))
    # Chi-squared with 9 degrees of freedom: above 27.9 once in 1000.
    assert ((np.bincount(rows) - 1000) ** 2 / 1000).sum() < 27.9


def test_the_originals_come_first_as_they_are(table):
    x, y = table
    x_more, y_more = noise(7)(x, y)
    assert (x_more.shape, x_more.dtype, y_more.shape, y_more.dtype) == ((67, 4), x.dtype, (67,), y.dtype)
    np.testing.assert_array_equal(x_more[:60], x)
    np.testing.assert_array_equal(y_more[:60], y)
    x_new, y_new = noise(7, originals=False)(x, y)
    np.testing.assert_array_equal(x_more[60:], x_new)
    np.testing.assert_array_equal(y_more[60:], y_new)


def test_the_data_given_are_not_changed(table):
    x, y = table[0].copy(), table[1].copy()
    noise(originals=False)(*table)
    np.testing.assert_array_equal(table[0], x)
    np.testing.assert_array_equal(table[1], y)


def test_constant_and_whole_number_columns_stay_and_the_label_goes_with_its_sample(table):
    x, y = table
    x_new, y_new = noise(200, originals=False)(x, y)
    rows = x_new[:, 1].astype(int)
    np.testing.assert_array_equal(x_new[:, 1:3], x[rows, 1:3])
    np.testing.assert_array_equal(y_new, y[rows])
    assert (x_new[:, [0, 3]] != x[rows][:, [0, 3]]).all()


@pytest.mark.parametrize(
    ("columns", "changed"),
    [([0], [0]), ([-1, 1], [1, 3]), (np.array([True, False, False, True]), [0, 3]), ("all", [0, 1, 3]), ([], [])],
)
def test_columns_that_get_noise_can_be_listed(table, columns, changed):
    x, _ = table
    x_new, rows = noise(50, columns=columns, originals=False)(x, np.arange(60))
    assert np.flatnonzero((x_new != x[rows]).any(axis=0)).tolist() == changed


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64", "uint8", "int64"])
def test_the_dtype_is_kept(dtype):
    x = np.random.default_rng(0).integers(0, 256, (30, 4)).astype(dtype)
    x_new, _ = noise(500, scale=1.0, columns="all", originals=False)(x)
    assert x_new.dtype == dtype
    assert (x_new[:100] != x[0]).any()


def test_whole_number_types_are_rounded_and_stay_in_range():
    x = np.array([[0], [255]] * 10, "uint8")
    x_new, y_new = noise(1000, scale=0.1, columns="all", originals=False)(x, x[:, 0])
    # Half of the noise points out of the range and is cut off there; wrapped around, 0 would become 250.
    assert np.abs(x_new[:, 0].astype(int) - y_new).max() < 5 * 12.75
    greatest = np.iinfo("int64").max
    x_new, _ = noise(100, columns="all", originals=False)(np.array([greatest, -greatest, greatest]))
    assert (np.abs(x_new.astype(float)) > 0.5 * greatest).all()


def test_clipped_values_stay_within_what_was_given():
    x = np.random.default_rng(0).uniform(0, 1, (20, 3))
    x_new, _ = noise(500, scale=1.0, clip=True, originals=False)(x)
    assert (x_new >= x.min(axis=0)).all()
    assert (x_new <= x.max(axis=0)).all()
    assert (noise(500, scale=1.0, originals=False)(x)[0] < 0).any()


@pytest.mark.parametrize("shape", [(8,), (8, 3), (8, 4, 4, 1)])
def test_samples_of_any_shape(shape):
    x_more, y_more = noise(3)(np.random.default_rng(0).normal(size=shape))
    assert x_more.shape == (11, *shape[1:])
    assert y_more is None


@pytest.mark.parametrize(
    "y", [np.arange(8.0)[:, None], np.eye(8, dtype="float32"), np.array(list("abcdefgh")), np.arange(8) < 4]
)
def test_targets_of_any_shape_and_type(y):
    x = np.random.default_rng(0).normal(size=(8, 2))
    _, y_more = noise(30)(x, y)
    assert (y_more.shape, y_more.dtype) == ((38, *y.shape[1:]), y.dtype)
    assert set(map(str, y_more)) == set(map(str, y))


def test_the_seed_decides_the_samples_and_their_order(table):
    first, again, other = (noise(20, seed=seed)(*table) for seed in (1, 1, 2))
    for one, same, different in zip(first, again, other, strict=True):
        np.testing.assert_array_equal(one, same)
        assert (one != different).any()
    unseeded = noise(20, seed=None)
    assert (unseeded(*table)[0] != unseeded(*table)[0]).any()


def test_no_scale_draws_samples_again_and_no_number_none(table):
    x, _ = table
    x_new, rows = noise(40, scale=0, originals=False)(x, np.arange(60))
    np.testing.assert_array_equal(x_new, x[rows])
    x_same, y_same = noise(0)(*table)
    np.testing.assert_array_equal(x_same, x)
    np.testing.assert_array_equal(y_same, table[1])


@pytest.mark.parametrize(
    ("n", "originals", "expected"),
    [
        (4, True, [12, 6, 6]),  # 12, 5, 3: the rarest gets 3, the next 1
        (16, True, [12, 12, 12]),
        (19, True, [13, 13, 13]),
        (9, False, [3, 3, 3]),
    ],
)
@pytest.mark.parametrize(
    "labels", [np.array([7, 3, 5]), np.array([[7], [3], [5]]), np.eye(3), np.array(["a", "c", "b"])]
)
def test_balance_fills_up_the_rarest_classes_first(labels, n, originals, expected):
    y = labels[np.repeat([0, 1, 2], [12, 5, 3])]
    x = np.random.default_rng(0).normal(size=(20, 2))
    _, y_more = noise(n, balance=True, originals=originals)(x, y)
    assert [int((y_more == label).reshape(len(y_more), -1).all(axis=1).sum()) for label in labels] == expected
    new = y_more[20:] if originals else y_more
    assert originals or (new[1:] != new[:-1]).any()


@FEW
@given(counts=st.lists(st.integers(1, 30), min_size=1, max_size=6), n=st.integers(0, 80))
def test_balanced_totals_are_those_of_adding_one_by_one_to_the_rarest_class(counts, n):
    y = np.repeat(np.arange(len(counts)), counts)
    _, y_more = noise(n, balance=True, columns="all")(np.zeros(len(y)), y)
    totals = list(counts)
    for _ in range(n):
        totals[totals.index(min(totals))] += 1
    assert sorted(np.bincount(y_more)) == sorted(totals)


@FEW
@given(shift=st.integers(-100, 100), power=st.integers(-8, 8), seed=st.integers(0, 1000))
def test_units_do_not_matter(shift, power, seed):
    x = np.random.default_rng(seed).normal(size=(12, 3))
    augmentation = noise(10, scale=0.5, seed=seed, originals=False)
    expected = augmentation(x)[0] * 2.0**power + shift
    np.testing.assert_allclose(augmentation(x * 2.0**power + shift)[0], expected, rtol=1e-9, atol=1e-9)


def spoilt(array, place, value):
    array = np.array(array, "float64")
    array[place] = value
    return array


X = np.random.default_rng(0).normal(size=(5, 3))


@pytest.mark.parametrize(
    ("x", "y", "message"),
    [
        (spoilt(X, (3, 1), np.nan), None, "x has NaN, first in sample 3, column 1. Remove or fill"),
        (spoilt(X, (2, 0), -np.inf), None, "x has infinity, first in sample 2, column 0"),
        (spoilt(np.zeros((4, 2, 2)), (1, 0, 1), np.nan), None, r"x has NaN, first in sample 1, at \(0, 1\)"),
        (X, spoilt(np.zeros(5), 4, np.nan), "y has NaN, first in sample 4. Remove"),
        (X[:0], None, r"x has the shape \(0, 3\): no samples"),
        (X[:, :0], None, r"x has the shape \(5, 0\)"),
        (X, np.zeros(4), r"x has 5 samples, y the shape \(4,\). Give one label for each"),
        (X.astype(str), None, "x has the type <U.*Convert it"),
        (X > 0, None, "x has the type bool"),
        (np.round(X), None, "no feature to add noise to.*columns='all'"),
    ],
)
def test_data_that_cannot_be_augmented_are_refused_with_a_remedy(x, y, message):
    with pytest.raises(DataError, match=message):
        noise()(x, y)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"n": -1}, "`n` must be a whole number, at least 0. Received: -1"),
        ({"n": 2.5}, "`n` must be a whole number.*2.5"),
        ({"scale": -0.1}, "`scale` must be a number, at least 0. Received: -0.1"),
        ({"scale": np.nan}, "`scale` must be a number"),
        ({"seed": -3}, "`seed` must be a whole number from 0.*-3"),
        ({"columns": "age"}, "`columns` must be None, 'all'.*'age'"),
        ({"columns": [0, 3]}, "`columns` must be from -3 to 2: x has 3 columns. Received: 3"),
        ({"columns": [True, False]}, r"booleans of the shape of one sample, \(3,\)"),
        ({"columns": [0.5]}, "column numbers of a table"),
    ],
)
def test_parameters_out_of_range_are_refused_with_the_value(options, message):
    with pytest.raises(ValueError, match=message):
        noise(**options)(X)


@pytest.mark.parametrize(
    ("y", "message"),
    [
        (None, "y is None. Give y"),
        (np.array([0, 1, 0.25, 0, 1]), "values such as 0.25. Use balance=False"),
        (np.zeros((5, 2, 2)), r"the shape \(5, 2, 2\)"),
    ],
)
def test_balance_needs_classes(y, message):
    with pytest.raises(DataError, match=message):
        noise(balance=True)(X, y)


class Witness:
    """A generator that remembers what it was asked for: samples are their label, in every feature."""

    def __init__(self, dtype="float64"):
        self.asked = []
        self.dtype = dtype

    def generate(self, n, seed=None, labels=None):
        self.asked.append((n, labels, seed))
        return np.repeat(labels.reshape(n, -1)[:, :1], 3, axis=1).astype(self.dtype)


def test_a_generator_is_asked_once_for_samples_of_labels_like_the_datas():
    witness = Witness()
    y = np.repeat([0, 1], [4, 1])
    x_more, y_more = kplug.augment(X, y, witness, 10_000, seed=5)
    ((n, labels, seed),) = witness.asked
    assert (n, seed, labels.dtype) == (10_000, 5, y.dtype)
    np.testing.assert_array_equal(x_more[:5], X)
    np.testing.assert_array_equal(y_more, np.concatenate([y, labels]))
    np.testing.assert_array_equal(x_more[5:, 0], labels)
    # Shares of 0.8 and 0.2, to five standard errors.
    assert labels.mean() == pytest.approx(0.2, abs=5 * np.sqrt(0.2 * 0.8 / 10_000))


def test_balanced_labels_fill_up_the_rare_class():
    y = np.repeat([0, 1], [4, 1])
    assert np.bincount(kplug.augment(X, y, Witness(), 3, balance=True)[1]).tolist() == [4, 4]
    assert kplug.augment(X, y, Witness(), 6, balance=True, originals=False)[1].sum() == 3


def test_labels_and_samples_follow_from_the_seed():
    y = np.arange(5)
    first, again, other = (kplug.augment(X, y, Witness(), 50, seed=seed)[1] for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()


def test_labels_do_not_depend_on_the_generators_own_draws():
    def drawn_from_the_same_seed(n, labels, seed):
        draws = np.random.default_rng(seed).integers(5, size=n)
        assert np.mean(draws == labels) < 0.5
        return np.zeros((n, 3))

    kplug.augment(X, np.arange(5), drawn_from_the_same_seed, 100, seed=0)


def test_a_function_generates_too_and_without_labels_where_there_are_none():
    x_more, y_more = kplug.augment(X, None, lambda n, seed: np.full((n, 3), float(seed)), 2, seed=9)
    assert y_more is None
    np.testing.assert_array_equal(x_more[5:], 9)


def test_noise_is_a_generator_too():
    y = np.repeat([0, 1], [4, 1])
    augmentation = kplug.GaussianNoiseAugmentation(1, scale=0.2, seed=4)
    expected = kplug.GaussianNoiseAugmentation(3, scale=0.2, seed=4, balance=True)(X, y)
    for one, other in zip(kplug.augment(X, y, augmentation, 3, balance=True), expected, strict=True):
        np.testing.assert_array_equal(one, other)
    assert len(kplug.augment(X, y, augmentation, 3, originals=False, seed=1)[0]) == 3


def test_no_samples_ask_the_generator_for_nothing():
    witness = Witness()
    assert len(kplug.augment(X, np.arange(5), witness, 0)[0]) == 5
    assert len(kplug.augment(X, np.arange(5), witness, 0, originals=False)[0]) == 0
    assert witness.asked == []


def test_floating_point_samples_of_another_width_are_converted():
    x_more, _ = kplug.augment(X, np.arange(5), Witness("float32"), 4)
    assert x_more.dtype == "float64"


@pytest.mark.parametrize(
    ("returned", "message"),
    [
        (np.zeros((3, 3)), r"returned an array of shape \(3, 3\); \(2, 3\) was expected"),
        (np.zeros((2, 4)), r"shape \(2, 4\); \(2, 3\)"),
        (np.zeros((2, 3), int), "returned int64, and x is float64. Convert"),
        (spoilt(np.zeros((2, 3)), (1, 2), np.nan), "What the generator returned has NaN, first in sample 1, column 2"),
    ],
)
def test_what_a_generator_returns_is_checked(returned, message):
    with pytest.raises(DataError, match=message):
        kplug.augment(X, np.arange(5), lambda n, labels, seed: returned, 2)


def test_samples_too_large_for_the_datas_type_are_refused():
    with pytest.raises(DataError, match="What the generator returned has infinity"):
        kplug.augment(X.astype("float16"), None, lambda n, seed: np.full((n, 3), 1e10), 2)


def test_what_cannot_generate_is_refused():
    with pytest.raises(TypeError, match=r"`generate\(n, labels=labels, seed=seed\)`.*Received: 3"):
        kplug.augment(X, None, 3, 1)
    with pytest.raises(ValueError, match=r"`n` must be a whole number.*-1"):
        kplug.augment(X, None, Witness(), -1)
    with pytest.raises(DataError, match="x has NaN"):
        kplug.augment(spoilt(X, (0, 0), np.nan), None, Witness(), 1)


class Unlabelled:
    def generate(self, n, seed=None):
        raise AssertionError("was called")


def test_a_generator_that_takes_no_labels_is_refused_where_there_are_some():
    for generator in (Unlabelled(), Unlabelled().generate, kplug.VQVAE()):
        with pytest.raises(TypeError, match=r"`y` is given.*takes labels, such as a conditional kplug\.VAE, or y=None"):
            kplug.augment(X, np.arange(5), generator, 2)


def test_a_generator_that_needs_labels_is_refused_where_there_are_none():
    with pytest.raises(TypeError, match=r"`y` is None.*Give `y` to a generator that needs labels"):
        kplug.augment(X, None, lambda n, labels, seed: X, 2)
