"""The seam to TensorFlow Probability: the only place of the losses that knows it."""

from __future__ import annotations

from typing import Any

import keras

from kplug.errors import ParameterError


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


def _tfd() -> Any:
    if keras.backend.backend() == "tensorflow":
        import tensorflow_probability as tfp

        return tfp.distributions
    if keras.backend.backend() == "jax":
        try:
            from tensorflow_probability.substrates import jax as tfp
        except (ImportError, AttributeError) as error:
            raise ParameterError(
                f"TensorFlow Probability does not work with this version of JAX ({error}): give `mean` and `log_var`."
            ) from error
        return tfp.distributions
    raise ParameterError(
        f"TensorFlow Probability does not run on {keras.backend.backend()}: give `mean` and `log_var`."
    )
