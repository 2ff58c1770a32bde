"""Convolutions with a mean-field kernel, before it is said how they draw."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Literal

import keras
from keras import ops
from pydantic import Field

from kplug_bayes.checked_numbers import checked_count
from kplug_bayes.variational.mean_field_layer import MeanFieldLayer
from kplug_bayes.variational.variational_layer import KerasObject

Count = Annotated[int, Field(ge=1)]


class MeanFieldConvolution(MeanFieldLayer):
    """Convolutions with a mean-field kernel of shape `(*kernel_size, in_channels, filters)`."""

    rank: int
    """Number of axes that are convolved over."""

    def __init__(
        self,
        filters: Count,
        kernel_size: Count | Sequence[Count],
        strides: Count | Sequence[Count] = 1,
        padding: Literal["valid", "same"] = "valid",
        data_format: Literal["channels_last", "channels_first"] | None = None,
        dilation_rate: Count | Sequence[Count] = 1,
        activation: KerasObject = None,
        use_bias: bool = True,
        random_bias: bool = False,
        prior_scale: Annotated[float, Field(gt=0)] = 1.0,
        kl_weight: Annotated[float, Field(ge=0)] = 1.0,
        initial_untransformed_scale: float = -3.0,
        loc_initializer: KerasObject = None,
        deterministic: bool = False,
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        """Make the layer.

        Args:
            filters: Number of output channels, at least 1.
            kernel_size: Length of the kernel along each axis, in steps; one number for all axes.
            strides: Steps from one position of the kernel to the next, likewise.
            padding: `"valid"` for positions inside the inputs, `"same"` to fill up with zeros.
            data_format: Where the channels are, `"channels_last"` or `"channels_first"`; `None` for Keras' setting.
            dilation_rate: Steps between entries of the kernel, by axis or for all; with strides, 1.
            activation: Activation of Keras, its name or its configuration; `None` for none.
            use_bias: Whether to add a bias.
            random_bias: Whether the bias has a posterior and a prior as the kernel has; else it is an ordinary weight.
            prior_scale: Standard deviation of the prior N(0, prior_scale^2) of each weight, above 0.
            kl_weight: What the KL divergence is multiplied by in the loss: 1 / number of training samples where the
                loss is a mean over samples, as Keras' losses are. May be set later, also between steps of `fit`.
            initial_untransformed_scale: Mean of what the untransformed posterior deviations begin at: -3 for
                deviations near 0.049, -5 for 0.0067.
            loc_initializer: How the posterior means of the kernel begin: an initializer of Keras, its name or its
                configuration; by default N(0, 0.1^2).
            deterministic: Whether to compute with the posterior means in place of draws. An attribute of this name may
                be set later; a compiled model takes note of it when it is compiled next.
            seed: Whole number that makes beginning and draws repeat, or `None`.
            **kwargs: Keras' own layer arguments (`name`, `dtype`, …).

        Raises:
            ValueError: If a parameter is out of range.
        """
        self.filters = checked_count("filters", filters)
        self.kernel_size = self._sides("kernel_size", kernel_size)
        self.strides = self._sides("strides", strides)
        self.padding = padding
        self.data_format = keras.config.image_data_format() if data_format is None else data_format
        self.dilation_rate = self._sides("dilation_rate", dilation_rate)
        if padding not in {"valid", "same"}:
            raise ValueError(f'`padding` must be "valid" or "same". Received: padding={padding!r}')
        if self.data_format not in {"channels_last", "channels_first"}:
            raise ValueError(
                f'`data_format` must be "channels_last" or "channels_first". Received: data_format={data_format!r}'
            )
        if max(self.strides) > 1 and max(self.dilation_rate) > 1:
            raise ValueError(
                "One of `strides` and `dilation_rate` must be 1. "
                f"Received: strides={strides}, dilation_rate={dilation_rate}"
            )
        self.axes_of_inputs = {"ndim": self.rank + 2}
        self.channel_axis = -1 if self.data_format == "channels_last" else 1
        super().__init__(
            channels=self.filters,
            activation=activation,
            use_bias=use_bias,
            random_bias=random_bias,
            prior_scale=prior_scale,
            kl_weight=kl_weight,
            initial_untransformed_scale=initial_untransformed_scale,
            loc_initializer=loc_initializer,
            deterministic=deterministic,
            seed=seed,
            **kwargs,
        )

    def _sides(self, name: str, value: Any) -> tuple[int, ...]:
        sides = tuple(value) if isinstance(value, Sequence) else (value,) * self.rank
        if len(sides) != self.rank:
            raise ValueError(f"`{name}` must be one number, or {self.rank}. Received: {name}={value}")
        return tuple(checked_count(name, side) for side in sides)

    def kernel_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int, ...]:
        return (*self.kernel_size, self.in_channels(input_shape), self.filters)

    def linear(self, inputs: Any, kernel: Any) -> Any:
        return ops.conv(
            inputs,
            kernel,
            strides=self.strides,
            padding=self.padding,
            data_format=self.data_format,
            dilation_rate=self.dilation_rate,
        )

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        kernel = keras.KerasTensor(self.kernel_shape(input_shape))
        return tuple(self.linear(keras.KerasTensor(input_shape), kernel).shape)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "filters": self.filters,
            "kernel_size": list(self.kernel_size),
            "strides": list(self.strides),
            "padding": self.padding,
            "data_format": self.data_format,
            "dilation_rate": list(self.dilation_rate),
        }
