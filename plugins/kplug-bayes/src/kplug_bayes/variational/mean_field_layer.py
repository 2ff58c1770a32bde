"""What layers with a mean-field kernel share, whatever they do with it and however they draw."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops
from kplug.layers import derived_seeds

from kplug_bayes.variational.mean_field_normal import MeanFieldNormal
from kplug_bayes.variational.normal_prior import NormalPrior
from kplug_bayes.variational.variational_layer import KerasObject, VariationalLayer


class MeanFieldLayer(VariationalLayer):
    """A layer that is linear in a kernel of independent normal weights, plus a bias, under an activation.

    A geometry says what the kernel does to inputs (`kernel_shape`, `linear`, `channel_axis`), an estimator how outputs
    are drawn (`drawn`).

    Args:
        channels: Number of output channels.
        use_bias: Whether there is a bias.
        random_bias: Whether the bias is random too.
        prior_scale: Standard deviation of the prior N(0, prior_scale^2), above 0.
        initial_untransformed_scale: Mean of what the untransformed posterior deviations begin at.
        loc_initializer: How the means of the kernel begin.
        **kwargs: Arguments of `VariationalLayer`.
    """

    def __init__(
        self,
        channels: int,
        use_bias: bool = True,
        random_bias: bool = False,
        prior_scale: float = 1.0,
        initial_untransformed_scale: float = -3.0,
        loc_initializer: KerasObject = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if random_bias and not use_bias:
            raise ValueError(
                "`random_bias` needs a bias: set use_bias=True, or random_bias=False. "
                "Received: use_bias=False, random_bias=True"
            )
        self.input_spec = keras.layers.InputSpec(**self.axes_of_inputs)
        self.channels = channels
        self.use_bias = use_bias
        self.random_bias = random_bias
        self.prior_scale = prior_scale
        self.initial_untransformed_scale = initial_untransformed_scale
        self.loc_initializer = keras.initializers.get(loc_initializer)
        kernel_seed, self._bias_seed = derived_seeds(self.seed, 2)
        begin: dict[str, Any] = {
            "initial_untransformed_scale": initial_untransformed_scale,
            "dtype": self.precise_dtype,
        }
        self.prior = NormalPrior(prior_scale, dtype=self.precise_dtype, name="prior")
        self.kernel_posterior = MeanFieldNormal(
            **begin, loc_initializer=self.loc_initializer, seed=kernel_seed, name="kernel_posterior"
        )
        self.bias_posterior = (
            MeanFieldNormal(**begin, seed=self._bias_seed, name="bias_posterior") if random_bias else None
        )
        self.bias: Any = None

    channel_axis: int
    """The axis of channels: -1, or 1 where they come first."""

    axes_of_inputs: dict[str, int]
    """How many axes inputs have, as Keras' `InputSpec` takes it: `ndim` or `min_ndim`."""

    def in_channels(self, input_shape: tuple[int | None, ...]) -> int:
        """Return the number of input channels.

        Raises:
            ValueError: If it is not known.
        """
        channels = input_shape[self.channel_axis]
        if channels is None:
            raise ValueError(
                f"{type(self).__name__} needs inputs whose number of channels, on axis {self.channel_axis}, is known. "
                f"Received: inputs of shape {tuple(input_shape)}"
            )
        return channels

    def kernel_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int, ...]:
        """Return the shape of the kernel for inputs of this shape."""
        raise NotImplementedError

    def linear(self, inputs: Any, kernel: Any) -> Any:
        """Return what a kernel makes of inputs, without a bias."""
        raise NotImplementedError

    def drawn(self, inputs: Any, loc: Any, scale: Any) -> Any:
        """Return outputs with random weights, without activation.

        Args:
            inputs: In the compute dtype.
            loc: Means of the kernel, in the precise dtype.
            scale: Its standard deviations, likewise.
        """
        raise NotImplementedError

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        super().build(input_shape)
        self.input_spec = keras.layers.InputSpec(
            **self.axes_of_inputs, axes={self.channel_axis: self.in_channels(input_shape)}
        )
        shape = self.kernel_shape(input_shape)
        self.prior.build(shape)
        self.kernel_posterior.build(shape)
        if self.bias_posterior is not None:
            self.bias_posterior.build((self.channels,))
        elif self.use_bias:
            self.bias = self.add_weight(
                shape=(self.channels,),
                initializer=keras.initializers.RandomNormal(stddev=0.1, seed=self._bias_seed),
                name="bias",
            )

    def call(self, inputs: Any) -> Any:
        loc, scale = self.kernel_posterior.loc_and_scale()
        divergence = self.prior.kl_from_normal(loc, scale)
        if self.bias_posterior is not None:
            divergence = divergence + self.prior.kl_from_normal(*self.bias_posterior.loc_and_scale())
        self.add_kl_divergence(divergence)
        if self.deterministic:
            bias = self.bias if self.bias_posterior is None else self.bias_posterior.mean()
            return self.activation(self.with_bias(self.linear(inputs, self.computed(loc)), bias))
        return self.activation(self.drawn(inputs, loc, scale))

    def computed(self, values: Any) -> Any:
        """Return values in the compute dtype."""
        return ops.cast(values, self.compute_dtype)

    def with_bias(self, outputs: Any, bias: Any) -> Any:
        """Add a bias of shape `(channels,)`, or nothing if it is `None`."""
        return outputs if bias is None else outputs + self.along_channels(self.computed(bias), len(outputs.shape))

    def along_channels(self, values: Any, rank: int) -> Any:
        """Give values of shape `(channels,)` or `(batch_size, channels)` axes, so that they broadcast over outputs.

        Args:
            values: One number per channel, for each sample or for all.
            rank: Number of axes of the outputs.
        """
        *batch, channels = ops.shape(values)
        between = [1] * (rank - 2)
        shape = [*between, channels] if self.channel_axis == -1 else [channels, *between]
        return ops.reshape(values, (*(batch or [1]), *shape))

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "use_bias": self.use_bias,
            "random_bias": self.random_bias,
            "prior_scale": self.prior_scale,
            "initial_untransformed_scale": self.initial_untransformed_scale,
            "loc_initializer": self.loc_initializer and keras.initializers.serialize(self.loc_initializer),
        }
