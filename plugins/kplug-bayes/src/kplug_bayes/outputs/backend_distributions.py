"""The seam to the distributions that each backend has: TensorFlow Probability, or `torch.distributions`."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops


def distributions() -> Any:
    """Return the module of distributions that goes with the backend.

    `tensorflow_probability.distributions` on TensorFlow, `tensorflow_probability.substrates.jax.distributions` on JAX,
    `torch.distributions` on PyTorch. The last names its full-covariance normal otherwise; `Independent`, `Normal`,
    `Bernoulli`, `Categorical`, `OneHotCategorical` and `MixtureSameFamily` are alike.

    Raises:
        ImportError: If TensorFlow Probability is not installed, or does not work with this version of the backend.
    """
    backend = keras.backend.backend()
    if backend == "torch":
        import torch

        return torch.distributions
    try:
        if backend == "tensorflow":
            import tensorflow_probability as tfp

            return tfp.distributions
        return _on_jax()
    except (ImportError, AttributeError) as error:
        raise ImportError(
            f"`distribution` needs TensorFlow Probability, which cannot be imported here with {backend} ({error}). "
            "What the layer has of its own works without it: `log_prob`, `mean`, `variance`, `mode` and `sample`."
        ) from error


def _on_jax() -> Any:
    """Return the distributions of TensorFlow Probability on JAX.

    Version 0.25 makes its arrays known to JAX through a table that newer versions of JAX keep elsewhere: the same table
    is put back where it was.
    """
    from jax.interpreters import xla

    table = "pytype_aval_mappings"
    if not hasattr(xla, table):
        from jax._src import core

        setattr(xla, table, getattr(core, table))
    from tensorflow_probability.substrates import jax as tfp

    return tfp.distributions


def drawn(distribution: Any, seed_generator: keras.random.SeedGenerator) -> Any:
    """Return one draw of a distribution of the backend, by a generator of Keras.

    Gradients flow through it to the parameters where the distribution has a reparameterisation.

    Args:
        distribution: Of TensorFlow Probability or `torch.distributions`.
        seed_generator: What the draw follows from.
    """
    seed = seed_generator.next()
    if keras.backend.backend() != "torch":
        # On TensorFlow a pair of int32 is a seed without a state; on JAX a pair of uint32 is a key.
        return distribution.sample(seed=ops.cast(seed, "int32") if keras.backend.backend() == "tensorflow" else seed)
    import torch

    # PyTorch's distributions draw from the generator that all share: it is as before afterwards.
    with torch.random.fork_rng():
        first, second = (int(part) for part in ops.convert_to_numpy(seed))
        torch.manual_seed((first << 32) ^ second)
        return distribution.rsample() if distribution.has_rsample else distribution.sample()


def moment(distribution: Any, name: str) -> Any:
    """Return mean, variance or mode, which TensorFlow Probability has as methods and PyTorch as properties."""
    found = getattr(distribution, name)
    return found() if callable(found) else found
