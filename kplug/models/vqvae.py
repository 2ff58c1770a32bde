"""Vector-quantised variational autoencoder."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Annotated, Any, Literal

import keras
import numpy as np
from keras import ops
from pydantic import Field

from kplug.catalog.facts import component
from kplug.layers.vector_quantizer import VectorQuantizer
from kplug.losses.likelihoods import log_likelihood
from kplug.models.own_loss import BatchMean, OwnLoss
from kplug.models.vae_checks import (
    check,
    check_choice,
    check_count,
    check_layer_sizes,
    check_number,
    check_samples,
    check_values,
)
from kplug.models.vqvae_codes import DiscreteLatents, batches_of
from kplug.models.vqvae_networks import convolutional_networks, dense_networks

PositiveInt = Annotated[int, Field(gt=0)]

_OORD = "van den Oord et al. (2017), Neural Discrete Representation Learning, https://arxiv.org/abs/1711.00937"
_JUKEBOX = "Dhariwal et al. (2020), Jukebox: A Generative Model for Music, https://arxiv.org/abs/2005.00341"
_PRIOR_WEIGHT = "prior_"
_VECTORS_PER_CODE = 8
"""How many encoded vectors the codebook's beginning is chosen from, for each code."""


@component(
    tasks=["image-generation", "density-estimation"], own_loss=True, optimizer="adam", references=[_OORD, _JUKEBOX]
)
@keras.saving.register_keras_serializable(package="kplug")
class VQVAE(DiscreteLatents, OwnLoss, keras.Model):
    """Autoencoder with discrete latents: writes each sample as a few codes of a learned codebook, and draws new ones.

    An encoder turns a sample into vectors, `kplug.VectorQuantizer` puts the nearest codes in their place, and a decoder
    turns those into the sample again (van den Oord et al. 2017). The loss, in nats per sample, is

    ```
    -log p(x | codes) + commitment_cost * D * mean (z - sg(code))^2
    ```

    with the first term summed over the `D` elements of a sample. The mean is over vectors and their dimensions; the
    factor `D` keeps the two in proportion whatever the size of the samples, as in the authors' program, which takes
    means of both. (The paper sums over dimensions and averages over vectors, so that the commitment weighs less the
    larger the images.) The codebook follows the encoder by moving averages; codes out of use begin anew. The logs have
    `reconstruction_loss`, `commitment_loss` and `perplexity`: how many codes a batch uses, as the exponential of
    the entropy of their shares. Near 1 it says that the codebook has collapsed.

    Training knows no prior: all codes count as equally likely. `fit_prior` learns one when the codes are settled, a
    causal transformer over the codes in raster order; then `generate` draws from it. It is saved with the model, and
    forgotten when `fit` moves the codes again.

    The model builds itself from the shape of the data: convolutional for samples of shape `(height, width)` or
    `(height, width, channels)`, dense for everything else. Given arrays, it begins the codebook at encodings of them
    (`adapt`). Targets are ignored. Sample weights weigh the reconstructions; the codebook follows all samples alike.

    Use it for compression, for codes that another model works on, or for samples sharper than those of `kplug.VAE`.

    Args:
        num_embeddings: Number of codes.
        embedding_dim: Length of each code's vector.
        filters: Filters of the encoder's stride-2 convolutions, which the decoder mirrors: images of 28 by 28 pixels
            become 7 by 7 codes with two.
        residual_blocks: Residual blocks after them, and at the decoder's beginning.
        units: Units of the dense hidden layers, for data that are no images.
        code_length: Codes per sample, for data that are no images.
        likelihood: `"bernoulli"` for data between 0 and 1; `"gaussian"` for any real data, with `scale`.
        scale: Standard deviation of the Gaussian likelihood, in the data's unit.
        commitment_cost: Weight of the commitment loss.
        ema_decay: Decay of the codebook's moving averages, between 0 and 1.
        restart_threshold: A code whose moving number of uses per batch falls below this begins anew at a vector of the
            batch; 0 for never.
        prior_units: Width of the prior's transformer.
        prior_blocks: Its blocks.
        prior_dropout: Share of its units that is dropped in training.
        seed: Whole number that makes the codebook's beginning, its restarts and the prior repeat, or `None`. (The other
            initial weights follow `keras.utils.set_random_seed`.)
        **kwargs: Keras' own model arguments (`name`, `dtype`, …).

    Call arguments:
        inputs: Data of shape `(batch_size, ...)`.

    Returns:
        When called: reconstructions of the data's shape, as logits (Bernoulli) or means (Gaussian).

    Raises:
        ValueError: If a parameter is out of range, data do not suit the likelihood, or a loss is given to `compile`.

    References:
        - van den Oord et al. (2017), Neural Discrete Representation Learning, https://arxiv.org/abs/1711.00937
        - Dhariwal et al. (2020), Jukebox: A Generative Model for Music, https://arxiv.org/abs/2005.00341 (restarts)

    Example:

    ```python
    model = kplug.VQVAE(num_embeddings=128)
    model.compile("adam")
    model.fit(x, epochs=50, batch_size=128)
    codes = model.encode(x)  # whole numbers, (n, height', width')
    model.fit_prior(x, epochs=50)
    images = model.generate(16)
    ```
    """

    def __init__(
        self,
        num_embeddings: PositiveInt = 512,
        embedding_dim: PositiveInt = 64,
        filters: Sequence[PositiveInt] = (32, 64),
        residual_blocks: Annotated[int, Field(ge=0)] = 2,
        units: Sequence[PositiveInt] = (400,),
        code_length: PositiveInt = 8,
        likelihood: Literal["bernoulli", "gaussian"] = "bernoulli",
        scale: Annotated[float, Field(gt=0)] = 1.0,
        commitment_cost: Annotated[float, Field(ge=0)] = 0.25,
        ema_decay: Annotated[float, Field(gt=0, lt=1)] = 0.99,
        restart_threshold: Annotated[float, Field(ge=0)] = 0.1,
        prior_units: PositiveInt = 128,
        prior_blocks: PositiveInt = 2,
        prior_dropout: Annotated[float, Field(ge=0, lt=1)] = 0.2,
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        for name, value in (
            ("num_embeddings", num_embeddings),
            ("embedding_dim", embedding_dim),
            ("code_length", code_length),
            ("prior_units", prior_units),
            ("prior_blocks", prior_blocks),
        ):
            check_count(name, value)
        check_count("residual_blocks", residual_blocks, least=0)
        check_layer_sizes("filters", filters)
        check_layer_sizes("units", units)
        check(len(filters) > 0, "`filters` must name one convolution at least", filters=filters)
        check_choice("likelihood", likelihood, ("bernoulli", "gaussian"))
        check_number("scale", scale, positive=True)
        check_number("prior_dropout", prior_dropout)
        check(prior_dropout < 1, "`prior_dropout` must be less than 1", prior_dropout=prior_dropout)
        check(ema_decay is not None, "`ema_decay` must be between 0 and 1", ema_decay=ema_decay)
        self.num_embeddings = num_embeddings
        self.embedding_dim = embedding_dim
        self.filters = tuple(map(int, filters))
        self.residual_blocks = residual_blocks
        self.units = tuple(map(int, units))
        self.code_length = code_length
        self.likelihood = likelihood
        self.scale = scale
        self.commitment_cost = commitment_cost
        self.ema_decay = ema_decay
        self.restart_threshold = restart_threshold
        self.prior_units = prior_units
        self.prior_blocks = prior_blocks
        self.prior_dropout = prior_dropout
        self.seed = None if seed is None else int(seed)
        self.encoder: Any = None
        self.decoder: Any = None
        self.quantizer = VectorQuantizer(
            num_embeddings,
            commitment_cost,
            ema_decay,
            restart_threshold,
            seed=self.seed,
            dtype=self.dtype_policy,
            name="quantizer",
        )
        self._mean = BatchMean(dtype="float64" if self.compute_dtype == "float64" else "float32")
        self.reconstruction_tracker = keras.metrics.Mean(name="reconstruction_loss")
        self.commitment_tracker = keras.metrics.Mean(name="commitment_loss")
        self.perplexity_tracker = keras.metrics.Mean(name="perplexity") if self.quantizer.perplexity is None else None
        # Plain Python, so that `fit` does not train the prior along: that is a model of its own, with its own loss.
        self._learned = SimpleNamespace(prior=None)

    def build(self, input_shape: Any) -> None:
        shape = tuple(input_shape[1:])
        if not shape or None in shape:
            raise ValueError(
                f"VQVAE needs samples of one known shape, at least 1-D. Received: input_shape={tuple(input_shape)}"
            )
        if len(shape) in {2, 3}:
            networks = convolutional_networks(
                shape, self.embedding_dim, self.filters, self.residual_blocks, self.dtype_policy
            )
        else:
            networks = dense_networks(shape, self.embedding_dim, self.units, self.code_length, self.dtype_policy)
        self.encoder, self.decoder = networks
        self.quantizer.build(self.encoder.output_shape)
        self._shape = shape
        self.built = True

    def call(self, inputs: Any, training: bool | None = None) -> Any:
        codes = self.quantizer(self.encoder(inputs, training=training), training=training)
        return self.decoder(codes, training=training)

    def compute_loss(
        self, x: Any = None, y: Any = None, y_pred: Any = None, sample_weight: Any = None, training: bool = True
    ) -> Any:
        del y, training
        reconstruction_loss = -self._log_likelihood(x, y_pred)
        commitment_loss = math.prod(y_pred.shape[1:]) * sum(ops.sum(loss) for loss in self.losses)
        commitment_loss = ops.cast(commitment_loss, reconstruction_loss.dtype)
        if sample_weight is not None:
            sample_weight = ops.reshape(ops.cast(sample_weight, reconstruction_loss.dtype), (-1,))
        self.reconstruction_tracker.update_state(reconstruction_loss, sample_weight=sample_weight)
        # It is a mean over the batch already, and counts as often as Keras counts the loss.
        self.commitment_tracker.update_state(commitment_loss, sample_weight=ops.shape(y_pred)[0])
        if self.perplexity_tracker is not None:
            self.perplexity_tracker.update_state(self.quantizer.last_perplexity)
        return self._mean.of(reconstruction_loss, sample_weight) + self._mean.of(commitment_loss[None])

    def _log_likelihood(self, x: Any, outputs: Any) -> Any:
        precise = keras.backend.result_type(outputs.dtype, "float32")
        return log_likelihood(ops.cast(x, precise), ops.cast(outputs, precise), self.likelihood, self.scale)

    def adapt(self, x: Any) -> None:
        """Begin the codebook at encodings of data, before training; `fit` does so itself when given an array.

        Args:
            x: NumPy array of shape `(n, ...)`.

        Raises:
            ValueError: If there are no samples, they are of another shape than the model was built for, or the
                likelihood cannot have them.
        """
        self.check_data(x)
        if not self.built:
            self.build((None, *x.shape[1:]))
        wanted = math.ceil(_VECTORS_PER_CODE * self.num_embeddings / math.prod(self.code_shape))
        chosen = x[self._random_order(len(x))[:wanted]]
        vectors = np.concatenate(
            [_in_float32(self.encoder(batch, training=False)) for batch in batches_of(chosen, 256)]
        )
        vectors = vectors.reshape(-1, self.embedding_dim)
        codebook = vectors[np.resize(self._random_order(len(vectors)), self.num_embeddings)]
        self.quantizer.codebook.assign(codebook)
        self.quantizer.sums.assign(codebook)
        self.quantizer.uses.assign(np.ones(self.num_embeddings, "float32"))

    def _random_order(self, n: int) -> np.ndarray:
        uniform = keras.random.uniform((n,), seed=self.quantizer.seed_generator, dtype="float32")
        return np.argsort(ops.convert_to_numpy(uniform), kind="stable")

    def fit(self, x: Any = None, y: Any = None, *args: Any, **kwargs: Any) -> Any:
        """Train the autoencoder as `keras.Model.fit` does; targets are ignored, and a learned prior is forgotten.

        Raises:
            ValueError: If `x` is an array without samples, or with values that the likelihood cannot have.
        """
        self.check_data(x)
        if isinstance(x, np.ndarray) and not self._is_trained():
            self.adapt(x)
        self._learned.prior = None
        return super().fit(**self.named_arguments(keras.Model.fit, x, y, args, kwargs))

    def _is_trained(self) -> bool:
        """Say whether the codebook has followed a batch: until then each code counts as used once."""
        return self.built and not np.all(ops.convert_to_numpy(self.quantizer.uses) == 1)

    def evaluate(self, x: Any = None, y: Any = None, *args: Any, **kwargs: Any) -> Any:
        """Return the losses and the perplexity as `keras.Model.evaluate` does; targets are ignored."""
        self.check_data(x)
        return super().evaluate(**self.named_arguments(keras.Model.evaluate, x, y, args, kwargs))

    def check_data(self, x: Any) -> None:
        """Refuse data that cannot be trained on; only NumPy arrays are looked at.

        Raises:
            ValueError: If the array is empty, of another shape than the model was built for, holds NaN or infinity, or
                values outside 0 to 1 with the Bernoulli likelihood.
        """
        check_samples(x, self._shape if self.built else None)
        check_values(x, self.likelihood, categories=None)

    def write_artifacts(self, directory: str | Path, dataset: Any) -> None:
        """Leave pictures: reconstructions, how often each code is used, and samples.

        Without a prior the samples come from one that is trained briefly, for the picture alone: the model stays as it
        is.

        Args:
            directory: An existing directory.
            dataset: A `kplug.Dataset` of arrays; its test split is shown, or else what it has.
        """
        from kplug.models.vqvae_pictures import write_pictures

        write_pictures(self, Path(directory), dataset)

    def save_own_variables(self, store: Any) -> None:
        super().save_own_variables(store)
        if self._learned.prior is not None:
            for number, weight in enumerate(self._learned.prior.get_weights()):
                store[f"{_PRIOR_WEIGHT}{number}"] = weight

    def load_own_variables(self, store: Any) -> None:
        names = list(store.keys())
        own = [name for name in names if not name.startswith(_PRIOR_WEIGHT)]
        super().load_own_variables({name: store[name] for name in own})
        self._learned.prior = None
        if len(own) < len(names):
            prior = self.new_prior(self.seed)
            prior.set_weights([store[f"{_PRIOR_WEIGHT}{number}"] for number in range(len(names) - len(own))])
            self._learned.prior = prior

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "num_embeddings": self.num_embeddings,
            "embedding_dim": self.embedding_dim,
            "filters": list(self.filters),
            "residual_blocks": self.residual_blocks,
            "units": list(self.units),
            "code_length": self.code_length,
            "likelihood": self.likelihood,
            "scale": self.scale,
            "commitment_cost": self.commitment_cost,
            "ema_decay": self.ema_decay,
            "restart_threshold": self.restart_threshold,
            "prior_units": self.prior_units,
            "prior_blocks": self.prior_blocks,
            "prior_dropout": self.prior_dropout,
            "seed": self.seed,
        }


def _in_float32(tensor: Any) -> np.ndarray:
    return ops.convert_to_numpy(ops.cast(tensor, "float32"))
