"""Independent yes-or-no numbers."""

from __future__ import annotations

from typing import Any, ClassVar

import keras
import kplug
from keras import ops

from kplug_bayes.outputs.backend_distributions import distributions
from kplug_bayes.outputs.event_layer import EventShape, IndependentLayer, event_size


@kplug.component()
@keras.saving.register_keras_serializable(package="bayes")
class IndependentBernoulli(IndependentLayer):
    """Reads its inputs as logits of independent numbers that are 0 or 1: several labels, or the pixels of an image.

    ```
    log p(x) = - sum over numbers of x softplus(-logit) + (1 - x) softplus(logit)
    ```

    The layer puts out its inputs, and `negative_log_likelihood` is the loss; `mean` (the probabilities), `sample`,
    `log_prob` and `distribution` take what the model puts out. Targets between 0 and 1 are weighted as they are; of
    others, -1 say, the log probability is NaN, so that training on them shows at once. All is computed in float32 under
    mixed precision. Masks are handed on.

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

    Example:

    >>> layer = kplug_bayes.IndependentBernoulli((2, 2), convert_to="mean")
    >>> tuple(layer(np.zeros((3, 4), "float32")).shape)
    (3, 2, 2)
    """

    task: ClassVar[str] = "binary"

    @staticmethod
    def params_size(event_shape: EventShape = ()) -> int:
        """Return how many parameters an event of this shape takes: one for each number."""
        return event_size(event_shape)

    def logits(self, parameters: Any) -> Any:
        """Return the logits, of shape `(*batch, *event_shape)`."""
        parameters = self.precise(parameters)
        return self.events(parameters, parameters)

    def log_prob(self, parameters: Any, value: Any) -> Any:
        logits, value = self.logits(parameters), self.of_events(self.precise(parameters), value)
        possible = (value >= 0) & (value <= 1)
        # Slopes stay finite, so that a target that does not count costs nothing.
        value = ops.where(possible, value, 0.0)
        # Zero times the softplus of an infinite logit would be NaN.
        costs = (ops.softplus(-logits), ops.softplus(logits))
        shares = zip((value, 1 - value), costs, strict=True)
        cost = sum(ops.where(share == 0, 0.0, share * cost) for share, cost in shares)
        return -self.summed(ops.where(possible, cost, float("nan")))

    def mean(self, parameters: Any) -> Any:
        return ops.sigmoid(self.logits(parameters))

    def mode(self, parameters: Any) -> Any:
        logits = self.logits(parameters)
        return ops.cast(logits > 0, logits.dtype)

    def variance(self, parameters: Any) -> Any:
        logits = self.logits(parameters)
        return ops.sigmoid(logits) * ops.sigmoid(-logits)

    def sample(self, parameters: Any) -> Any:
        probabilities = self.mean(parameters)
        uniform = keras.random.uniform(ops.shape(probabilities), dtype=probabilities.dtype, seed=self.seed_generator)
        return ops.cast(uniform < probabilities, probabilities.dtype)

    def distribution(self, parameters: Any) -> Any:
        module = distributions()
        return module.Independent(module.Bernoulli(logits=self.logits(parameters)), len(self.event_shape))
