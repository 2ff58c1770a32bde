"""Reparameterised sampling from a diagonal Gaussian."""

from __future__ import annotations

from typing import Annotated, Any

import keras
from keras import ops
from pydantic import Field

from kplug.catalog.facts import component
from kplug.layers.gaussian_pair import check_one_shape, mask_of_the_mean, mean_and_log_var
from kplug.layers.precision import in_dtype, precise_dtype
from kplug.layers.seeded import SeededLayer


@component(
    references=["Kingma & Welling (2013), Auto-Encoding Variational Bayes, https://arxiv.org/abs/1312.6114"],
)
@keras.saving.register_keras_serializable(package="kplug")
class Sampling(SeededLayer):
    """Draws from a diagonal Gaussian given by its mean and log variance, so that gradients reach both.

    The reparameterisation of Kingma & Welling (2013, section 2.4): `z = mean + exp(log_var / 2) * epsilon` with
    `epsilon` standard normal. It draws in training and in inference alike; where inference should be deterministic,
    use the mean itself.

    The layer owns its seed generator: with a `seed` the draws repeat, also after saving and loading, and the
    generator's state is saved with the weights. Under mixed precision the draw is computed in float32 and returned
    in the compute dtype.

    Args:
        num_samples: `None` for one draw of the mean's own shape, or how many draws to stack on a new axis 1.
        seed: Whole number that makes the draws repeat, or `None`.
        **kwargs: Keras' own layer arguments (`name`, `dtype`, …).

    Call arguments:
        inputs: A pair `(mean, log_var)`, both of shape `(batch_size, ..., latent_dim)`.

    Returns:
        Draws of shape `(batch_size, ..., latent_dim)`, or `(batch_size, num_samples, ..., latent_dim)`.

    Raises:
        ValueError: If the inputs are no pair, or of two shapes.

    References:
        Kingma & Welling (2013), Auto-Encoding Variational Bayes, https://arxiv.org/abs/1312.6114

    Example:

    >>> z = kplug.Sampling(seed=1)([np.zeros((4, 2)), np.zeros((4, 2))])
    >>> tuple(z.shape)
    (4, 2)
    """

    def __init__(
        self,
        num_samples: Annotated[int, Field(gt=0)] | None = None,
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(seed=seed, **kwargs)
        if num_samples is not None and num_samples < 1:
            raise ValueError(f"`num_samples` must be at least 1, or None. Received: num_samples={num_samples}")
        self.num_samples = num_samples
        self.supports_masking = True

    def build(self, input_shape: Any) -> None:
        check_one_shape(input_shape, "Sampling")

    def call(self, inputs: Any) -> Any:
        mean, log_var = mean_and_log_var(inputs, "Sampling")
        precise = precise_dtype(self)
        mean, log_var = ops.cast(mean, precise), ops.cast(log_var, precise)
        shape = ops.shape(mean)
        if self.num_samples is not None:
            shape = (shape[0], self.num_samples, *shape[1:])
            mean, log_var = ops.expand_dims(mean, 1), ops.expand_dims(log_var, 1)
        epsilon = keras.random.normal(shape, dtype=precise, seed=self.seed_generator)
        return in_dtype(mean + ops.exp(log_var / 2) * epsilon, self.compute_dtype)

    def compute_output_shape(self, input_shape: Any) -> tuple:
        batch_size, *rest = mean_and_log_var(input_shape, "Sampling")[0]
        return (batch_size, *rest) if self.num_samples is None else (batch_size, self.num_samples, *rest)

    def compute_mask(self, inputs: Any, mask: Any = None) -> Any:
        del inputs
        mask = mask_of_the_mean(mask)
        if mask is None or self.num_samples is None or len(mask.shape) == 1:
            return mask
        return ops.repeat(ops.expand_dims(mask, 1), self.num_samples, axis=1)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "num_samples": self.num_samples}
