"""The seam to TensorFlow Probability: the only place that knows it."""

from __future__ import annotations

from typing import Any, Protocol

import keras
import numpy as np

from kplug.errors import ParameterError


class Distribution(Protocol):
    """What is used of a `tfd` distribution besides its parameters."""

    batch_shape: Any
    event_shape: Any

    def log_prob(self, value: Any) -> Any: ...

    def sample(self, sample_shape: Any, seed: Any) -> Any: ...


def check_prior(prior: Any) -> None:
    """Refuse a prior that is no distribution of this backend, or that could not be saved.

    Raises:
        ParameterError: If it is none, or one of its parameters cannot be saved.
    """
    if not isinstance(prior, _tfd().Distribution):
        raise ParameterError(
            f"`prior` must be a name or a TensorFlow Probability distribution. Received: {type(prior).__name__}"
        )
    to_config(prior)


def divergence(posterior: Any, prior: Any = None) -> Any:
    """Return KL(posterior || prior) of two `tfd` distributions; the prior is the standard normal by default.

    Raises:
        ParameterError: If the posterior is no distribution, or this backend has no TensorFlow Probability.
    """
    if not hasattr(posterior, "kl_divergence"):
        raise ParameterError(
            f"`posterior` must be a TensorFlow Probability distribution. Received: {type(posterior).__name__}"
        )
    return posterior.kl_divergence(_standard_normal(posterior) if prior is None else prior)


def _standard_normal(like: Any) -> Any:
    """Return the standard normal in the form that has a closed divergence from `like`."""
    tfd = _tfd()
    zero, one = keras.ops.zeros((), like.dtype), keras.ops.ones((), like.dtype)
    event_shape = tuple(like.event_shape)
    if not event_shape:
        return tfd.Normal(zero, one)
    zeros = keras.ops.zeros(event_shape, like.dtype)
    if isinstance(like, tfd.Independent):
        return tfd.Independent(tfd.Normal(zeros, one), reinterpreted_batch_ndims=len(event_shape))
    return tfd.MultivariateNormalDiag(zeros, keras.ops.ones(event_shape, like.dtype))


def squashed_gaussian(mean: Any, scale: Any, bounds: tuple[Any, Any] | None) -> Any:
    """Return a diagonal Gaussian over the last axis, and with bounds what tanh and stretching between them make of it.

    Args:
        mean: Means of shape `(batch_size, dim)`.
        scale: Standard deviations of the same shape.
        bounds: Lower and upper bounds, each of shape `(dim,)`, or `None`.

    Raises:
        ParameterError: If this backend has no TensorFlow Probability.
    """
    tfp = _tfp()
    gaussian = tfp.distributions.MultivariateNormalDiag(mean, scale)
    if bounds is None:
        return gaussian
    low, high = bounds
    tfb = tfp.bijectors
    bijector = tfb.Chain([tfb.Shift(0.5 * (high + low)), tfb.Scale(0.5 * (high - low)), tfb.Tanh()])
    return tfp.distributions.TransformedDistribution(gaussian, bijector)


def _tfd() -> Any:
    return _tfp().distributions


def _tfp() -> Any:
    if keras.backend.backend() == "tensorflow":
        import tensorflow_probability as tfp

        return tfp
    if keras.backend.backend() == "jax":
        try:
            from tensorflow_probability.substrates import jax as tfp

            _ = tfp.bijectors, tfp.distributions  # imported here, where it fails
        except (ImportError, AttributeError) as error:
            raise ParameterError(
                f"TensorFlow Probability does not work with this version of JAX ({error}): use what kplug has of its "
                "own (`mean` and `log_var`, the priors by name)."
            ) from error
        return tfp
    raise ParameterError(
        f"TensorFlow Probability does not run on {keras.backend.backend()}: use what kplug has of its own (`mean` and "
        "`log_var`, the priors by name)."
    )


def sample(distribution: Any, count: int, seed: int | None) -> Any:
    """Return `count` draws of a `tfd` distribution, on axis 0."""
    seed = int(np.random.SeedSequence().generate_state(1)[0]) if seed is None else seed
    if keras.backend.backend() == "jax":
        import jax

        return distribution.sample(count, seed=jax.random.key(seed))
    # A pair of numbers is a seed without a state: it gives the same draws each time.
    return distribution.sample(count, seed=keras.ops.convert_to_tensor([seed & 0x7FFFFFFF, 0], dtype="int32"))


def to_config(distribution: Any) -> dict[str, Any]:
    """Return a `tfd` distribution as JSON can hold it.

    Raises:
        ParameterError: If one of its parameters is no number, array, text or distribution.
    """
    parameters = {name: _saved(name, value) for name, value in distribution.parameters.items()}
    return {"tfd": type(distribution).__name__, "parameters": parameters}


def from_config(config: dict[str, Any]) -> Any:
    """Return the `tfd` distribution that a configuration describes.

    Raises:
        ParameterError: If there is none of that name.
    """
    tfd = _tfd()
    kind = getattr(tfd, config["tfd"], None)
    if not (isinstance(kind, type) and issubclass(kind, tfd.Distribution)):
        raise ParameterError(f"TensorFlow Probability has no distribution {config['tfd']!r}.")
    return kind(**{name: _loaded(value) for name, value in config["parameters"].items()})


def _saved(name: str, value: Any) -> Any:
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if hasattr(value, "log_prob"):
        return to_config(value)
    if isinstance(value, list | tuple):
        return [_saved(name, one) for one in value]
    if isinstance(value, np.dtype) or hasattr(value, "as_numpy_dtype"):
        return {"dtype": np.dtype(getattr(value, "as_numpy_dtype", value)).name}
    array = keras.ops.convert_to_numpy(value) if hasattr(value, "shape") else np.asarray(value)
    if array.dtype.kind not in "biuf":
        raise ParameterError(
            f"A prior with the parameter {name!r} of type {type(value).__name__} cannot be saved: use numbers, arrays "
            "and distributions."
        )
    return {"array": array.tolist(), "dtype": array.dtype.name}


def _loaded(value: Any) -> Any:
    if isinstance(value, dict) and "tfd" in value:
        return from_config(value)
    if isinstance(value, dict):
        return np.dtype(value["dtype"]) if "array" not in value else np.asarray(value["array"], value["dtype"])
    return value
