"""More samples from those there are: noisy copies, or draws of a trained generator."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from inspect import signature
from typing import Any, Literal

import numpy as np

from kplug.datasets.limits import check_counts, check_least, check_seed
from kplug.errors import DataError


@dataclass(frozen=True)
class GaussianNoiseAugmentation:
    """Adds noisy copies of samples, with their labels.

    A copy is a sample drawn at random with replacement, plus Gaussian noise in every feature on its own (Bishop 1995
    shows that training on such copies is Tikhonov regularisation):

    ```
    new = x[i] + scale * standard_deviation(x) * N(0, I)
    ```

    Noise is for quantities. Features that are constant or hold whole numbers only (counts, codes, one-hot columns) stay
    as they are, unless `columns` lists them.

    Augment the training split alone: copies of a sample in another split are no new evidence.

    Args:
        n: How many copies to make, 0 or more.
        scale: Standard deviation of the noise, in units of each feature's own (population) standard deviation over all
            samples; 0 only draws samples again.
        seed: Whole number from 0 to 2**32 - 1 with which every call on the same data gives the same, or `None`.
        columns: Which features get noise: `None` for those that are neither constant nor whole numbers, `"all"`, a list
            of column numbers (negative ones count from the end), or booleans of the shape of one sample.
        balance: Whether the copies are spread over the classes so that those in the result are as equally frequent as
            `n` allows: the rarest are filled up first. Otherwise every sample is as likely to be drawn.
        originals: Whether the result has the given samples, as they are and first; otherwise the copies alone.
        clip: Whether to keep new values between the feature's least and greatest.

    Call Args:
        x: Finite numbers of shape `(samples,)`, `(samples, features)` or `(samples, ...)`.
        y: Labels or targets of shape `(samples, ...)`, or `None`. To balance, classes: numbers, truth values or texts
            of shape `(samples,)` or `(samples, 1)`, or rows such as one-hot ones, each different row a class.

    Returns:
        `(x, y)` of `samples + n` samples, or of `n` without the originals, in the given dtypes; the copies are in
        random order. Whole-number types are rounded, within the type's range. Without `y`, `None` in its place.

    Raises:
        ValueError: If a parameter is out of range or does not fit the data.
        DataError: If the data are empty, not finite, no numbers, differ in length, have no feature to add noise to, or
            no classes to balance. (A `ValueError` too.)

    References:
        Bishop (1995), Training with noise is equivalent to Tikhonov regularization, doi:10.1162/neco.1995.7.1.108

    Example:

    >>> x, y = kplug.datasets.imbalanced(positive_fraction=0.1).train
    >>> noise = kplug.GaussianNoiseAugmentation(n=5760, scale=0.2, seed=0, balance=True)
    >>> x_more, y_more = noise(x, y)
    >>> np.bincount(y), np.bincount(y_more)
    (array([6480,  720]), array([6480, 6480]))
    """

    n: int
    scale: float = 0.1
    seed: int | None = None
    columns: Sequence[int] | np.ndarray | Literal["all"] | None = None
    balance: bool = False
    originals: bool = True
    clip: bool = False

    def __post_init__(self) -> None:
        check_counts(0, n=self.n)
        check_least(0, scale=self.scale)
        if self.seed is not None:
            check_seed(self.seed)
        if isinstance(self.columns, str) and self.columns != "all":
            raise ValueError(
                f"`columns` must be None, 'all', column numbers or booleans of a sample's shape. "
                f"Received: {self.columns!r}"
            )

    def __call__(self, x: Any, y: Any = None) -> tuple[np.ndarray, np.ndarray | None]:
        x, y = _checked(x, y)
        random = np.random.default_rng(self.seed)
        rows = _drawn_rows(len(x), y, self.n, self.balance, self.originals, random)
        copies = self._with_noise(x, rows, random)
        if self.originals:
            copies = np.concatenate([x, copies])
        return copies, None if y is None else np.concatenate([y, y[rows]]) if self.originals else y[rows]

    def _with_noise(self, x: np.ndarray, rows: np.ndarray, random: np.random.Generator) -> np.ndarray:
        copies = x[rows]
        if self.scale == 0:
            return copies
        noisy = self._noisy_features(x)
        chosen = x[:, noisy].astype("float64")
        values = chosen[rows] + self.scale * chosen.std(axis=0) * random.standard_normal((len(rows), chosen.shape[1]))
        if self.clip:
            values = values.clip(chosen.min(axis=0), chosen.max(axis=0))
        if x.dtype.kind in "iu":
            # The greatest number of a 64-bit type is rounded up as a float, out of the type's range.
            least, greatest = np.iinfo(x.dtype).min, np.nextafter(float(np.iinfo(x.dtype).max) + 1, 0)
            values = np.rint(values).clip(least, greatest)
        copies[:, noisy] = values
        return copies

    def _noisy_features(self, x: np.ndarray) -> np.ndarray:
        """Return which features get noise, booleans of the shape of one sample."""
        shape = x.shape[1:]
        if isinstance(self.columns, str):
            return np.ones(shape, bool)
        if self.columns is not None:
            return self._listed_features(np.asarray(self.columns), shape)
        noisy = (x.min(axis=0) != x.max(axis=0)) & (x != np.round(x)).any(axis=0)
        if not noisy.any():
            raise DataError(
                f"x has no feature to add noise to: all values of each are the same or whole numbers, such as "
                f"{x.flat[0]}. If they are quantities nevertheless, use columns='all' or list them in `columns`."
            )
        return noisy

    def _listed_features(self, listed: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
        if listed.dtype == bool and listed.shape == shape:
            return listed
        if len(shape) == 1 and listed.ndim == 1 and (listed.dtype.kind in "iu" or not listed.size):
            listed = listed.astype("int64")
            wrong = listed[(listed < -shape[0]) | (listed >= shape[0])]
            if len(wrong):
                raise ValueError(
                    f"`columns` must be from {-shape[0]} to {shape[0] - 1}: x has {shape[0]} columns. "
                    f"Received: {wrong[0]}"
                )
            noisy = np.zeros(shape, bool)
            noisy[listed] = True
            return noisy
        raise ValueError(
            f"`columns` must be column numbers of a table, or booleans of the shape of one sample, {shape}. "
            f"Received: {self.columns!r}"
        )


def augment(
    x: Any,
    y: Any,
    generator: Any,
    n: int,
    *,
    balance: bool = False,
    originals: bool = True,
    seed: int | None = None,
) -> tuple[np.ndarray, np.ndarray | None]:
    """Add `n` samples of a trained generator to data.

    The labels are chosen first, and the generator is asked for samples of them. What it learned from must be the
    training split alone, or else later scores flatter.

    Args:
        x: Finite numbers of shape `(samples, ...)`.
        y: Labels or targets of shape `(samples, ...)`, or `None` for a generator that needs none.
        generator: What has a method `generate(n, labels=labels, seed=seed)` that returns `n` samples (a conditional
            `kplug.VAE`: its samples are means; `functools.partial(vae.generate, draw=True)` adds the noise that data
            have), or a function that is called so; or a `kplug.GaussianNoiseAugmentation`, of which `n` and
            `originals` are replaced, `seed` where one is given here, and `balance` if it is true here. `labels` has the
            form of `y`: shape `(n, ...)`, its dtype. Without `y`, it is called without `labels`.
        n: How many samples to add, 0 or more.
        balance: Whether the labels are chosen so that the classes in the result are as equally frequent as `n` allows:
            the rarest are filled up first. Otherwise they are drawn from `y` at random, so that they have the data's
            shares, but for chance.
        originals: Whether the result has the given samples, as they are and first; otherwise the new ones alone.
        seed: Whole number from 0 to 2**32 - 1 that makes labels and samples repeat, or `None`. The generator is given
            it as it is.

    Returns:
        `(x, y)` of `samples + n` samples, or of `n` without the originals, in the given dtypes; the new ones are in
        random order. Floating-point samples of another width are converted. Without `y`, `None` in its place.

    Raises:
        ValueError: If a parameter is out of range.
        TypeError: If the generator has no method `generate` and cannot be called, or if it takes no labels where `y` is
            given, or needs them where it is not.
        DataError: If the data are empty, not finite, no numbers or differ in length, or have no classes to balance, or
            if what the generator returns has another shape or dtype, or is not finite. (A `ValueError` too.)

    Example:

    >>> x, y = np.array([[0.5], [1.5], [9.5]]), np.array([0, 0, 1])
    >>> def around_means(n, labels, seed):
    ...     return np.array([[1.0], [9.5]])[labels]
    >>> x_more, y_more = kplug.augment(x, y, around_means, n=1, balance=True)
    >>> x_more.ravel(), y_more
    (array([0.5, 1.5, 9.5, 9.5]), array([0, 0, 1, 1]))
    """
    if isinstance(generator, GaussianNoiseAugmentation):
        noise = replace(
            generator,
            n=n,
            originals=originals,
            balance=balance or generator.balance,
            seed=generator.seed if seed is None else seed,
        )
        return noise(x, y)
    check_counts(0, n=n)
    if seed is not None:
        check_seed(seed)
    generate = _generating(generator, labelled=y is not None)
    x, y = _checked(x, y)
    # Not the generator's own stream of random numbers: labels and samples would depend on each other.
    random = np.random.default_rng(None if seed is None else (seed, 1))
    rows = _drawn_rows(len(x), y, n, balance, originals, random)
    if n == 0:
        new = x[rows]
    else:
        labels = {} if y is None else {"labels": y[rows]}
        new = _checked_new(generate(n, **labels, seed=seed), x, n)
    if originals:
        new = np.concatenate([x, new])
    return new, None if y is None else np.concatenate([y, y[rows]]) if originals else y[rows]


def _generating(generator: Any, labelled: bool) -> Callable:
    generate = getattr(generator, "generate", generator)
    if not callable(generate):
        raise TypeError(
            "`generator` must have a method `generate(n, labels=labels, seed=seed)`, or be a function that is called "
            f"so. Received: {generator!r}"
        )
    if labelled and not _accepts(generate, 1, labels=None, seed=None):
        raise TypeError(
            "`y` is given, and `generator` cannot be called as generate(n, labels=labels, seed=seed). Give a generator "
            f"that takes labels, such as a conditional kplug.VAE, or y=None. Received: {generator!r}"
        )
    if not labelled and not _accepts(generate, 1, seed=None):
        raise TypeError(
            "`y` is None, and `generator` cannot be called as generate(n, seed=seed). Give `y` to a generator that "
            f"needs labels. Received: {generator!r}"
        )
    return generate


def _accepts(function: Callable, *args: Any, **kwargs: Any) -> bool:
    """Return whether a function can be called so, or does not tell."""
    try:
        parameters = signature(function)
    except ValueError:
        return True
    try:
        parameters.bind(*args, **kwargs)
    except TypeError:
        return False
    return True


def _checked(x: Any, y: Any) -> tuple[np.ndarray, np.ndarray | None]:
    x = np.asarray(x)
    y = None if y is None else np.asarray(y)
    if x.dtype.kind not in "fiu":
        raise DataError(f"x has the type {x.dtype}; whole or floating-point numbers are needed. Convert it.")
    if x.size == 0 or x.ndim == 0:
        raise DataError(f"x has the shape {x.shape}: no samples to draw from. Give at least one, with features.")
    if y is not None and (y.ndim == 0 or len(y) != len(x)):
        raise DataError(f"x has {len(x)} samples, y the shape {y.shape}. Give one label for each sample, or y=None.")
    _check_finite("x", x)
    if y is not None:
        _check_finite("y", y)
    return x, y


def _check_finite(name: str, array: np.ndarray, remedy: str = "Remove or fill such values.") -> None:
    if array.dtype.kind != "f" or np.isfinite(array).all():
        return
    sample, *position = map(int, np.argwhere(~np.isfinite(array))[0])
    place = "" if not position else f", column {position[0]}" if len(position) == 1 else f", at {tuple(position)}"
    value = "NaN" if np.isnan(array[sample, *position]) else "infinity"
    raise DataError(f"{name} has {value}, first in sample {sample}{place}. {remedy}")


def _checked_new(new: Any, x: np.ndarray, n: int) -> np.ndarray:
    """Return a generator's samples in the dtype of `x`."""
    new = np.asarray(new)
    expected = (n, *x.shape[1:])
    if new.shape != expected:
        raise DataError(
            f"The generator returned an array of shape {new.shape}; {expected} was expected: {n} samples like those "
            "of x. Generate from a model that was trained on data of this shape."
        )
    if new.dtype != x.dtype and not new.dtype.kind == x.dtype.kind == "f":
        raise DataError(
            f"The generator returned {new.dtype}, and x is {x.dtype}. Convert x before training the generator, or what "
            "the generator returns."
        )
    with np.errstate(over="ignore"):
        new = new.astype(x.dtype)
    _check_finite("What the generator returned", new, "Train it longer or with a lower learning rate.")
    return new


def _drawn_rows(
    size: int, y: np.ndarray | None, n: int, balance: bool, originals: bool, random: np.random.Generator
) -> np.ndarray:
    """Return which samples the new ones have their labels from."""
    if not balance:
        return random.integers(size, size=n)
    classes = _classes(y)
    counts = np.bincount(classes)
    additions = _evening_out(counts if originals else np.zeros_like(counts), n)
    chosen = [random.choice(np.flatnonzero(classes == one), number) for one, number in enumerate(additions)]
    return random.permutation(np.concatenate(chosen))


def _classes(y: np.ndarray | None) -> np.ndarray:
    """Return the number of each sample's class."""
    if y is None:
        raise DataError("`balance=True` needs classes, and y is None. Give y, or use balance=False.")
    if y.ndim == 2 and y.shape[1] == 1:
        y = y[:, 0]
    if y.ndim > 2 or (y.dtype.kind == "f" and (y != np.round(y)).any()):
        what = f"the shape {y.shape}" if y.ndim > 2 else f"values such as {y[y != np.round(y)][0]:g}"
        raise DataError(
            f"`balance=True` needs classes (whole numbers, texts, or one-hot rows), and y has {what}. "
            "Use balance=False."
        )
    return np.unique(y, return_inverse=True, axis=0 if y.ndim == 2 else None)[1].reshape(-1)


def _evening_out(counts: np.ndarray, n: int) -> np.ndarray:
    """Return how many of `n` samples each class gets, for the totals to be as equal as can be."""
    order = np.argsort(counts, kind="stable")
    ascending, places = counts[order], np.arange(1, len(counts) + 1)
    # The rarest classes that can all be filled up to the most frequent among them.
    filled = np.flatnonzero(places * ascending - np.cumsum(ascending) <= n)[-1] + 1
    level, rest = divmod(n + ascending[:filled].sum(), filled)
    additions = np.zeros_like(counts)
    additions[order[:filled]] = level - ascending[:filled] + (np.arange(filled) < rest)
    return additions
