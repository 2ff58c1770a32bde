"""Dense layers with a mean-field kernel, before it is said how they draw."""

from __future__ import annotations

from typing import Annotated, Any

from keras import ops
from pydantic import Field

from kplug_bayes.checked_numbers import checked_count
from kplug_bayes.variational.mean_field_layer import MeanFieldLayer
from kplug_bayes.variational.variational_layer import KerasObject


class MeanFieldDense(MeanFieldLayer):
    """Dense layers with a mean-field kernel of shape `(in_channels, units)`."""

    channel_axis = -1
    axes_of_inputs = {"min_ndim": 2}  # noqa: RUF012 - not changed

    def __init__(
        self,
        units: Annotated[int, Field(ge=1)],
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
            units: Number of outputs, at least 1.
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
        self.units = checked_count("units", units)
        super().__init__(
            channels=self.units,
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
        self.supports_masking = True

    def kernel_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int, ...]:
        return self.in_channels(input_shape), self.units

    def linear(self, inputs: Any, kernel: Any) -> Any:
        return ops.matmul(inputs, kernel)

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        return (*input_shape[:-1], self.units)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "units": self.units}
