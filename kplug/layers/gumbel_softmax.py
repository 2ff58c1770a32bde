"""Relaxed draws of one class out of several."""

from __future__ import annotations

from typing import Annotated, Any

import keras
from keras import ops
from pydantic import Field

from kplug.catalog.facts import component
from kplug.layers.precision import precise_dtype
from kplug.layers.seeded import SeededLayer

Temperature = Annotated[float, Field(gt=0)]


@component(
    references=[
        "Jang et al. (2017), Categorical Reparameterization with Gumbel-Softmax, https://arxiv.org/abs/1611.01144",
        "Maddison et al. (2017), The Concrete Distribution, https://arxiv.org/abs/1611.00712",
    ],
)
@keras.saving.register_keras_serializable(package="kplug")
class GumbelSoftmax(SeededLayer):
    """Draws one class out of several so that gradients reach the logits: a relaxed one-hot vector.

    ```
    y = softmax((logits + g) / temperature),    g = -log(-log(u)),    u uniform
    ```

    (Jang et al. 2017, equation 2.) The lower the temperature, the nearer to one-hot, and the larger the gradients'
    variance. With `straight_through` the output is exactly one-hot and the gradient that of the relaxed vector.

    Use it for discrete latent variables and hard attention. It draws in inference too; for the most likely class take
    the arg-max of the logits. For a learned codebook there is `kplug.VectorQuantizer`.

    Args:
        temperature: Greater than 0; where annealing begins.
        straight_through: Whether to put out exact one-hot vectors.
        final_temperature: Where annealing ends, greater than 0; `None` for no annealing.
        annealing_steps: Over how many training steps the temperature falls, by an equal factor each.
        seed: Whole number that makes the draws repeat, or `None`.
        **kwargs: Keras' own layer arguments (`name`, `dtype`, …).

    Call arguments:
        inputs: Logits of shape `(batch_size, ..., num_classes)`.

    Returns:
        A tensor of the same shape; each vector on the last axis is not negative and sums to 1.

    Raises:
        ValueError: If a temperature is not greater than 0, `annealing_steps` is negative, or only one of
            `final_temperature` and `annealing_steps` is given.

    References:
        Jang et al. (2017), Categorical Reparameterization with Gumbel-Softmax, https://arxiv.org/abs/1611.01144
        Maddison et al. (2017), The Concrete Distribution, https://arxiv.org/abs/1611.00712

    Example:

    >>> layer = kplug.GumbelSoftmax(straight_through=True, seed=0)
    >>> drawn = keras.ops.convert_to_numpy(layer(np.array([[0.0, 100.0, 0.0]], "float32")))
    >>> drawn.round().tolist()
    [[0.0, 1.0, 0.0]]
    """

    def __init__(
        self,
        temperature: Temperature = 1.0,
        straight_through: bool = False,
        final_temperature: Temperature | None = None,
        annealing_steps: Annotated[int, Field(ge=0)] = 0,
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(seed=seed, **kwargs)
        if not temperature > 0 or (final_temperature is not None and not final_temperature > 0):
            raise ValueError(
                "Temperatures must be greater than 0. "
                f"Received: temperature={temperature}, final_temperature={final_temperature}"
            )
        if annealing_steps < 0:
            raise ValueError(f"`annealing_steps` must be at least 0. Received: annealing_steps={annealing_steps}")
        if (final_temperature is None) != (annealing_steps == 0):
            raise ValueError(
                "Annealing needs both `final_temperature` and `annealing_steps`. "
                f"Received: final_temperature={final_temperature}, annealing_steps={annealing_steps}"
            )
        self.temperature = temperature
        self.straight_through = straight_through
        self.final_temperature = final_temperature
        self.annealing_steps = annealing_steps
        self.step: Any = None
        self.supports_masking = True

    def build(self, input_shape: Any) -> None:
        del input_shape
        if self.annealing_steps:
            self.step = self.add_weight(shape=(), dtype="int32", initializer="zeros", trainable=False, name="step")

    def current_temperature(self) -> Any:
        """Return the temperature that the next draw has: a number, or a scalar tensor while it is annealed."""
        if self.step is None or self.final_temperature is None:
            return self.temperature
        share = ops.minimum(ops.cast(self.step, "float32") / self.annealing_steps, 1.0)
        return self.temperature * ops.power(self.final_temperature / self.temperature, share)

    def call(self, inputs: Any, training: bool | None = None) -> Any:
        dtype = precise_dtype(self)
        uniform = keras.random.uniform(
            ops.shape(inputs), minval=1e-7, maxval=1 - 6e-8, dtype=dtype, seed=self.seed_generator
        )
        logits = ops.cast(inputs, dtype) - ops.log(-ops.log(uniform))
        relaxed = ops.softmax(logits / ops.cast(self.current_temperature(), dtype), axis=-1)
        if training and self.step is not None:
            self.step.assign(self.step + 1)
        if self.straight_through:
            hard = ops.one_hot(ops.argmax(relaxed, axis=-1), relaxed.shape[-1], dtype=dtype)
            relaxed = ops.stop_gradient(hard - relaxed) + relaxed
        return ops.cast(relaxed, self.compute_dtype)

    def compute_output_shape(self, input_shape: Any) -> Any:
        return input_shape

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "temperature": self.temperature,
            "straight_through": self.straight_through,
            "final_temperature": self.final_temperature,
            "annealing_steps": self.annealing_steps,
        }
