"""What a variational autoencoder refuses: parameters that cannot be meant, and data that its likelihood cannot have."""

from __future__ import annotations

from collections.abc import Sequence
from numbers import Integral, Real
from typing import Any

import numpy as np

from kplug.losses import tfp_distributions
from kplug.losses.likelihoods import LIKELIHOODS
from kplug.models.priors import PRIORS


def check(condition: bool, message: str, **received: Any) -> None:
    """Raise `ValueError` with the message and what was received, unless the condition holds."""
    if not condition:
        values = ", ".join(f"{name}={value!r}" for name, value in received.items())
        raise ValueError(f"{message}. Received: {values}")


def check_choice(name: str, value: Any, choices: Sequence[str]) -> None:
    """Refuse a value that is none of the choices."""
    check(isinstance(value, str) and value in choices, f"`{name}` must be one of {_listed(choices)}", **{name: value})


def check_count(name: str, value: Any, least: int = 1) -> None:
    """Refuse what is no whole number, or too small a one."""
    is_count = isinstance(value, Integral) and not isinstance(value, bool) and int(value) >= least
    check(is_count, f"`{name}` must be a whole number, at least {least}", **{name: value})


def check_number(name: str, value: Any, positive: bool = False) -> None:
    """Refuse what is no number, is negative, or is zero where it must be positive."""
    fits = isinstance(value, Real) and (float(value) > 0 if positive else float(value) >= 0)
    check(fits, f"`{name}` must be a number{' greater than 0' if positive else ', at least 0'}", **{name: value})


def check_layer_sizes(name: str, sizes: Any) -> None:
    """Refuse what is no list of whole numbers, each at least 1."""
    valid = isinstance(sizes, Sequence) and all(isinstance(size, Integral) and int(size) >= 1 for size in sizes)
    check(valid, f"`{name}` must be a list of whole numbers, each at least 1", **{name: sizes})


def check_settings(vae: Any) -> None:
    """Refuse a `kplug.VAE` whose parameters are out of range or do not go together.

    Raises:
        ValueError: Naming the parameter and its value.
    """
    for name in ("latent_dim", "annealing_cycles", "prior_components", "importance_samples"):
        check_count(name, getattr(vae, name))
    check_count("annealing_steps", vae.annealing_steps, least=0)
    if vae.num_classes is not None:
        check_count("num_classes", vae.num_classes)
    check_choice("architecture", vae.architecture, ("auto", "convolutional", "dense"))
    check_layer_sizes("filters", vae.filters)
    check_layer_sizes("units", () if vae.units is None else vae.units)
    check_choice("likelihood", vae.likelihood, LIKELIHOODS)
    if vae.likelihood == "categorical" or vae.categories is not None:
        check_count("categories", vae.categories, least=2)
    if vae.scale != "learned":
        check_number("scale", vae.scale, positive=True)
    check_number("beta", vae.beta)
    check_number("free_bits", vae.free_bits)
    if isinstance(vae.prior, str) or vae.prior is None:
        check_choice("prior", vae.prior, PRIORS)
    else:
        tfp_distributions.check_prior(vae.prior)
    check(
        not vae.free_bits or (vae.prior == "standard_normal" and vae.importance_samples == 1),
        "`free_bits` need the KL term of each dimension: prior='standard_normal' and importance_samples=1",
        free_bits=vae.free_bits,
    )


def check_shape(x: Any, shape: tuple[int, ...]) -> None:
    """Refuse samples of another shape than the model was built for; only NumPy arrays are looked at."""
    if isinstance(x, np.ndarray) and x.shape[1:] != tuple(shape):
        expected = ", ".join(map(str, ("n", *shape)))
        raise ValueError(
            f"The model was built for samples of shape {tuple(shape)}: it takes arrays of shape ({expected}). "
            f"Received: an array of shape {x.shape}"
        )


def check_samples(x: Any, shape: tuple[int, ...] | None) -> None:
    """Refuse data without a sample, or of another shape than the model was built for; only NumPy arrays are looked at.

    Args:
        x: The data.
        shape: Shape of one sample, or `None` if the model has not been built.

    Raises:
        ValueError: Naming the shape of the data.
    """
    if isinstance(x, np.ndarray) and x.size == 0:
        raise ValueError(f"There are no data: at least one sample is needed. Received: an array of shape {x.shape}")
    if shape is not None:
        check_shape(x, shape)


def check_values(x: Any, likelihood: str, categories: int | None) -> None:
    """Refuse data that the likelihood cannot have; only NumPy arrays are looked at.

    Raises:
        ValueError: If the array holds NaN or infinity, or values that the likelihood cannot have.
    """
    if not isinstance(x, np.ndarray) or x.size == 0:
        return
    low, high = x.min(), x.max()
    if not (np.isfinite(low) and np.isfinite(high)):
        place = tuple(map(int, np.argwhere(~np.isfinite(x))[0]))
        what = "NaN" if np.isnan(x[place]) else "infinite values"
        raise ValueError(
            f"The data contain {what}, first in sample {place[0]} at {place[1:]}. Remove or replace those values first."
        )
    found = f"Received values from {low:g} to {high:g}"
    if likelihood == "bernoulli" and (low < 0 or high > 1):
        raise ValueError(
            f"With `likelihood='bernoulli'` data must lie between 0 and 1. {found}. "
            "Rescale them (bytes: divide by 255), or use likelihood='gaussian'."
        )
    if likelihood in {"poisson", "multinomial"}:
        if low < 0:
            raise ValueError(f"With `likelihood={likelihood!r}` data must be counts, at least 0. {found}.")
        if _has_fractions(x):
            place = tuple(map(int, np.argwhere(x != np.floor(x))[0]))
            raise ValueError(
                f"With `likelihood={likelihood!r}` data must be counts: whole numbers. Received {x[place]:g} in sample "
                f"{place[0]} at {place[1:]}. Shares and weights (tf-idf) are no counts: give the counts that they were "
                "made of, or use likelihood='gaussian'."
            )
    if likelihood == "categorical" and (low < 0 or high >= (categories or 0) or _has_fractions(x)):
        raise ValueError(
            f"With `likelihood='categorical'` and categories={categories} data must be whole numbers from 0 to "
            f"{(categories or 0) - 1}. {found}."
        )


def _has_fractions(x: np.ndarray) -> bool:
    return x.dtype.kind == "f" and bool(np.any(x != np.floor(x)))


def check_labels(y: Any, num_classes: int) -> None:
    """Refuse labels that are no classes; only NumPy arrays are looked at.

    Raises:
        ValueError: If there are none, they are of a wrong shape, or one is no class.
    """
    if y is None:
        raise ValueError("With `conditional=True` the VAE needs the class of each sample: `fit(x, y)`.")
    if not isinstance(y, np.ndarray) or y.size == 0:
        return
    if y.ndim == 2 and y.shape[1] == num_classes:
        return
    if y.ndim != 1 and not (y.ndim == 2 and y.shape[1] == 1):
        raise ValueError(
            f"With `conditional=True` labels must be class numbers of shape (n,), or one-hot of shape (n, "
            f"{num_classes}). Received: labels of shape {y.shape}"
        )
    if y.dtype.kind not in "biuf":
        classes_in(y)
    flat = y.reshape(-1)
    wrong = (flat < 0) | (flat >= num_classes) | (flat != np.floor(flat))
    if wrong.any():
        index = int(np.flatnonzero(wrong)[0])
        raise ValueError(
            f"With `conditional=True` labels must be class numbers from 0 to {num_classes - 1}. "
            f"Received: {flat[index]} in sample {index}"
        )


def classes_in(y: np.ndarray) -> int | None:
    """Return how many classes an array of labels has; `None` if there are no labels.

    Raises:
        ValueError: If they are no numbers.
    """
    if y.dtype.kind not in "biuf":
        raise ValueError(
            "With `conditional=True` labels must be class numbers; make them by "
            f"`np.unique(y, return_inverse=True)[1]`. Received: labels of type {y.dtype}"
        )
    if y.size == 0:
        return None
    return y.shape[1] if y.ndim == 2 and y.shape[1] > 1 else max(int(y.max()) + 1, 1)


def _listed(choices: Sequence[str]) -> str:
    return ", ".join(map(repr, choices))
