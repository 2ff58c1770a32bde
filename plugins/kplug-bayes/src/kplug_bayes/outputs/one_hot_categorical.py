"""One of several classes."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar

import keras
import kplug
from keras import ops
from pydantic import Field

from kplug_bayes.checked_numbers import checked_count
from kplug_bayes.outputs.backend_distributions import distributions
from kplug_bayes.outputs.distribution_layer import Conversion
from kplug_bayes.outputs.event_layer import EventLayer

_ROUNDING = 1e-2


@kplug.component()
@keras.saving.register_keras_serializable(package="bayes")
class OneHotCategorical(EventLayer):
    """Reads its inputs as logits of one class out of several, which is an event of one 1 and zeros.

    ```
    log p(x) = sum over classes of x log_softmax(logits)
    ```

    The layer puts out its inputs, and `negative_log_likelihood` is the loss: of class numbers, of one-hot targets, or
    of shares that add up to 1. Of any other target it is NaN, so that training on it shows at once. `mean` (the
    probabilities), `sample`, `log_prob` and `distribution` take what the model puts out. All is computed in float32
    under mixed precision. Masks are handed on.

    Args:
        event_size: Number of classes, at least 2.
        convert_to: What the layer puts out: `"parameters"` (for the likelihood), `"mean"`, `"mode"` or `"sample"`.
        seed: Whole number that makes the draws repeat, or `None`.
        **kwargs: Keras' own layer arguments (`name`, `dtype`, …).

    Call arguments:
        inputs: A tensor of shape `(batch_size, ..., event_size)`.

    Returns:
        A tensor of the same shape: the inputs, or what `convert_to` says.

    Raises:
        ValueError: If a parameter is out of range.

    Example:

    >>> layer = kplug_bayes.OneHotCategorical(3)
    >>> logits = np.zeros((2, 3), "float32")
    >>> [round(float(value), 4) for value in layer.log_prob(logits, np.array([0, 2]))]
    [-1.0986, -1.0986]
    """

    task: ClassVar[str] = "classification"

    def __init__(
        self,
        event_size: Annotated[int, Field(ge=2)],
        convert_to: Conversion = "parameters",
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        if checked_count("event_size", event_size) < 2:
            raise ValueError(
                "`event_size` must be at least 2; for one yes or no use IndependentBernoulli(1). "
                f"Received: event_size={event_size}"
            )
        super().__init__((event_size,), self.params_size(event_size), convert_to, seed, **kwargs)
        self.event_size = int(event_size)

    @staticmethod
    def params_size(event_size: int) -> int:
        """Return how many parameters an event takes: one for each class."""
        return checked_count("event_size", event_size)

    def _shares(self, logits: Any, value: Any) -> tuple[Any, Any]:
        """Return targets as shares of the classes, and whether they are targets: class numbers, or such shares."""
        found, batch = tuple(value.shape), tuple(logits.shape)[:-1]
        if len(found) != len(batch) and (len(found) != len(batch) + 1 or found[-1] != 1):
            shares = self.of_events(logits, value)
            # Labels smoothed in half precision add up to 1 within a hundredth.
            whole = ops.abs(ops.sum(shares, axis=-1) - 1) < _ROUNDING
            return shares, whole & ops.all(shares >= 0, axis=-1)
        classes = ops.reshape(ops.cast(value, "int32"), ops.shape(logits)[:-1])
        given = ops.reshape(ops.cast(value, logits.dtype), ops.shape(classes))
        known = (classes >= 0) & (classes < self.event_size) & (ops.cast(classes, logits.dtype) == given)
        return ops.one_hot(ops.clip(classes, 0, self.event_size - 1), self.event_size, dtype=logits.dtype), known

    def log_prob(self, parameters: Any, value: Any) -> Any:
        logits = self.precise(parameters)
        shares, possible = self._shares(logits, ops.convert_to_tensor(value))
        # Slopes stay finite, so that a target that does not count costs nothing.
        shares = ops.where(ops.expand_dims(possible, -1), shares, 0.0)
        # A class that is ruled out by a logit of minus infinity must not cost where it is not meant.
        terms = ops.where(shares == 0, 0.0, shares * ops.log_softmax(logits, axis=-1))
        return ops.where(possible, ops.sum(terms, axis=-1), float("nan"))

    def mean(self, parameters: Any) -> Any:
        return ops.softmax(self.precise(parameters), axis=-1)

    def mode(self, parameters: Any) -> Any:
        logits = self.precise(parameters)
        return ops.one_hot(ops.argmax(logits, axis=-1), self.event_size, dtype=logits.dtype)

    def variance(self, parameters: Any) -> Any:
        probabilities = self.mean(parameters)
        return probabilities * (1 - probabilities)

    def sample(self, parameters: Any) -> Any:
        logits = self.precise(parameters)
        chosen = drawn_class(logits, self.seed_generator)
        return ops.one_hot(chosen, self.event_size, dtype=logits.dtype)

    def distribution(self, parameters: Any) -> Any:
        return distributions().OneHotCategorical(logits=self.precise(parameters))

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "event_size": self.event_size}


def drawn_class(logits: Any, seed_generator: keras.random.SeedGenerator) -> Any:
    """Return class numbers drawn by logits of shape `(*batch, classes)`, of shape `batch`."""
    # The largest of the logits, each with noise of a standard Gumbel distribution, is such a draw.
    uniform = keras.random.uniform(ops.shape(logits), minval=1e-7, dtype=logits.dtype, seed=seed_generator)
    return ops.argmax(logits - ops.log(-ops.log(uniform)), axis=-1)
