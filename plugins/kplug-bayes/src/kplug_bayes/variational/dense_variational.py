"""A dense layer with a prior and a posterior of one's own."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Annotated, Any

import keras
import kplug
from keras import ops
from kplug.layers import derived_seeds
from pydantic import Field, WithJsonSchema

from kplug_bayes.checked_numbers import checked_count
from kplug_bayes.variational.mean_field_normal import MeanFieldNormal
from kplug_bayes.variational.multivariate_normal import MultivariateNormal
from kplug_bayes.variational.normal_mixture_prior import NormalMixturePrior
from kplug_bayes.variational.normal_prior import NormalPrior
from kplug_bayes.variational.variational_layer import KerasObject, VariationalLayer
from kplug_bayes.variational.weight_distribution import WeightDistribution

_BLUNDELL = "Blundell et al. (2015), Weight Uncertainty in Neural Networks, https://arxiv.org/abs/1505.05424"

_POSTERIORS: dict[str, Callable[..., WeightDistribution]] = {
    "mean_field_normal": MeanFieldNormal,
    "multivariate_normal": MultivariateNormal,
}
_PRIORS: dict[str, Callable[..., WeightDistribution]] = {
    "normal": NormalPrior,
    "trainable_normal": lambda **kwargs: NormalPrior(trainable_loc=True, **kwargs),
    "normal_mixture": NormalMixturePrior,
}


def _schema(names: dict[str, Any]) -> WithJsonSchema:
    return WithJsonSchema({"anyOf": [{"enum": list(names)}, {"type": "object"}]})


@kplug.component(references=[_BLUNDELL], example={"units": 4})
@keras.saving.register_keras_serializable(package="bayes")
class DenseVariational(VariationalLayer):
    """A dense layer whose weights have a posterior and a prior of one's own.

    ```
    outputs = activation(inputs @ kernel + bias),    loss += kl_weight * KL(posterior || prior)
    ```

    Kernel and bias together are one vector that the posterior draws, once for each batch; so they can be correlated
    (`"multivariate_normal"`). The KL divergence is exact where posterior and prior have a closed form for it, as the
    normal ones do; else it is estimated by `log q(w) - log p(w)` at the draw (Blundell et al. 2015, equation 2). A
    prior with trainable parameters is fitted with the posterior. The layer draws in training and in inference alike;
    `deterministic` makes it compute with the posterior's mean.

    With Keras' losses, which are means over samples, `kl_weight = 1 / number of training samples` gives the evidence
    lower bound per sample, whatever the batch size. Masks are handed on. Under mixed precision weights are drawn, and
    the KL divergence is computed, in float32.

    Args:
        units: Number of outputs, at least 1.
        posterior: `"mean_field_normal"`, `"multivariate_normal"`, or a `WeightDistribution` or its configuration. The
            layer makes one of its own of what it is given.
        prior: `"normal"` (standard normal), `"trainable_normal"` (trained means, deviation 1), `"normal_mixture"`, or
            a `WeightDistribution` or its configuration, likewise.
        activation: Activation of Keras, its name or its configuration; `None` for none.
        use_bias: Whether there is a bias, drawn with the kernel.
        kl_weight: What the KL divergence is multiplied by in the loss: 1 / number of training samples where the loss is
            a mean over samples, as Keras' losses are. May be set later, also between steps of `fit`.
        deterministic: Whether to compute with the posterior's mean in place of draws. An attribute of this name may be
            set later; a compiled model takes note of it when it is compiled next.
        seed: Whole number that makes beginning and draws repeat, or `None`.
        **kwargs: Keras' own layer arguments (`name`, `dtype`, …).

    Call arguments:
        inputs: A tensor of shape `(batch_size, ..., in_channels)`.

    Returns:
        A tensor of shape `(batch_size, ..., units)`.

    Raises:
        ValueError: If a parameter is out of range, or no name or distribution.

    References:
        Blundell et al. (2015), Weight Uncertainty in Neural Networks, https://arxiv.org/abs/1505.05424

    Example:

    >>> layer = kplug_bayes.DenseVariational(3, posterior="multivariate_normal", prior="trainable_normal", seed=0)
    >>> tuple(layer(np.ones((2, 4), "float32")).shape)
    (2, 3)
    """

    def __init__(
        self,
        units: Annotated[int, Field(ge=1)],
        posterior: Annotated[Any, _schema(_POSTERIORS)] = "mean_field_normal",
        prior: Annotated[Any, _schema(_PRIORS)] = "normal",
        activation: KerasObject = None,
        use_bias: bool = True,
        kl_weight: Annotated[float, Field(ge=0)] = 1.0,
        deterministic: bool = False,
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(activation=activation, kl_weight=kl_weight, deterministic=deterministic, seed=seed, **kwargs)
        self.units = checked_count("units", units)
        self.use_bias = use_bias
        (begin,) = derived_seeds(seed, 1)
        self.posterior = self._own("posterior", posterior, _POSTERIORS, seed=begin)
        self.prior = self._own("prior", prior, _PRIORS)
        self.input_spec = keras.layers.InputSpec(min_ndim=2)
        self.supports_masking = True

    def _own(
        self, role: str, given: Any, named: dict[str, Callable[..., WeightDistribution]], **begin: Any
    ) -> WeightDistribution:
        """Return a distribution that is this layer's alone."""
        here = {"name": role, "dtype": self.precise_dtype}
        if isinstance(given, str) and given in named:
            return named[given](**begin, **here)
        found = keras.saving.deserialize_keras_object(given) if isinstance(given, dict) else given
        if not isinstance(found, WeightDistribution):
            raise ValueError(
                f"`{role}` must be a `kplug_bayes.WeightDistribution`, or one of {', '.join(map(repr, named))}. "
                f"Received: {role}={given!r}"
            )
        config = found.get_config()
        config |= {name: value for name, value in begin.items() if config.get(name, value) is None}
        made: WeightDistribution = type(found).from_config({**config, **here})
        return made

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        super().build(input_shape)
        channels = input_shape[-1]
        if channels is None:
            raise ValueError(
                "DenseVariational needs inputs whose last axis is of a known length. "
                f"Received: inputs of shape {tuple(input_shape)}"
            )
        self.input_spec = keras.layers.InputSpec(min_ndim=2, axes={-1: channels})
        self._kernel_shape = (channels, self.units)
        count = math.prod(self._kernel_shape) + (self.units if self.use_bias else 0)
        self.posterior.build((count,))
        self.prior.build((count,))

    def call(self, inputs: Any) -> Any:
        divergence = self.posterior.kl_divergence(self.prior)
        draw = None
        if divergence is None:
            draw, log_density = self.posterior.sample_and_log_prob(self.seed_generator)
            divergence = log_density - self.prior.log_prob(draw)
        elif not self.deterministic:
            draw = self.posterior.sample(self.seed_generator)
        self.add_kl_divergence(divergence)
        weights = ops.cast(self.posterior.mean() if self.deterministic else draw, self.compute_dtype)
        count = math.prod(self._kernel_shape)
        outputs = ops.matmul(inputs, ops.reshape(weights[:count], self._kernel_shape))
        return self.activation(outputs + weights[count:] if self.use_bias else outputs)

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        return (*input_shape[:-1], self.units)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "units": self.units,
            "posterior": keras.saving.serialize_keras_object(self.posterior),
            "prior": keras.saving.serialize_keras_object(self.prior),
            "use_bias": self.use_bias,
        }
