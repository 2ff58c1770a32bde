"""Layers that draw the noise of their weights anew for each sample, at the price of a second product."""

from __future__ import annotations

import math
from typing import Any

import keras
import kplug
from keras import ops

from kplug_bayes.variational.convolution import MeanFieldConvolution
from kplug_bayes.variational.dense import MeanFieldDense
from kplug_bayes.variational.mean_field_layer import MeanFieldLayer
from kplug_bayes.variational.mean_field_normal import noise

_BITS = 30
"""Signs that one random whole number gives: to draw costs more than to take apart."""

_WEN = "Wen et al. (2018), Flipout, https://arxiv.org/abs/1803.04386"


class Flipout(MeanFieldLayer):
    """Draws the noise of one kernel, and turns it by random signs into that of each sample.

    ```
    outputs_n = linear(inputs_n, loc) + r_n * linear(s_n * inputs_n, scale * epsilon)
    ```

    with signs r_n of the output channels and s_n of the input channels (Wen et al. 2018, equation 4).
    """

    def drawn(self, inputs: Any, loc: Any, scale: Any) -> Any:
        rank, in_channels = len(inputs.shape), inputs.shape[self.channel_axis]
        signs = self._signs(ops.shape(inputs)[0], in_channels + self.channels)
        of_inputs = self.along_channels(signs[:, :in_channels], rank)
        of_outputs = self.along_channels(signs[:, in_channels:], rank)
        perturbation = self.computed(noise(scale, self.seed_generator))
        outputs = self.linear(inputs, self.computed(loc)) + of_outputs * self.linear(of_inputs * inputs, perturbation)
        if self.bias_posterior is None:
            return self.with_bias(outputs, self.bias)
        bias, bias_scale = self.bias_posterior.loc_and_scale()
        of_samples = noise(ops.broadcast_to(bias_scale, (ops.shape(inputs)[0], self.channels)), self.seed_generator)
        return self.with_bias(outputs, bias + of_samples)

    def _signs(self, batch_size: Any, count: int) -> Any:
        """Return -1 and 1 alike often, of shape `(batch_size, count)`, in the compute dtype."""
        drawn = (batch_size, math.ceil(count / _BITS), 1)
        words = keras.random.randint(drawn, 0, 2**_BITS, dtype="int32", seed=self.seed_generator)
        bits = ops.bitwise_and(ops.right_shift(words, ops.arange(_BITS, dtype="int32")), 1)
        return 2 * self.computed(ops.reshape(bits, (batch_size, -1))[:, :count]) - 1


@kplug.component(references=[_WEN], example={"units": 4})
@keras.saving.register_keras_serializable(package="bayes")
class DenseFlipout(Flipout, MeanFieldDense):
    """A dense layer whose weights are normally distributed, with noise of its own for each sample.

    ```
    outputs_n = activation(inputs_n @ loc + r_n * ((s_n * inputs_n) @ (scale * epsilon)) + bias)
    loss += kl_weight * KL(posterior || prior)
    ```

    with random signs r_n, s_n for each sample n (Wen et al. 2018, equation 4). The errors of the samples of a batch are
    uncorrelated, and gradients vary less than with `DenseReparameterization`, at the price of a second product. All
    positions of one sample have the same weights. The layer draws in training and in inference alike: the spread of
    several predictions is what the model does not know. `deterministic` makes it compute with the posterior means.

    With Keras' losses, which are means over samples, `kl_weight = 1 / number of training samples` gives the evidence
    lower bound per sample, whatever the batch size. Masks are handed on. Under mixed precision noise and KL divergence
    are computed in float32.

    Call arguments:
        inputs: A tensor of shape `(batch_size, ..., in_channels)`.

    Returns:
        A tensor of shape `(batch_size, ..., units)`.

    References:
        Wen et al. (2018), Flipout: Efficient Pseudo-Independent Weight Perturbations on Mini-Batches,
        https://arxiv.org/abs/1803.04386

    Example:

    >>> layer = kplug_bayes.DenseFlipout(3, kl_weight=1 / 1000, seed=0)
    >>> tuple(layer(np.ones((2, 4), "float32")).shape)
    (2, 3)
    """


@kplug.component(references=[_WEN], example={"filters": 4, "kernel_size": 2})
@keras.saving.register_keras_serializable(package="bayes")
class Conv1DFlipout(Flipout, MeanFieldConvolution):
    """A convolution over sequences whose weights are normally distributed, with noise of its own for each sample.

    Random signs of input and output channels turn the noise of one kernel into that of each sample (Wen et al. 2018,
    section 3.1), and `kl_weight * KL(posterior || prior)` is added to the loss; draws, inference, `kl_weight` and mixed
    precision are as with `DenseFlipout`. Masks are not supported, as by Keras' own convolutions.

    Call arguments:
        inputs: A tensor of shape `(batch_size, steps, in_channels)`, or with the channels first.

    Returns:
        A tensor of shape `(batch_size, new_steps, filters)`, or with the channels first.

    References:
        Wen et al. (2018), Flipout: Efficient Pseudo-Independent Weight Perturbations on Mini-Batches,
        https://arxiv.org/abs/1803.04386

    Example:

    >>> layer = kplug_bayes.Conv1DFlipout(3, kernel_size=3, kl_weight=1 / 1000, seed=0)
    >>> tuple(layer(np.ones((2, 8, 4), "float32")).shape)
    (2, 6, 3)
    """

    rank = 1


@kplug.component(references=[_WEN], example={"filters": 4, "kernel_size": 2})
@keras.saving.register_keras_serializable(package="bayes")
class Conv2DFlipout(Flipout, MeanFieldConvolution):
    """A convolution over images whose weights are normally distributed, with noise of its own for each sample.

    Random signs of input and output channels turn the noise of one kernel into that of each sample (Wen et al. 2018,
    section 3.1), and `kl_weight * KL(posterior || prior)` is added to the loss; draws, inference, `kl_weight` and mixed
    precision are as with `DenseFlipout`. Masks are not supported, as by Keras' own convolutions.

    Call arguments:
        inputs: A tensor of shape `(batch_size, height, width, in_channels)`, or with the channels first.

    Returns:
        A tensor of shape `(batch_size, new_height, new_width, filters)`, or with the channels first.

    References:
        Wen et al. (2018), Flipout: Efficient Pseudo-Independent Weight Perturbations on Mini-Batches,
        https://arxiv.org/abs/1803.04386

    Example:

    >>> layer = kplug_bayes.Conv2DFlipout(3, kernel_size=3, kl_weight=1 / 1000, seed=0)
    >>> tuple(layer(np.ones((2, 8, 8, 4), "float32")).shape)
    (2, 6, 6, 3)
    """

    rank = 2


@kplug.component(references=[_WEN], example={"filters": 4, "kernel_size": 2})
@keras.saving.register_keras_serializable(package="bayes")
class Conv3DFlipout(Flipout, MeanFieldConvolution):
    """A convolution over volumes whose weights are normally distributed, with noise of its own for each sample.

    Random signs of input and output channels turn the noise of one kernel into that of each sample (Wen et al. 2018,
    section 3.1), and `kl_weight * KL(posterior || prior)` is added to the loss; draws, inference, `kl_weight` and mixed
    precision are as with `DenseFlipout`. Masks are not supported, as by Keras' own convolutions.

    Call arguments:
        inputs: A tensor of shape `(batch_size, depth, height, width, in_channels)`, or with the channels first.

    Returns:
        A tensor of shape `(batch_size, new_depth, new_height, new_width, filters)`, or with the channels first.

    References:
        Wen et al. (2018), Flipout: Efficient Pseudo-Independent Weight Perturbations on Mini-Batches,
        https://arxiv.org/abs/1803.04386

    Example:

    >>> layer = kplug_bayes.Conv3DFlipout(3, kernel_size=3, kl_weight=1 / 1000, seed=0)
    >>> tuple(layer(np.ones((2, 5, 5, 5, 4), "float32")).shape)
    (2, 3, 3, 3, 3)
    """

    rank = 3
