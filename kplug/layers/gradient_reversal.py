"""Gradient reversal."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from kplug.catalog.facts import component


@component(
    references=[
        "Ganin & Lempitsky (2015), Unsupervised Domain Adaptation by Backpropagation, https://arxiv.org/abs/1409.7495"
    ],
)
@keras.saving.register_keras_serializable(package="kplug")
class GradientReversal(keras.layers.Layer):
    """Hands its input on unchanged, and turns the gradient round: what comes before learns to do the opposite.

    ```
    forward: y = x,    backward: dL/dx = -strength * dL/dy
    ```

    (Ganin & Lempitsky 2015, section 3.2.)

    Use it between shared features and a classifier of what the features shall not tell (the domain, a protected
    attribute). The strength is a weight that is not trained: begin low and raise it in a callback
    (`layer.strength.assign(...)`), or the features collapse early.

    Args:
        strength: Factor of the reversed gradient, at least 0.
        **kwargs: Keras' own layer arguments (`name`, `dtype`, …).

    Call arguments:
        inputs: A tensor of any shape.

    Returns:
        The same tensor.

    Raises:
        ValueError: If `strength` is negative.

    References:
        Ganin & Lempitsky (2015), Unsupervised Domain Adaptation by Backpropagation, https://arxiv.org/abs/1409.7495

    Example:

    >>> x = np.array([[1.0, 2.0]], "float32")
    >>> kplug.testing.gradient(kplug.GradientReversal(strength=0.5), x).tolist()
    [[-0.5, -0.5]]
    """

    def __init__(self, strength: float = 1.0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if not strength >= 0:
            raise ValueError(f"`strength` must be at least 0. Received: strength={strength}")
        self._initial_strength = strength
        self.strength = self.add_weight(
            shape=(),
            initializer=keras.initializers.Constant(strength),
            trainable=False,
            autocast=False,
            name="strength",
        )
        self.supports_masking = True

    def call(self, inputs: Any) -> Any:
        strength = ops.cast(self.strength, inputs.dtype)
        # The value of x, with the gradient of -strength * x.
        return ops.stop_gradient(inputs) - strength * (inputs - ops.stop_gradient(inputs))

    def compute_output_shape(self, input_shape: Any) -> Any:
        return input_shape

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "strength": self._initial_strength}
