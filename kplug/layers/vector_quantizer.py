"""Vector quantisation with a learned codebook."""

from __future__ import annotations

from typing import Annotated, Any

import keras
from keras import ops
from pydantic import Field

from kplug.catalog.facts import component
from kplug.layers.seeded import SeededLayer, precise_dtype

PositiveInt = Annotated[int, Field(gt=0)]
_OORD = "van den Oord et al. (2017), Neural Discrete Representation Learning, https://arxiv.org/abs/1711.00937"
_JUKEBOX = "Dhariwal et al. (2020), Jukebox, https://arxiv.org/abs/2005.00341"


@component(tasks=["image-generation"], references=[_OORD, _JUKEBOX])
@keras.saving.register_keras_serializable(package="kplug")
class VectorQuantizer(SeededLayer):
    """Puts the nearest vector of a learned codebook in place of each input vector.

    ```
    q(x) = argmin over codes c of |x - c|,    loss += commitment_cost * mean (x - sg(q))^2  [+ mean (sg(x) - q)^2]
    ```

    The gradient passes straight through to the input (van den Oord et al. 2017, section 3.2). The codebook follows the
    inputs by moving averages of their number and sum per code (appendix A.1), or, with `ema_decay=None`, by the second
    loss. A code that is hardly used begins anew at a random input of the batch (Jukebox, section 3), so that the
    codebook does not collapse. `perplexity` in the logs says how many codes are in use: the exponential of the entropy
    of their shares. (On JAX, whose trainer has no metrics of layers, read the weight `last_perplexity`.)

    Use it for discrete latents (`kplug.VAE` has continuous ones). Training alone moves the codebook.

    Args:
        num_embeddings: Number of codes.
        commitment_cost: Weight of the commitment loss, at least 0.
        ema_decay: Decay of the moving averages, between 0 and 1, or `None` to learn the codebook by gradients.
        restart_threshold: A code whose moving number of uses per batch falls below this begins anew; 0 for never.
            Works with moving averages only.
        epsilon: Smooths the numbers of uses, in uses.
        seed: Whole number that makes the restarts repeat, or `None`.
        **kwargs: Keras' own layer arguments (`name`, `dtype`, …).

    Call arguments:
        inputs: Vectors of shape `(batch_size, ..., dim)`.

    Returns:
        Codes in their place, of the same shape.

    Raises:
        ValueError: If a parameter is out of range.

    References:
        van den Oord et al. (2017), Neural Discrete Representation Learning, https://arxiv.org/abs/1711.00937
        Dhariwal et al. (2020), Jukebox: A Generative Model for Music, https://arxiv.org/abs/2005.00341

    Example:

    >>> layer = kplug.VectorQuantizer(num_embeddings=8, seed=0)
    >>> codes = layer(np.random.default_rng(0).normal(size=(2, 5, 3)).astype("float32"))
    >>> tuple(codes.shape)
    (2, 5, 3)
    """

    def __init__(
        self,
        num_embeddings: PositiveInt,
        commitment_cost: Annotated[float, Field(ge=0)] = 0.25,
        ema_decay: Annotated[float, Field(gt=0, lt=1)] | None = 0.99,
        restart_threshold: Annotated[float, Field(ge=0)] = 0.0,
        epsilon: Annotated[float, Field(gt=0)] = 1e-5,
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(seed=seed, **kwargs)
        for name, value, fits, expected in (
            ("num_embeddings", num_embeddings, num_embeddings >= 1, "at least 1"),
            ("commitment_cost", commitment_cost, commitment_cost >= 0, "at least 0"),
            ("ema_decay", ema_decay, ema_decay is None or 0 < ema_decay < 1, "between 0 and 1, or None"),
            ("restart_threshold", restart_threshold, restart_threshold >= 0, "at least 0"),
            ("epsilon", epsilon, epsilon > 0, "greater than 0"),
        ):
            if not fits:
                raise ValueError(f"`{name}` must be {expected}. Received: {name}={value}")
        if restart_threshold and ema_decay is None:
            raise ValueError(
                f"`restart_threshold` needs moving averages. Received: restart_threshold={restart_threshold}, "
                "ema_decay=None"
            )
        self.num_embeddings = num_embeddings
        self.commitment_cost = commitment_cost
        self.ema_decay = ema_decay
        self.restart_threshold = restart_threshold
        self.epsilon = epsilon
        # Keras' JAX trainer does not take a layer's metrics through its compiled step.
        self.perplexity = keras.metrics.Mean(name="perplexity") if keras.backend.backend() != "jax" else None
        self.supports_masking = True

    def build(self, input_shape: Any) -> None:
        shape = (self.num_embeddings, input_shape[-1])
        initializer = keras.initializers.RandomUniform(-1.0, 1.0, seed=self.seed)
        self.codebook = self.add_weight(
            shape=shape, initializer=initializer, trainable=self.ema_decay is None, name="codebook"
        )
        self.last_perplexity = self.add_weight(shape=(), initializer="ones", trainable=False, name="last_perplexity")
        self.uses: Any = None
        self.sums: Any = None
        if self.ema_decay is not None:
            self.uses = self.add_weight(shape=(self.num_embeddings,), initializer="ones", trainable=False, name="uses")
            self.sums = self.add_weight(shape=shape, initializer="zeros", trainable=False, name="sums")
            self.sums.assign(ops.convert_to_tensor(self.codebook) + 0)  # a buffer of its own

    def call(self, inputs: Any, training: bool | None = None) -> Any:
        dtype = precise_dtype(self)
        vectors = ops.reshape(ops.cast(inputs, dtype), (-1, inputs.shape[-1]))
        chosen = ops.one_hot(self._nearest(vectors), self.num_embeddings, dtype=dtype)
        codes = ops.matmul(chosen, ops.cast(self.codebook, dtype))
        distance = ops.square(vectors - ops.stop_gradient(codes))
        loss = self.commitment_cost * ops.mean(distance)
        if self.ema_decay is None:
            loss = loss + ops.mean(ops.square(ops.stop_gradient(vectors) - codes))
        self.add_loss(loss)
        self._report(chosen)
        if training and self.ema_decay is not None:
            self._follow(ops.stop_gradient(vectors), chosen, self.ema_decay)
        passed = vectors + ops.stop_gradient(codes - vectors)
        return ops.cast(ops.reshape(passed, ops.shape(inputs)), self.compute_dtype)

    def encode(self, inputs: Any) -> Any:
        """Return the numbers of the nearest codes, int32, of the inputs' shape without the last axis."""
        inputs = ops.convert_to_tensor(inputs)
        if not self.built:
            self.build(inputs.shape)
        vectors = ops.reshape(ops.cast(inputs, precise_dtype(self)), (-1, inputs.shape[-1]))
        return ops.reshape(self._nearest(vectors), ops.shape(inputs)[:-1])

    def decode(self, indices: Any) -> Any:
        """Return the codes with these numbers, of one more axis than the numbers."""
        return ops.take(ops.convert_to_tensor(self.codebook), indices, axis=0)

    def _nearest(self, vectors: Any) -> Any:
        codebook = ops.cast(ops.convert_to_tensor(self.codebook), vectors.dtype)
        # |x - c|^2 without |x|^2, which is the same for every code.
        closeness = 2 * ops.matmul(vectors, ops.transpose(codebook)) - ops.sum(ops.square(codebook), axis=1)
        return ops.cast(ops.argmax(closeness, axis=1), "int32")

    def _report(self, chosen: Any) -> None:
        shares = ops.mean(chosen, axis=0)
        entropy = -ops.sum(shares * ops.log(ops.maximum(shares, 1e-10)))
        self.last_perplexity.assign(ops.cast(ops.exp(entropy), self.last_perplexity.dtype))
        if self.perplexity is not None:
            self.perplexity.update_state(ops.exp(entropy))

    def _follow(self, vectors: Any, chosen: Any, decay: float) -> None:
        dtype = self.codebook.dtype
        counts = ops.cast(ops.sum(chosen, axis=0), dtype)
        sums = ops.cast(ops.matmul(ops.transpose(chosen), vectors), dtype)
        uses = decay * ops.convert_to_tensor(self.uses) + (1 - decay) * counts
        summed = decay * ops.convert_to_tensor(self.sums) + (1 - decay) * sums
        if self.restart_threshold:
            unused = ops.expand_dims(ops.cast(uses < self.restart_threshold, dtype), -1)
            uniform = keras.random.uniform((self.num_embeddings,), seed=self.seed_generator, dtype="float32")
            count = ops.cast(ops.shape(vectors)[0], "float32")
            picked = ops.cast(ops.take(vectors, ops.cast(uniform * count, "int32"), axis=0), dtype)
            uses = ops.squeeze(unused, -1) + (1 - ops.squeeze(unused, -1)) * uses
            summed = unused * picked + (1 - unused) * summed
        self.uses.assign(uses)
        self.sums.assign(summed)
        total = ops.sum(uses)
        smoothed = (uses + self.epsilon) / (total + self.num_embeddings * self.epsilon) * total
        self.codebook.assign(summed / ops.expand_dims(smoothed, -1))

    def compute_output_shape(self, input_shape: Any) -> Any:
        return input_shape

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "num_embeddings": self.num_embeddings,
            "commitment_cost": self.commitment_cost,
            "ema_decay": self.ema_decay,
            "restart_threshold": self.restart_threshold,
            "epsilon": self.epsilon,
        }
