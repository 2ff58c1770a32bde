"""Independent normal numbers."""

from __future__ import annotations

from typing import Any

import keras
import kplug
from keras import ops

from kplug_bayes.outputs.backend_distributions import distributions
from kplug_bayes.outputs.event_layer import EventShape, IndependentLayer, event_size
from kplug_bayes.outputs.normal_density import deviation, log_deviation, normal_log_density
from kplug_bayes.variational.mean_field_normal import noise

_NIX = "Nix & Weigend (1994), Estimating the Mean and Variance of the Target Probability Distribution, IEEE ICNN"


@kplug.component(references=[_NIX])
@keras.saving.register_keras_serializable(package="bayes")
class IndependentNormal(IndependentLayer):
    """Reads its inputs as means and deviations of independent normal numbers: for regression with noise that varies.

    ```
    loc, untransformed_scale = halves of the last axis,    scale = softplus(untransformed_scale)
    ```

    (Nix & Weigend 1994.) The layer puts out its inputs, and `negative_log_likelihood` is the loss; `mean`, `stddev`,
    `sample`, `log_prob` and `distribution` take what the model puts out. Parameters are those of TensorFlow
    Probability's layer, except that 1e-15 is added to the scale. All is computed in float32 under mixed precision; give
    this layer and the one before it `dtype="float32"` where half precision does not hold the means. Masks are handed
    on.

    Args:
        event_shape: Shape of one event: a whole number for vectors, `()` for one number.
        convert_to: What the layer puts out: `"parameters"` (for the likelihood), `"mean"`, `"mode"` or `"sample"`.
        seed: Whole number that makes the draws repeat, or `None`.
        **kwargs: Keras' own layer arguments (`name`, `dtype`, …).

    Call arguments:
        inputs: A tensor of shape `(batch_size, ..., params_size(event_shape))`.

    Returns:
        The inputs; with `convert_to` a tensor of shape `(batch_size, ..., *event_shape)`.

    Raises:
        ValueError: If a parameter is out of range.

    References:
        Nix & Weigend (1994), Estimating the Mean and Variance of the Target Probability Distribution, IEEE ICNN,
        https://doi.org/10.1109/ICNN.1994.374138

    Example:

    >>> layer = kplug_bayes.IndependentNormal(1)
    >>> model = keras.Sequential([keras.layers.Dense(kplug_bayes.IndependentNormal.params_size(1)), layer])
    >>> model.compile("adam", loss=layer.negative_log_likelihood)
    >>> x, y = np.ones((8, 3), "float32"), np.ones((8, 1), "float32")
    >>> history = model.fit(x, y, verbose=0)
    >>> outputs = model.predict(x, verbose=0)
    >>> tuple(layer.mean(outputs).shape), tuple(layer.stddev(outputs).shape)
    ((8, 1), (8, 1))
    """

    @staticmethod
    def params_size(event_shape: EventShape = ()) -> int:
        """Return how many parameters an event of this shape takes: two for each number."""
        return 2 * event_size(event_shape)

    def loc_and_scale(self, parameters: Any) -> tuple[Any, Any]:
        """Return means and standard deviations, each of shape `(*batch, *event_shape)`."""
        loc, untransformed = self._halves(parameters)
        return loc, deviation(untransformed)

    def log_prob(self, parameters: Any, value: Any) -> Any:
        value = self.of_events(self.precise(parameters), value)
        loc, untransformed = self._halves(parameters)
        return self.summed(normal_log_density(value, loc, log_deviation(untransformed)))

    def _halves(self, parameters: Any) -> tuple[Any, Any]:
        parameters = self.precise(parameters)
        half = self.parameters_per_event // 2
        return self.events(parameters, parameters[..., :half]), self.events(parameters, parameters[..., half:])

    def mean(self, parameters: Any) -> Any:
        return self.loc_and_scale(parameters)[0]

    def mode(self, parameters: Any) -> Any:
        return self.mean(parameters)

    def stddev(self, parameters: Any) -> Any:
        return self.loc_and_scale(parameters)[1]

    def variance(self, parameters: Any) -> Any:
        return ops.square(self.stddev(parameters))

    def sample(self, parameters: Any) -> Any:
        loc, scale = self.loc_and_scale(parameters)
        return loc + noise(scale, self.seed_generator)

    def distribution(self, parameters: Any) -> Any:
        module = distributions()
        return module.Independent(module.Normal(*self.loc_and_scale(parameters)), len(self.event_shape))
