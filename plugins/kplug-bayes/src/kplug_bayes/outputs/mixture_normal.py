"""A mixture of normal distributions."""

from __future__ import annotations

from typing import Annotated, Any

import keras
import kplug
from keras import ops
from pydantic import Field

from kplug_bayes.checked_numbers import checked_count
from kplug_bayes.outputs.backend_distributions import distributions
from kplug_bayes.outputs.distribution_layer import Conversion
from kplug_bayes.outputs.event_layer import EventLayer, EventShape, event_size
from kplug_bayes.outputs.normal_density import deviation, log_deviation, normal_log_density
from kplug_bayes.outputs.one_hot_categorical import drawn_class
from kplug_bayes.variational.mean_field_normal import noise

_BISHOP = "Bishop (1994), Mixture Density Networks, Aston University, NCRG/94/004"


@kplug.component(references=[_BISHOP])
@keras.saving.register_keras_serializable(package="bayes")
class MixtureNormal(EventLayer):
    """Reads its inputs as a mixture of normal distributions: for targets that can lie in several places.

    ```
    p(y) = sum over components k of softmax(logits)_k * product over numbers i of N(y_i; loc_ki, scale_ki^2)
    ```

    (Bishop 1994, equations 22 and 23.) The inputs are the logits, then for each component its means and its
    untransformed deviations, as in TensorFlow Probability; `scale = softplus(untransformed_scale) + 1e-15`. The layer
    puts out its inputs, and `negative_log_likelihood` is the loss; `mean`, `stddev`, `sample`, `log_prob` and
    `distribution` take what the model puts out. Gradients of a draw reach the component that was drawn, and not the
    logits. All is computed in float32 under mixed precision. Masks are handed on.

    Args:
        num_components: Number of components, at least 1.
        event_shape: Shape of one event: a whole number for vectors, `()` for one number.
        convert_to: What the layer puts out: `"parameters"` (for the likelihood), `"mean"` or `"sample"`.
        seed: Whole number that makes the draws repeat, or `None`.
        **kwargs: Keras' own layer arguments (`name`, `dtype`, …).

    Call arguments:
        inputs: A tensor of shape `(batch_size, ..., params_size(num_components, event_shape))`.

    Returns:
        The inputs; with `convert_to` a tensor of shape `(batch_size, ..., *event_shape)`.

    Raises:
        ValueError: If a parameter is out of range.

    References:
        Bishop (1994), Mixture Density Networks, Aston University, NCRG/94/004

    Example:

    >>> layer = kplug_bayes.MixtureNormal(3, event_shape=2)
    >>> kplug_bayes.MixtureNormal.params_size(3, event_shape=2)
    15
    >>> tuple(layer.mean(np.zeros((5, 15), "float32")).shape)
    (5, 2)
    """

    def __init__(
        self,
        num_components: Annotated[int, Field(ge=1)],
        event_shape: EventShape = (),
        convert_to: Conversion = "parameters",
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        self.num_components = checked_count("num_components", num_components)
        super().__init__(event_shape, self.params_size(num_components, event_shape), convert_to, seed, **kwargs)

    @staticmethod
    def params_size(num_components: int, event_shape: EventShape = ()) -> int:
        """Return how many parameters an event takes: for each component one, and two for each number."""
        return checked_count("num_components", num_components) * (1 + 2 * event_size(event_shape))

    def components(self, parameters: Any) -> tuple[Any, Any, Any]:
        """Return the components.

        Returns:
            Logits of shape `(*batch, num_components)`; means and standard deviations, each of shape
            `(*batch, num_components, *event_shape)`.
        """
        logits, loc, untransformed = self._parts(parameters)
        return logits, loc, deviation(untransformed)

    def _parts(self, parameters: Any) -> tuple[Any, Any, Any]:
        parameters = self.precise(parameters)
        count, size = self.num_components, event_size(self.event_shape)
        batch = ops.shape(parameters)[:-1]
        each = ops.reshape(parameters[..., count:], (*batch, count, 2 * size))
        shape = (*batch, count, *self.event_shape)
        return (
            parameters[..., :count],
            ops.reshape(each[..., :size], shape),
            ops.reshape(each[..., size:], shape),
        )

    def log_prob(self, parameters: Any, value: Any) -> Any:
        logits, loc, untransformed = self._parts(parameters)
        value = self.of_events(self.precise(parameters), value)
        value = ops.expand_dims(value, -1 - len(self.event_shape))
        densities = self.summed(normal_log_density(value, loc, log_deviation(untransformed)))
        return ops.logsumexp(ops.log_softmax(logits, axis=-1) + densities, axis=-1)

    def mean(self, parameters: Any) -> Any:
        logits, loc, _ = self.components(parameters)
        return self._expected(logits, loc)

    def variance(self, parameters: Any) -> Any:
        logits, loc, scale = self.components(parameters)
        mean = ops.expand_dims(self._expected(logits, loc), -1 - len(self.event_shape))
        return self._expected(logits, ops.square(scale) + ops.square(loc - mean))

    def sample(self, parameters: Any) -> Any:
        logits, loc, scale = self.components(parameters)
        chosen = ops.one_hot(drawn_class(logits, self.seed_generator), self.num_components, dtype=loc.dtype)
        return self._weighted(chosen, loc + noise(scale, self.seed_generator))

    def distribution(self, parameters: Any) -> Any:
        module = distributions()
        logits, loc, scale = self.components(parameters)
        components = module.Independent(module.Normal(loc, scale), len(self.event_shape))
        return module.MixtureSameFamily(module.Categorical(logits=logits), components)

    def _expected(self, logits: Any, values: Any) -> Any:
        return self._weighted(ops.softmax(logits, axis=-1), values)

    def _weighted(self, weights: Any, values: Any) -> Any:
        """Return the sum over components of values of shape `(*batch, num_components, *event_shape)`, weighted."""
        weights = ops.reshape(weights, (*ops.shape(weights), *[1] * len(self.event_shape)))
        return ops.sum(weights * values, axis=-1 - len(self.event_shape))

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "num_components": self.num_components,
            "event_shape": list(self.event_shape),
        }
