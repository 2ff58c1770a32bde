"""Log-likelihoods of data under what a decoder puts out: one value per sample, in nats."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, Literal, get_args

from keras import ops

Likelihood = Literal["bernoulli", "gaussian", "categorical", "multinomial", "poisson"]
LIKELIHOODS: tuple[str, ...] = get_args(Likelihood)


def log_likelihood(
    x: Any, outputs: Any, likelihood: Likelihood = "bernoulli", scale: Any = 1.0, log_scale: Any = None
) -> Any:
    """Return `log p(x)`, one value per sample, given what a decoder puts out.

    Args:
        x: Data of shape `(batch_size, ...)`.
        outputs: For `"bernoulli"` logits; for `"gaussian"` means; for `"categorical"` logits, with one more axis, the
            last, for the classes; for `"multinomial"` logits over the last axis; for `"poisson"` log rates.
        likelihood: One of these names.
        scale: Standard deviation of the Gaussian, greater than 0: a number, or a tensor that broadcasts against `x`.
        log_scale: Instead of `scale`: its logarithm, such a tensor.

    Returns:
        The sum over all axes but the first, in nats, of shape `(batch_size,)`.

    Raises:
        ValueError: If the likelihood is unknown, or the outputs are of another shape than the data.
    """
    _check_shapes(x, outputs, likelihood)
    if likelihood == "gaussian":
        return gaussian_log_likelihood(x, outputs, scale, log_scale)
    if likelihood not in _LIKELIHOODS:
        names = ", ".join(map(repr, LIKELIHOODS))
        raise ValueError(f"`likelihood` must be one of {names}. Received: likelihood={likelihood!r}")
    return _LIKELIHOODS[likelihood](x, outputs)


def log_likelihood_of_draws(
    x: Any, outputs: Any, likelihood: Likelihood = "bernoulli", scale: Any = 1.0, log_scale: Any = None
) -> Any:
    """Return `log p(x | z)` for each of several draws of z.

    Args:
        x: Data of shape `(batch_size, ...)`.
        outputs: What the decoder puts out for each draw, of shape `(batch_size, k, ...)`; see `log_likelihood`.
        likelihood: One of its names.
        scale: Standard deviation of the Gaussian: a number, or a tensor that broadcasts against `x` or has its draws.
        log_scale: Instead of `scale`: its logarithm, such a tensor.

    Returns:
        Nats of shape `(batch_size, k)`.
    """
    # The draws become samples of their own, so that each likelihood sums over one sample's elements.
    flat = ops.reshape(outputs, (-1, *ops.shape(outputs)[2:]))
    scale, log_scale = (_for_each_draw(part, x, outputs) for part in (scale, log_scale))
    values = log_likelihood(_for_each_draw(x, x, outputs), flat, likelihood, scale, log_scale)
    return ops.reshape(values, (-1, ops.shape(outputs)[1]))


def bernoulli_log_likelihood(x: Any, logits: Any) -> Any:
    """Return `log p(x)` of independent Bernoulli variables, given their logits.

    Args:
        x: Data between 0 and 1, of shape `(batch_size, ...)`.
        logits: Logits of the same shape.

    Returns:
        The sum over all axes but the first, in nats, of shape `(batch_size,)`.
    """
    # x log p + (1 - x) log(1 - p), with p = sigmoid(logits).
    return sum_per_sample(x * logits - ops.softplus(logits))


def gaussian_log_likelihood(x: Any, mean: Any, scale: Any = 1.0, log_scale: Any = None) -> Any:
    """Return `log p(x)` of independent Gaussian variables, constants included.

    Args:
        x: Data of shape `(batch_size, ...)`.
        mean: Means of the same shape.
        scale: Standard deviation, greater than 0, in the data's unit: a number, or a tensor that broadcasts against
            `x`.
        log_scale: Instead of `scale`: its logarithm, a tensor that broadcasts against `x`, as a network puts it out.

    Returns:
        The sum over all axes but the first, in nats, of shape `(batch_size,)`.
    """
    difference = x - mean
    if log_scale is not None:
        log_scale = ops.cast(log_scale, difference.dtype)
        standardised = difference * ops.exp(-log_scale)
    else:
        fixed = isinstance(scale, int | float)
        scale = scale if fixed else ops.cast(scale, difference.dtype)
        log_scale = math.log(scale) if fixed else ops.log(scale)
        standardised = difference / scale
    return -sum_per_sample(0.5 * ops.square(standardised) + log_scale + 0.5 * math.log(2 * math.pi))


def categorical_log_likelihood(x: Any, logits: Any) -> Any:
    """Return `log p(x)` of independent categorical variables, given their logits.

    Args:
        x: Class numbers of shape `(batch_size, ...)`; one that there is not makes the sample's NaN.
        logits: Logits of shape `(batch_size, ..., num_classes)`.

    Returns:
        The sum over all axes but the first, in nats, of shape `(batch_size,)`.
    """
    classes, count = ops.cast(x, "int32"), logits.shape[-1]
    chosen = ops.one_hot(ops.clip(classes, 0, count - 1), count, dtype=logits.dtype)
    # A value that is ruled out by a logit of minus infinity must not cost where it is not meant.
    log_p = ops.sum(ops.where(chosen > 0, ops.log_softmax(logits, axis=-1), 0.0), axis=-1)
    return sum_per_sample(ops.where((classes >= 0) & (classes < count), log_p, float("nan")))


def multinomial_log_likelihood(x: Any, logits: Any) -> Any:
    """Return the log-likelihood of counts as draws in some order, given logits over the last axis.

    `sum over v of x_v * log softmax(logits)_v`: the number of orders (the multinomial coefficient), which depends on
    the data alone, is left out, as in topic models, so that perplexity follows from it.

    Args:
        x: Counts of shape `(batch_size, ..., vocabulary_size)`.
        logits: Logits of the same shape.

    Returns:
        The sum over all axes but the first, in nats, of shape `(batch_size,)`.
    """
    return sum_per_sample(x * ops.log_softmax(logits, axis=-1))


def poisson_log_likelihood(x: Any, log_rates: Any) -> Any:
    """Return `log p(x)` of independent Poisson variables, given their log rates, constants included.

    Args:
        x: Counts of shape `(batch_size, ...)`.
        log_rates: Log rates of the same shape.

    Returns:
        The sum over all axes but the first, in nats, of shape `(batch_size,)`.
    """
    return sum_per_sample(x * log_rates - ops.exp(log_rates) - _log_factorial(x))


def _for_each_draw(values: Any, x: Any, reconstruction: Any) -> Any:
    """Repeat values that broadcast against the data for each draw, as samples: `(batch_size * k, ...)`.

    Values that have an axis of draws already only lose it; numbers stay.
    """
    if values is None or isinstance(values, int | float):
        return values
    values = ops.convert_to_tensor(values)
    if len(values.shape) == len(x.shape) + 1:
        shape = (*ops.shape(reconstruction)[:2], *ops.shape(x)[1:])
        return ops.reshape(ops.broadcast_to(values, shape), (-1, *ops.shape(x)[1:]))
    values = ops.broadcast_to(values, ops.shape(x))
    repeated = ops.repeat(ops.expand_dims(values, 1), ops.shape(reconstruction)[1], axis=1)
    return ops.reshape(repeated, (-1, *ops.shape(x)[1:]))


def _check_shapes(x: Any, outputs: Any, likelihood: str) -> None:
    expected, found = tuple(x.shape), tuple(outputs.shape)
    categorical = likelihood == "categorical"
    elements = found[:-1] if categorical else found
    fits = len(elements) == len(expected) and all(
        None in {mine, other} or mine == other for mine, other in zip(elements, expected, strict=True)
    )
    if not fits:
        classes = ", with the classes on one more axis, the last" if categorical else ""
        raise ValueError(
            f"With likelihood={likelihood!r} the decoder must put out the shape of the data{classes}. "
            f"Received: data of shape {expected}, decoder outputs of shape {found}"
        )


def sum_per_sample(values: Any) -> Any:
    """Sum over every axis but the first."""
    axes = tuple(range(1, len(values.shape)))
    return ops.sum(values, axis=axes) if axes else values


def _log_factorial(x: Any) -> Any:
    """Return `log(x!)` by Stirling's series at `x + 9`, stepped down by the recurrence: to float's own precision."""
    z = x + 9.0
    series = (z - 0.5) * ops.log(z) - z + 0.5 * math.log(2 * math.pi) + 1 / (12 * z) - 1 / (360 * z**3)
    return series - sum(ops.log(x + step) for step in range(1, 9))


_LIKELIHOODS: dict[str, Callable[[Any, Any], Any]] = {
    "bernoulli": bernoulli_log_likelihood,
    "categorical": categorical_log_likelihood,
    "multinomial": multinomial_log_likelihood,
    "poisson": poisson_log_likelihood,
}
