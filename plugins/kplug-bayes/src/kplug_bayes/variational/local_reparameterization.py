"""A dense layer that draws its outputs in place of its weights."""

from __future__ import annotations

from typing import Any

import keras
import kplug
from keras import ops

from kplug_bayes.variational.dense import MeanFieldDense
from kplug_bayes.variational.mean_field_normal import noise

_KINGMA = (
    "Kingma et al. (2015), Variational Dropout and the Local Reparameterization Trick, https://arxiv.org/abs/1506.02557"
)
_SMALLEST_VARIANCE = 1e-24
"""Keeps the slope of the square root finite where all inputs of a sample are 0."""


@kplug.component(references=[_KINGMA], example={"units": 4})
@keras.saving.register_keras_serializable(package="bayes")
class DenseLocalReparameterization(MeanFieldDense):
    """A dense layer whose weights are normally distributed, and that draws what follows for its outputs.

    ```
    mean = inputs @ loc + bias,    variance = inputs^2 @ scale^2
    outputs = activation(mean + sqrt(variance) * epsilon),    loss += kl_weight * KL(posterior || prior)
    ```

    (Kingma et al. 2015, equation 6.) Weights that are independent and normal make outputs that are so, and
    these can be drawn themselves: with noise of its own for each output, gradients vary least. Every position of a
    sample is drawn for itself, as if it had weights of its own; where positions should share them, use `DenseFlipout`.
    The layer draws in training and in inference alike: the spread of several predictions is what the model does not
    know. `deterministic` makes it compute with the posterior means.

    With Keras' losses, which are means over samples, `kl_weight = 1 / number of training samples` gives the evidence
    lower bound per sample, whatever the batch size. Masks are handed on. Under mixed precision noise, variance and KL
    divergence are computed in float32.

    Call arguments:
        inputs: A tensor of shape `(batch_size, ..., in_channels)`.

    Returns:
        A tensor of shape `(batch_size, ..., units)`.

    References:
        Kingma et al. (2015), Variational Dropout and the Local Reparameterization Trick,
        https://arxiv.org/abs/1506.02557

    Example:

    >>> layer = kplug_bayes.DenseLocalReparameterization(3, kl_weight=1 / 1000, seed=0)
    >>> tuple(layer(np.ones((2, 4), "float32")).shape)
    (2, 3)
    """

    def drawn(self, inputs: Any, loc: Any, scale: Any) -> Any:
        # In half precision a squared deviation of 0.0002 is 0, and a square above 256 infinite.
        variance = self.linear(ops.square(ops.cast(inputs, scale.dtype)), ops.square(scale))
        bias = self.bias
        if self.bias_posterior is not None:
            bias, bias_scale = self.bias_posterior.loc_and_scale()
            variance = variance + ops.square(bias_scale)
        deviation = ops.sqrt(ops.maximum(variance, _SMALLEST_VARIANCE))
        mean = self.with_bias(self.linear(inputs, self.computed(loc)), bias)
        return mean + self.computed(noise(deviation, self.seed_generator))
