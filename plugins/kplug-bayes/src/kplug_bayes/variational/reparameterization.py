"""Layers that draw their weights once for a batch."""

from __future__ import annotations

from typing import Any

import keras
import kplug

from kplug_bayes.variational.convolution import MeanFieldConvolution
from kplug_bayes.variational.dense import MeanFieldDense
from kplug_bayes.variational.mean_field_layer import MeanFieldLayer
from kplug_bayes.variational.mean_field_normal import noise

_BLUNDELL = "Blundell et al. (2015), Weight Uncertainty in Neural Networks, https://arxiv.org/abs/1505.05424"


class Reparameterization(MeanFieldLayer):
    """Draws one kernel for the whole batch: `loc + scale * epsilon` (Blundell et al. 2015, section 3.2)."""

    def drawn(self, inputs: Any, loc: Any, scale: Any) -> Any:
        outputs = self.linear(inputs, self.computed(loc + noise(scale, self.seed_generator)))
        if self.bias_posterior is not None:
            return self.with_bias(outputs, self.bias_posterior.sample(self.seed_generator))
        return self.with_bias(outputs, self.bias)


@kplug.component(references=[_BLUNDELL], example={"units": 4})
@keras.saving.register_keras_serializable(package="bayes")
class DenseReparameterization(Reparameterization, MeanFieldDense):
    """A dense layer whose weights are normally distributed, drawn once for each batch.

    ```
    outputs = activation(inputs @ (loc + scale * epsilon) + bias),    loss += kl_weight * KL(posterior || prior)
    ```

    (Blundell et al. 2015.) All samples of a batch have the same weights, so that their errors go together; with
    `DenseFlipout` or `DenseLocalReparameterization` gradients vary less. The layer draws in training and in inference
    alike: the spread of several predictions is what the model does not know. `deterministic` makes it compute with the
    posterior means.

    With Keras' losses, which are means over samples, `kl_weight = 1 / number of training samples` gives the evidence
    lower bound per sample, whatever the batch size. Masks are handed on. Under mixed precision noise and KL divergence
    are computed in float32.

    Call arguments:
        inputs: A tensor of shape `(batch_size, ..., in_channels)`.

    Returns:
        A tensor of shape `(batch_size, ..., units)`.

    References:
        Blundell et al. (2015), Weight Uncertainty in Neural Networks, https://arxiv.org/abs/1505.05424

    Example:

    >>> layer = kplug_bayes.DenseReparameterization(3, kl_weight=1 / 1000, seed=0)
    >>> tuple(layer(np.ones((2, 4), "float32")).shape)
    (2, 3)
    >>> len(layer.losses)
    1
    """


@kplug.component(references=[_BLUNDELL], example={"filters": 4, "kernel_size": 2})
@keras.saving.register_keras_serializable(package="bayes")
class Conv1DReparameterization(Reparameterization, MeanFieldConvolution):
    """A convolution over sequences whose weights are normally distributed, drawn once for each batch.

    The kernel is `loc + scale * epsilon`, and `kl_weight * KL(posterior || prior)` is added to the loss (Blundell et
    al. 2015); draws, inference, `kl_weight` and mixed precision are as with `DenseReparameterization`. Masks are not
    supported, as by Keras' own convolutions.

    Call arguments:
        inputs: A tensor of shape `(batch_size, steps, in_channels)`, or with the channels first.

    Returns:
        A tensor of shape `(batch_size, new_steps, filters)`, or with the channels first.

    References:
        Blundell et al. (2015), Weight Uncertainty in Neural Networks, https://arxiv.org/abs/1505.05424

    Example:

    >>> layer = kplug_bayes.Conv1DReparameterization(3, kernel_size=3, kl_weight=1 / 1000, seed=0)
    >>> tuple(layer(np.ones((2, 8, 4), "float32")).shape)
    (2, 6, 3)
    """

    rank = 1


@kplug.component(references=[_BLUNDELL], example={"filters": 4, "kernel_size": 2})
@keras.saving.register_keras_serializable(package="bayes")
class Conv2DReparameterization(Reparameterization, MeanFieldConvolution):
    """A convolution over images whose weights are normally distributed, drawn once for each batch.

    The kernel is `loc + scale * epsilon`, and `kl_weight * KL(posterior || prior)` is added to the loss (Blundell et
    al. 2015); draws, inference, `kl_weight` and mixed precision are as with `DenseReparameterization`. Masks are not
    supported, as by Keras' own convolutions.

    Call arguments:
        inputs: A tensor of shape `(batch_size, height, width, in_channels)`, or with the channels first.

    Returns:
        A tensor of shape `(batch_size, new_height, new_width, filters)`, or with the channels first.

    References:
        Blundell et al. (2015), Weight Uncertainty in Neural Networks, https://arxiv.org/abs/1505.05424

    Example:

    >>> layer = kplug_bayes.Conv2DReparameterization(3, kernel_size=3, kl_weight=1 / 1000, seed=0)
    >>> tuple(layer(np.ones((2, 8, 8, 4), "float32")).shape)
    (2, 6, 6, 3)
    """

    rank = 2


@kplug.component(references=[_BLUNDELL], example={"filters": 4, "kernel_size": 2})
@keras.saving.register_keras_serializable(package="bayes")
class Conv3DReparameterization(Reparameterization, MeanFieldConvolution):
    """A convolution over volumes whose weights are normally distributed, drawn once for each batch.

    The kernel is `loc + scale * epsilon`, and `kl_weight * KL(posterior || prior)` is added to the loss (Blundell et
    al. 2015); draws, inference, `kl_weight` and mixed precision are as with `DenseReparameterization`. Masks are not
    supported, as by Keras' own convolutions.

    Call arguments:
        inputs: A tensor of shape `(batch_size, depth, height, width, in_channels)`, or with the channels first.

    Returns:
        A tensor of shape `(batch_size, new_depth, new_height, new_width, filters)`, or with the channels first.

    References:
        Blundell et al. (2015), Weight Uncertainty in Neural Networks, https://arxiv.org/abs/1505.05424

    Example:

    >>> layer = kplug_bayes.Conv3DReparameterization(3, kernel_size=3, kl_weight=1 / 1000, seed=0)
    >>> tuple(layer(np.ones((2, 5, 5, 5, 4), "float32")).shape)
    (2, 3, 3, 3, 3)
    """

    rank = 3
