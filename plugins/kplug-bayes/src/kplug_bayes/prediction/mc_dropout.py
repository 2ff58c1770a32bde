"""Dropout that stays on when the model predicts."""

from __future__ import annotations

from typing import Annotated, Any

import keras
import kplug
from keras import ops
from pydantic import Field

from kplug_bayes.checked_numbers import check_number
from kplug_bayes.drawing_layer import DrawingLayer

_GAL = "Gal & Ghahramani (2016), Dropout as a Bayesian Approximation, https://arxiv.org/abs/1506.02142"


@kplug.component(references=[_GAL])
@keras.saving.register_keras_serializable(package="bayes")
class MCDropout(DrawingLayer):
    """Dropout that stays on when the model predicts, so that several predictions have a spread.

    Values are set to 0 with probability `rate`, and the others divided by `1 - rate`. The spread of predictions is what
    the model does not know, as if its weights had a posterior (Gal & Ghahramani 2016, section 3). With `deterministic`
    it is Keras' own Dropout: on in training, off in inference. Masks are handed on.

    Args:
        rate: Probability of a value to be set to 0, at least 0 and less than 1.
        deterministic: Whether to leave inputs as they are in inference. An attribute of this name may be set later; a
            compiled model takes note of it when it is compiled next.
        seed: Whole number that makes the draws repeat, or `None`.
        **kwargs: Keras' own layer arguments (`name`, `dtype`, …).

    Call arguments:
        inputs: A tensor of any shape.
        training: Whether the model trains, which matters with `deterministic` only.

    Returns:
        A tensor of the same shape.

    Raises:
        ValueError: If `rate` is out of range.

    References:
        Gal & Ghahramani (2016), Dropout as a Bayesian Approximation, https://arxiv.org/abs/1506.02142

    Example:

    >>> layer = kplug_bayes.MCDropout(0.5, seed=0)
    >>> sorted({float(value) for value in np.asarray(layer(np.ones((1, 50), "float32")))[0]})
    [0.0, 2.0]
    """

    def __init__(
        self,
        rate: Annotated[float, Field(ge=0, lt=1)] = 0.1,
        deterministic: bool = False,
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(seed=seed, **kwargs)
        check_number("rate", rate, 0, 1, ends="[)")
        self.rate = rate
        self.deterministic = deterministic
        self.supports_masking = True

    def call(self, inputs: Any, training: bool | None = None) -> Any:
        if self.rate == 0 or (self.deterministic and not training):
            return inputs
        # On PyTorch Keras' own function draws from the generator that all share.
        uniform = keras.random.uniform(ops.shape(inputs), dtype="float32", seed=self.seed_generator)
        return ops.where(uniform >= self.rate, inputs / (1 - self.rate), ops.zeros_like(inputs))

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        return input_shape

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "rate": self.rate, "deterministic": self.deterministic}
