"""Priors of latent variables: densities to train against, and draws to generate from."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
from keras import ops

from kplug.losses import tfp_distributions

PRIORS = ("standard_normal", "gaussian_mixture", "vamp")

_LOG_2_PI = math.log(2 * math.pi)


def gaussian_log_prob(z: Any, mean: Any, log_var: Any) -> Any:
    """Return the log density of a diagonal Gaussian, summed over the last axis; the arguments broadcast."""
    squares = ops.square(z - mean) * ops.exp(-log_var)
    return -0.5 * ops.sum(squares + log_var + _LOG_2_PI, axis=-1)


class StandardNormal(keras.layers.Layer):
    """The standard normal prior.

    Args:
        latent_dim: Number of latent dimensions.
    """

    def __init__(self, latent_dim: int) -> None:
        super().__init__(dtype="float32", name="prior")
        self.latent_dim = latent_dim
        self.built = True

    def log_prob(self, z: Any) -> Any:
        """Return the log density in nats of latent vectors of shape `(..., latent_dim)`, of shape `(...)`."""
        return gaussian_log_prob(z, ops.zeros_like(z), ops.zeros_like(z))

    def sample(self, n: int, seed: int | None = None) -> np.ndarray:
        """Return `n` latent vectors, a float32 array of shape `(n, latent_dim)`."""
        return np.random.default_rng(seed).standard_normal((n, self.latent_dim)).astype("float32")


class _Mixture(keras.layers.Layer):
    """A mixture of diagonal Gaussians; a member gives its components."""

    def components(self) -> tuple[Any, Any, Any]:
        """Return means and log variances of shape `(k, latent_dim)`, and log weights of shape `(k,)`, in float32."""
        raise NotImplementedError

    def log_prob(self, z: Any) -> Any:
        """Return the log density in nats of latent vectors of shape `(..., latent_dim)`, of shape `(...)`."""
        means, log_vars, log_weights = (ops.cast(part, z.dtype) for part in self.components())
        return ops.logsumexp(log_weights + gaussian_log_prob(z[..., None, :], means, log_vars), axis=-1)

    def sample(self, n: int, seed: int | None = None) -> np.ndarray:
        """Return `n` latent vectors, a float32 array of shape `(n, latent_dim)`."""
        means, log_vars, log_weights = map(ops.convert_to_numpy, self.components())
        rng = np.random.default_rng(seed)
        weights = np.exp(log_weights.astype("float64"))
        chosen = rng.choice(len(weights), size=n, p=weights / weights.sum())
        noise = rng.standard_normal((n, means.shape[1]))
        return (means[chosen] + np.exp(log_vars[chosen] / 2) * noise).astype("float32")


class GaussianMixture(_Mixture):
    """A mixture of Gaussians whose means, variances and weights are trained with the model.

    Args:
        latent_dim: Number of latent dimensions.
        components: Number of Gaussians.
        seed: Seed of the means' initial places, or `None`.
    """

    def __init__(self, latent_dim: int, components: int, seed: int | None = None) -> None:
        super().__init__(dtype="float32", name="prior")
        spread = keras.initializers.RandomNormal(stddev=1.0, seed=seed)
        self.means = self.add_weight(shape=(components, latent_dim), initializer=spread, name="means")
        self.log_vars = self.add_weight(shape=(components, latent_dim), initializer="zeros", name="log_vars")
        self.logits = self.add_weight(shape=(components,), initializer="zeros", name="logits")
        self.built = True

    def components(self) -> tuple[Any, Any, Any]:
        return (*map(ops.convert_to_tensor, (self.means, self.log_vars)), ops.log_softmax(self.logits))


class VampPrior(_Mixture):
    """A mixture of the posteriors of made-up samples that are trained with the model (Tomczak & Welling 2018).

    Args:
        shape: Shape of one sample.
        components: Number of made-up samples.
        posterior: Takes samples of shape `(components, ...)`, scaled as the encoder sees them; returns their means and
            log variances.
        seed: Seed of the made-up samples' initial values, or `None`.
    """

    def __init__(
        self, shape: tuple[int, ...], components: int, posterior: Callable[[Any], tuple[Any, Any]], seed: int | None
    ) -> None:
        super().__init__(dtype="float32", name="prior")
        spread = keras.initializers.RandomUniform(0.0, 1.0, seed=seed)
        self.inputs = self.add_weight(shape=(components, *shape), initializer=spread, name="inputs")
        # Whether they have begun at real samples, which is saved with them.
        self.adapted = self.add_weight(shape=(), dtype="bool", initializer="zeros", trainable=False, name="adapted")
        self.posterior = posterior
        self.seed = seed
        self.built = True

    @property
    def has_begun(self) -> bool:
        """Whether the made-up samples have begun at real ones."""
        return bool(ops.convert_to_numpy(self.adapted))

    def adapt(self, x: np.ndarray, seen: Callable[[Any], Any]) -> None:
        """Begin at samples drawn from the data, once.

        Args:
            x: Samples of shape `(n, ...)`.
            seen: Scales samples as the encoder sees them.
        """
        if self.has_begun:
            return
        count = self.inputs.shape[0]
        chosen = np.random.default_rng(self.seed).choice(len(x), size=count, replace=len(x) < count)
        self.inputs.assign(ops.cast(seen(ops.convert_to_tensor(x[chosen])), "float32"))
        self.adapted.assign(True)

    def components(self) -> tuple[Any, Any, Any]:
        means, log_vars = (ops.cast(part, "float32") for part in self.posterior(ops.convert_to_tensor(self.inputs)))
        count = self.inputs.shape[0]
        return means, log_vars, ops.full((count,), -math.log(count))


class DistributionPrior(keras.layers.Layer):
    """A `tfd` distribution as a prior; it is not trained.

    Args:
        distribution: A TensorFlow Probability distribution over vectors of length `latent_dim`, or one of batch shape
            `(latent_dim,)` over numbers.
        latent_dim: Number of latent dimensions.

    Raises:
        ValueError: If it is over something else.
    """

    def __init__(self, distribution: Any, latent_dim: int) -> None:
        super().__init__(dtype="float32", name="prior")
        shape = (*distribution.batch_shape, *distribution.event_shape)
        if tuple(shape) not in {(latent_dim,), ()} or (shape == () and latent_dim != 1):
            raise ValueError(
                f"`prior` must be a distribution over vectors of length latent_dim={latent_dim}. Received one of batch "
                f"shape {tuple(distribution.batch_shape)} and event shape {tuple(distribution.event_shape)}"
            )
        self.distribution = distribution
        self.latent_dim = latent_dim
        self.built = True

    def log_prob(self, z: Any) -> Any:
        """Return the log density in nats of latent vectors of shape `(..., latent_dim)`, of shape `(...)`."""
        density = self.distribution.log_prob(z)
        return density if tuple(self.distribution.event_shape) else ops.sum(density, axis=-1)

    def sample(self, n: int, seed: int | None = None) -> np.ndarray:
        """Return `n` latent vectors, a float32 array of shape `(n, latent_dim)`."""
        draws = tfp_distributions.sample(self.distribution, n, seed)
        return ops.convert_to_numpy(draws).astype("float32").reshape(n, self.latent_dim)
