"""Vector quantisation with a learned codebook."""

from __future__ import annotations

from typing import Annotated, Any

import keras
from keras import ops
from pydantic import Field

from kplug.catalog.facts import component
from kplug.layers.masks import aligned
from kplug.layers.precision import precise_dtype
from kplug.layers.seeded import SeededLayer

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

    Use it for discrete latents (`kplug.VAE` has continuous ones). Training alone moves the codebook. Positions that a
    mask leaves out become codes as well, and count neither in the losses nor in the codebook. Under mixed precision the
    codebook is kept, compared and moved in float32.

    Args:
        num_embeddings: Number of codes.
        commitment_cost: Weight of the commitment loss, at least 0.
        ema_decay: Decay of the moving averages, between 0 and 1, or `None` to learn the codebook by gradients.
        restart_threshold: A code whose moving number of uses per batch falls below this begins anew; 0 for never
            (Jukebox has 1). Works with moving averages only.
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
        self.uses: Any = None
        self.sums: Any = None
        self.supports_masking = True

    def build(self, input_shape: Any) -> None:
        shape = (self.num_embeddings, input_shape[-1])
        # One initializer gives the same numbers each time: the moving sums begin at the codes, as one use of each.
        initializer = keras.initializers.RandomUniform(-1.0, 1.0, seed=self.seed)
        self.codebook = self.add_weight(
            shape=shape, initializer=initializer, trainable=self.ema_decay is None, autocast=False, name="codebook"
        )
        self.last_perplexity = self._add_state((), "ones", "last_perplexity")
        if self.ema_decay is not None:
            self.uses = self._add_state((self.num_embeddings,), "ones", "uses")
            self.sums = self._add_state(shape, initializer, "sums")

    def _add_state(self, shape: tuple[int, ...], initializer: Any, name: str) -> Any:
        return self.add_weight(shape=shape, initializer=initializer, trainable=False, autocast=False, name=name)

    def call(self, inputs: Any, training: bool | None = None, mask: Any = None) -> Any:
        dtype = precise_dtype(self)
        vectors = ops.reshape(ops.cast(inputs, dtype), (-1, inputs.shape[-1]))
        kept = self._kept(inputs, mask, dtype)
        count = ops.maximum(ops.sum(kept), 1.0)
        nearest = self._nearest(vectors)
        codes = ops.take(ops.cast(self.codebook, dtype), nearest, axis=0)
        loss = self.commitment_cost * _mean_square(vectors - ops.stop_gradient(codes), kept, count)
        if self.ema_decay is None:
            loss = loss + _mean_square(ops.stop_gradient(vectors) - codes, kept, count)
        self.add_loss(loss)
        chosen = ops.one_hot(nearest, self.num_embeddings, dtype=dtype) * kept
        self._report(ops.sum(chosen, axis=0) / count)
        if training and self.ema_decay is not None:
            self._follow(ops.stop_gradient(vectors), chosen, kept, self.ema_decay)
        # The codes, to the last digit, with the gradient of the vectors.
        passed = ops.stop_gradient(codes) + (vectors - ops.stop_gradient(vectors))
        return ops.cast(ops.reshape(passed, ops.shape(inputs)), self.compute_dtype)

    def encode(self, inputs: Any) -> Any:
        """Return the numbers of the nearest codes, int32, of the inputs' shape without the last axis."""
        inputs = ops.convert_to_tensor(inputs)
        if not self.built:
            self.build(inputs.shape)
        vectors = ops.reshape(ops.cast(inputs, precise_dtype(self)), (-1, inputs.shape[-1]))
        return ops.reshape(self._nearest(vectors), ops.shape(inputs)[:-1])

    def decode(self, indices: Any) -> Any:
        """Return the codes with these numbers, of one more axis than the numbers.

        Raises:
            ValueError: If the layer has no codebook yet, as it has seen no inputs.
        """
        if not self.built:
            raise ValueError(
                f"The layer {self.name} has no codebook yet. Call it once, or `build((None, dim))`, before `decode`."
            )
        return ops.take(ops.convert_to_tensor(self.codebook), indices, axis=0)

    def _kept(self, inputs: Any, mask: Any, dtype: str) -> Any:
        """Return a column with 1 for each vector that counts, and 0 for each that the mask leaves out."""
        kept = ops.ones_like(inputs[..., :1], dtype=dtype)
        if mask is not None:
            kept = kept * ops.cast(aligned(mask, inputs), dtype)
        return ops.reshape(kept, (-1, 1))

    def _nearest(self, vectors: Any) -> Any:
        codebook = ops.cast(self.codebook, vectors.dtype)
        # Distances do not change with the origin; near it, fewer digits cancel.
        origin = ops.mean(codebook, axis=0)
        vectors, codebook = vectors - origin, codebook - origin
        # |x - c|^2 without |x|^2, which is the same for every code.
        closeness = 2 * ops.matmul(vectors, ops.transpose(codebook)) - ops.sum(ops.square(codebook), axis=1)
        return ops.cast(ops.argmax(closeness, axis=1), "int32")

    def _report(self, shares: Any) -> None:
        perplexity = ops.exp(-ops.sum(shares * ops.log(ops.maximum(shares, 1e-10))))
        self.last_perplexity.assign(ops.cast(perplexity, self.last_perplexity.dtype))
        if self.perplexity is not None:
            self.perplexity.update_state(perplexity)

    def _follow(self, vectors: Any, chosen: Any, kept: Any, decay: float) -> None:
        """Move the codes to the moving averages of the vectors that chose them; begin dead ones anew."""
        dtype = self.codebook.dtype
        counts = ops.cast(ops.sum(chosen, axis=0), dtype)
        sums = ops.cast(ops.matmul(ops.transpose(chosen), vectors), dtype)
        uses = decay * self.uses + (1 - decay) * counts
        summed = decay * self.sums + (1 - decay) * sums
        if self.restart_threshold:
            dead = ops.cast(uses < self.restart_threshold, dtype) * ops.cast(ops.max(kept), dtype)
            # So many that a new code stays if the next batch uses it, however high the threshold.
            begun = max(1.0, self.restart_threshold / decay)
            uses = dead * begun + (1 - dead) * uses
            dead = ops.expand_dims(dead, -1)
            picked = ops.cast(ops.take(vectors, self._picked(kept), axis=0), dtype)
            summed = dead * begun * picked + (1 - dead) * summed
        self.uses.assign(uses)
        self.sums.assign(summed)
        total = ops.sum(uses)
        smoothed = (uses + self.epsilon) / (total + self.num_embeddings * self.epsilon) * total
        self.codebook.assign(summed / ops.expand_dims(smoothed, -1))

    def _picked(self, kept: Any) -> Any:
        """Return, for each code, the number of a random vector among those that count."""
        ranks = ops.cumsum(ops.cast(ops.squeeze(kept, -1), "int32"))
        uniform = keras.random.uniform((self.num_embeddings,), seed=self.seed_generator, dtype="float32")
        rank = ops.cast(uniform * ops.cast(ranks[-1], "float32"), "int32")
        return ops.minimum(ops.searchsorted(ranks, rank, side="right"), ops.shape(kept)[0] - 1)

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


def _mean_square(differences: Any, kept: Any, count: Any) -> Any:
    return ops.sum(kept * ops.square(differences)) / (count * differences.shape[-1])
