"""A KL term, added to the loss of the model that the layer is in."""

from __future__ import annotations

from typing import Annotated, Any

import keras
import numpy as np
from keras import ops
from pydantic import Field

from kplug.catalog.facts import component
from kplug.layers.gaussian_pair import check_one_shape, mask_of_the_mean, mean_and_log_var
from kplug.layers.masks import aligned
from kplug.layers.precision import precise_dtype
from kplug.losses.annealing import kl_annealing
from kplug.losses.gaussian_kl import gaussian_kl_by_dimension

_KINGMA = "Kingma & Welling (2013), Auto-Encoding Variational Bayes, https://arxiv.org/abs/1312.6114"
_FU = "Fu et al. (2019), Cyclical Annealing Schedule, https://arxiv.org/abs/1903.10145"


@component(tasks=["image-generation", "density-estimation", "topic-modeling"], references=[_KINGMA, _FU])
@keras.saving.register_keras_serializable(package="kplug")
class KLDivergence(keras.layers.Layer):
    """Adds the KL divergence of a diagonal Gaussian from a prior to the model's loss, and hands its inputs on.

    ```
    loss += weight * sum over latent dimensions of max(free_bits, batch mean of KL_j)
    KL_j = 1/2 * (r_j - 1 - log r_j + (mean_j - prior_mean_j)^2 / prior_var_j),    r_j = var_j / prior_var_j
    ```

    (Kingma & Welling 2013, appendix B; free bits: Kingma et al. 2016.) With annealing the weight rises from 0 to `beta`
    over the training steps, once or in cycles (Fu et al. 2019): the layer counts the steps in a weight of its own,
    which is saved with the model and right on every backend. Outside training the weight is `beta`. Steps of a sequence
    that a mask leaves out add nothing, and the mean is over the samples that have any step.

    Use it to make any functional or subclassed model variational: the loss of `compile` is then the reconstruction
    alone. Mind the scale: the KL term is a sum over dimensions, so the reconstruction must be a sum over elements.

    Args:
        beta: Weight of the term, at least 0.
        annealing_steps: Training steps until the weight is `beta` for good; 0 for no annealing.
        cycles: How often it rises from 0 within them; with more than one, over the first half of each cycle.
        free_bits: Nats per latent dimension that cost nothing, at least 0.
        prior_mean: Mean of the prior: one number, or one per dimension (as `kplug.dirichlet_laplace` gives them).
        prior_log_var: Log variance of the prior, likewise.
        **kwargs: Keras' own layer arguments (`name`, `dtype`, …).

    Call arguments:
        inputs: A pair `(mean, log_var)`, both of shape `(batch_size, ..., latent_dim)`.

    Returns:
        The same pair.

    Raises:
        ValueError: If a parameter is out of range, the inputs are no pair or of two shapes, or the prior is of another
            length than they.

    References:
        Kingma & Welling (2013), Auto-Encoding Variational Bayes, https://arxiv.org/abs/1312.6114
        Kingma et al. (2016), Improving Variational Inference with Inverse Autoregressive Flow,
        https://arxiv.org/abs/1606.04934
        Fu et al. (2019), Cyclical Annealing Schedule, https://arxiv.org/abs/1903.10145

    Example:

    >>> layer = kplug.KLDivergence()
    >>> mean, log_var = layer([np.ones((4, 2), "float32"), np.zeros((4, 2), "float32")])
    >>> float(layer.losses[0])
    1.0
    """

    def __init__(
        self,
        beta: Annotated[float, Field(ge=0)] = 1.0,
        annealing_steps: Annotated[int, Field(ge=0)] = 0,
        cycles: Annotated[int, Field(ge=1)] = 1,
        free_bits: Annotated[float, Field(ge=0)] = 0.0,
        prior_mean: float | list[float] = 0.0,
        prior_log_var: float | list[float] = 0.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        for name, value, least in (
            ("beta", beta, 0),
            ("annealing_steps", annealing_steps, 0),
            ("cycles", cycles, 1),
            ("free_bits", free_bits, 0),
        ):
            if not value >= least:
                raise ValueError(f"`{name}` must be at least {least}. Received: {name}={value}")
        self.beta = beta
        self.annealing_steps = annealing_steps
        self.cycles = cycles
        self.free_bits = free_bits
        self.prior_mean = np.asarray(prior_mean).tolist()
        self.prior_log_var = np.asarray(prior_log_var).tolist()
        self.step: Any = None
        self.supports_masking = True

    def build(self, input_shape: Any) -> None:
        check_one_shape(input_shape, "KLDivergence")
        latent_dim = input_shape[0][-1]
        for name, value in (("prior_mean", self.prior_mean), ("prior_log_var", self.prior_log_var)):
            if np.shape(value) not in {(), (latent_dim,)}:
                raise ValueError(
                    f"`{name}` must be one number, or one for each of the {latent_dim} latent dimensions. "
                    f"Received: {name}={value}"
                )
        if self.annealing_steps:
            self.step = self.add_weight(shape=(), dtype="int32", initializer="zeros", trainable=False, name="step")

    def call(self, inputs: Any, training: bool | None = None, mask: Any = None) -> Any:
        mean, log_var = mean_and_log_var(inputs, "KLDivergence")
        dtype = precise_dtype(self)
        by_dimension = gaussian_kl_by_dimension(
            ops.cast(mean, dtype), ops.cast(log_var, dtype), self.prior_mean, self.prior_log_var
        )
        kept = mask_of_the_mean(mask)
        share: Any = 1.0
        if kept is not None:
            kept = ops.cast(aligned(kept, by_dimension), dtype)
            # As Keras' mean loss: over the samples that are there.
            samples = ops.sum(ops.max(ops.reshape(kept, (ops.shape(kept)[0], -1)), axis=1))
            of_all = ops.cast(ops.shape(kept)[0], dtype) / ops.maximum(samples, 1.0)
            share = of_all * ops.mean(kept, axis=0)
            by_dimension = of_all * by_dimension * kept
        batch_mean = ops.mean(by_dimension, axis=0)
        if self.free_bits:
            # Of the samples that have this step; one that no sample has costs nothing.
            batch_mean = ops.maximum(batch_mean, self.free_bits * share)
        self.add_loss(ops.cast(self._weight(training), dtype) * ops.sum(batch_mean))
        return [mean, log_var]

    def _weight(self, training: bool | None) -> Any:
        if not training or self.step is None:
            return self.beta
        weight = self.beta * kl_annealing(self.step, self.annealing_steps, self.cycles)
        self.step.assign(self.step + 1)
        return weight

    def compute_output_shape(self, input_shape: Any) -> Any:
        return list(mean_and_log_var(input_shape, "KLDivergence"))

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "beta": self.beta,
            "annealing_steps": self.annealing_steps,
            "cycles": self.cycles,
            "free_bits": self.free_bits,
            "prior_mean": self.prior_mean,
            "prior_log_var": self.prior_log_var,
        }
