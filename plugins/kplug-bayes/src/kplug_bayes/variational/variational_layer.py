"""What all variational layers share: a weighted KL term, draws of their own, and a way to do without them."""

from __future__ import annotations

import math
from typing import Annotated, Any

import keras
from keras import ops
from pydantic import WithJsonSchema

from kplug_bayes.drawing_layer import DrawingLayer

KerasObject = Annotated[
    Any,
    WithJsonSchema({"anyOf": [{"type": "string"}, {"type": "object"}, {"type": "null"}]}),
]
"""A Keras object, its name or its configuration. From JSON, the latter two."""


_DIVERGENCE = "kl_weight=1 / n, for a KL divergence that is divided by n"
_OWN_DISTRIBUTIONS = "`prior_scale` for a normal prior around 0; DenseVariational for any other prior or posterior"
_FORMER = {
    "kernel_divergence_fn": _DIVERGENCE,
    "bias_divergence_fn": _DIVERGENCE,
    "kernel_prior_fn": _OWN_DISTRIBUTIONS,
    "bias_prior_fn": _OWN_DISTRIBUTIONS,
    "kernel_posterior_fn": "`loc_initializer` and `initial_untransformed_scale`; DenseVariational for any other one",
    "bias_posterior_fn": "`random_bias=True` for a random bias, `use_bias=False` for none",
    "make_posterior_fn": "`posterior`, a name or a kplug_bayes.WeightDistribution",
    "make_prior_fn": "`prior`, a name or a kplug_bayes.WeightDistribution",
    "kl_use_exact": "nothing: the KL divergence is exact where it has a closed form",
}
"""Arguments of `tfp.layers`, and what to say here instead."""


class VariationalLayer(DrawingLayer):
    """A layer whose weights are drawn from a posterior, and that adds the KL divergence from a prior to the loss.

    The seed generator belongs to the layer and is saved with its weights. The weight of the KL term is a weight of the
    layer that no optimizer trains, so that compiled steps see it change.

    Args:
        activation: Activation function: of Keras, its name or its configuration.
        kl_weight: What the KL divergence is multiplied by in the loss, at least 0.
        deterministic: Whether to compute with the posterior's mean in place of a draw.
        seed: Whole number that makes beginning and draws repeat, or `None`.
        **kwargs: Keras' own layer arguments (`name`, `dtype`, …).

    Raises:
        ValueError: If `kl_weight` is negative or not finite.
    """

    def __init__(
        self,
        activation: KerasObject = None,
        kl_weight: float = 1.0,
        deterministic: bool = False,
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        for name in kwargs.keys() & _FORMER.keys():
            raise ValueError(f"`{name}` is an argument of `tfp.layers`. Here: {_FORMER[name]}.")
        super().__init__(seed=seed, **kwargs)
        self._kl_variable: Any = None
        self.activation = keras.activations.get(activation)
        self.kl_weight = kl_weight
        self.deterministic = deterministic

    @property
    def kl_weight(self) -> float:
        """What the KL divergence is multiplied by in the loss. May be set at any time, between steps of `fit` too."""
        return self._kl_weight if self._kl_variable is None else float(ops.convert_to_numpy(self._kl_variable))

    @kl_weight.setter
    def kl_weight(self, value: float) -> None:
        if not 0 <= value < math.inf:
            raise ValueError(
                f"`kl_weight` must be at least 0: 1 / number of training samples, say. Received: kl_weight={value}"
            )
        self._kl_weight = float(value)
        if self._kl_variable is not None:
            self._kl_variable.assign(self._kl_weight)

    def assign_kl_weight(self, value: Any) -> None:
        """Set `kl_weight` from within a compiled step, to a scalar tensor of at least 0; the layer must be built."""
        self._kl_variable.assign(value)

    def build(self, input_shape: Any) -> None:
        del input_shape
        self._kl_variable = self.add_weight(
            shape=(),
            dtype=self.precise_dtype,
            initializer=keras.initializers.Constant(self._kl_weight),
            trainable=False,
            autocast=False,
            name="kl_weight",
        )

    def add_kl_divergence(self, divergence: Any) -> None:
        """Add a KL divergence, in nats, to the loss, times `kl_weight`: once for each call of the layer in a pass."""
        weighted = ops.convert_to_tensor(self._kl_variable) * divergence
        # What Keras adds it to is of its `floatx`, whatever the layer computes in.
        self.add_loss(ops.cast(weighted, keras.backend.result_type(keras.config.floatx(), "float32")))

    def load_own_variables(self, store: Any) -> None:
        # It belongs to the data that the layer is trained on, not to the weights; a saved model has it in its config.
        own = self.kl_weight
        super().load_own_variables(store)
        self.kl_weight = own

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "activation": keras.activations.serialize(self.activation),
            "kl_weight": self.kl_weight,
            "deterministic": self.deterministic,
        }
