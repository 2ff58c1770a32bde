"""Networks that say what states, or actions in states, are worth."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from kplug.layers.seeded import derived_seeds


class Critics(keras.layers.Layer):
    """Several dense networks of one shape, each with one number as its output: estimates of a value.

    Args:
        count: Number of networks.
        units: Units of the hidden layers.
        activation: Activation of the hidden layers.
        seed: Whole number that makes the initial weights repeat, or `None`.
        **kwargs: Keras' own layer arguments.

    Call arguments:
        inputs: A tensor of shape `(batch_size, features)`.
        frozen: Whether gradients pass the networks without reaching their weights.

    Returns:
        A list with a tensor of shape `(batch_size,)` from each network, in float32 or better.
    """

    def __init__(self, count: int, units: Sequence[int], activation: str, seed: int | None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._sizes = (*units, 1)
        self._activation = keras.activations.get(activation)
        self._seeds = derived_seeds(seed, count)
        self.networks: list[list[tuple[Any, Any]]] = []

    def build(self, input_shape: Any) -> None:
        for number, seed in enumerate(self._seeds):
            width, layers = input_shape[-1], []
            for depth, (size, one) in enumerate(zip(self._sizes, derived_seeds(seed, len(self._sizes)), strict=True)):
                initializer = keras.initializers.GlorotUniform(one)
                kernel = self.add_weight(shape=(width, size), initializer=initializer, name=f"kernel_{number}_{depth}")
                bias = self.add_weight(shape=(size,), initializer="zeros", name=f"bias_{number}_{depth}")
                layers.append((kernel, bias))
                width = size
            self.networks.append(layers)
        self.built = True

    def call(self, inputs: Any, frozen: bool = False) -> list[Any]:
        values = []
        for layers in self.networks:
            features = ops.cast(inputs, self.compute_dtype)
            for depth, (kernel, bias) in enumerate(layers):
                weights = tuple(ops.cast(ops.convert_to_tensor(part), self.compute_dtype) for part in (kernel, bias))
                if frozen:
                    weights = tuple(map(ops.stop_gradient, weights))
                features = ops.matmul(features, weights[0]) + weights[1]
                if depth < len(layers) - 1:
                    features = self._activation(features)
            values.append(ops.cast(features[:, 0], "float64" if self.compute_dtype == "float64" else "float32"))
        return values
