"""Vector-quantised variational autoencoder."""

from __future__ import annotations

import math
from collections.abc import Sequence
from numbers import Integral, Real
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
from kplug.models.vqvae_networks import convolutional_networks, dense_networks
from kplug.models.vqvae_prior import CodePrior

PositiveInt = Annotated[int, Field(gt=0)]

_OORD = "van den Oord et al. (2017), Neural Discrete Representation Learning, https://arxiv.org/abs/1711.00937"
_RAZAVI = (
    "Razavi et al. (2019), Generating Diverse High-Fidelity Images with VQ-VAE-2, https://arxiv.org/abs/1906.00446"
)
_JUKEBOX = "Dhariwal et al. (2020), Jukebox: A Generative Model for Music, https://arxiv.org/abs/2005.00341"
_PRIOR_WEIGHT = "prior_"
_VECTORS_PER_CODE = 8
"""How many encoded vectors the codebook's beginning is chosen from, for each code."""


@component(
    tasks=["image-generation", "density-estimation"], own_loss=True, optimizer="adam", references=[_OORD, _JUKEBOX]
)
@keras.saving.register_keras_serializable(package="kplug")
class VQVAE(keras.Model):
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
            _check(_is_count(value), f"`{name}` must be a whole number, at least 1", **{name: value})
        _check(
            residual_blocks == 0 or _is_count(residual_blocks),
            "`residual_blocks` must be a whole number, at least 0",
            residual_blocks=residual_blocks,
        )
        for name, sizes in (("filters", filters), ("units", units)):
            valid = isinstance(sizes, Sequence) and all(map(_is_count, sizes))
            _check(valid, f"`{name}` must be a list of whole numbers, each at least 1", **{name: sizes})
        _check(len(filters) > 0, "`filters` must name one convolution at least", filters=filters)
        known = likelihood in ("bernoulli", "gaussian")
        _check(known, "`likelihood` must be one of 'bernoulli', 'gaussian'", likelihood=likelihood)
        _check(isinstance(scale, Real) and scale > 0, "`scale` must be a number greater than 0", scale=scale)
        _check(
            isinstance(prior_dropout, Real) and 0 <= prior_dropout < 1,
            "`prior_dropout` must be at least 0 and less than 1",
            prior_dropout=prior_dropout,
        )
        _check(ema_decay is not None, "`ema_decay` must be between 0 and 1", ema_decay=ema_decay)
        self.num_embeddings = num_embeddings
        self.embedding_dim = embedding_dim
        self.filters = tuple(filters)
        self.residual_blocks = residual_blocks
        self.units = tuple(units)
        self.code_length = code_length
        self.likelihood = likelihood
        self.scale = scale
        self.commitment_cost = commitment_cost
        self.ema_decay = ema_decay
        self.restart_threshold = restart_threshold
        self.prior_units = prior_units
        self.prior_blocks = prior_blocks
        self.prior_dropout = prior_dropout
        self.seed = seed
        self.encoder: Any = None
        self.decoder: Any = None
        self.quantizer = VectorQuantizer(
            num_embeddings,
            commitment_cost,
            ema_decay,
            restart_threshold,
            seed=seed,
            dtype=self.dtype_policy,
            name="quantizer",
        )
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
        self.built = True

    @property
    def code_shape(self) -> tuple[int, ...]:
        """Shape of one sample's codes: `(height', width')`, or `(code_length,)` where samples are no images."""
        self._insist_built()
        return tuple(self.encoder.output_shape[1:-1])

    @property
    def prior(self) -> CodePrior | None:
        """The distribution of the codes that `fit_prior` learned, or `None`."""
        return self._learned.prior

    def call(self, inputs: Any, training: bool | None = None) -> Any:
        codes = self.quantizer(self.encoder(inputs, training=training), training=training)
        return self.decoder(codes, training=training)

    def compute_loss(
        self, x: Any = None, y: Any = None, y_pred: Any = None, sample_weight: Any = None, training: bool = True
    ) -> Any:
        del y, training
        if getattr(self, "loss", None) is not None:
            raise ValueError(f"VQVAE computes its own loss. Compile it without one. Received: loss={self.loss}")
        reconstruction_loss = -self._log_likelihood(x, y_pred)
        commitment_loss = math.prod(y_pred.shape[1:]) * sum(ops.sum(loss) for loss in self.losses)
        if sample_weight is not None:
            sample_weight = ops.reshape(ops.cast(sample_weight, reconstruction_loss.dtype), (-1,))
        self.reconstruction_tracker.update_state(reconstruction_loss, sample_weight=sample_weight)
        self.commitment_tracker.update_state(commitment_loss)
        if self.perplexity_tracker is not None:
            self.perplexity_tracker.update_state(self.quantizer.last_perplexity)
        if sample_weight is not None:
            reconstruction_loss = reconstruction_loss * sample_weight
        return ops.mean(reconstruction_loss) + ops.cast(commitment_loss, reconstruction_loss.dtype)

    def _log_likelihood(self, x: Any, outputs: Any) -> Any:
        precise = keras.backend.result_type(outputs.dtype, "float32")
        return log_likelihood(ops.cast(x, precise), ops.cast(outputs, precise), self.likelihood, self.scale)

    def adapt(self, x: Any) -> None:
        """Begin the codebook at encodings of data, before training; `fit` does so itself when given an array.

        Args:
            x: NumPy array of shape `(n, ...)`.

        Raises:
            ValueError: If the likelihood cannot have the data.
        """
        self.check_data(x)
        if not self.built:
            self.build((None, *x.shape[1:]))
        wanted = math.ceil(_VECTORS_PER_CODE * self.num_embeddings / math.prod(self.code_shape))
        chosen = x[self._random_order(len(x))[:wanted]]
        vectors = np.concatenate([_in_float32(self.encoder(batch, training=False)) for batch in _batches(chosen, 256)])
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
            ValueError: If `x` is an array with values that the likelihood cannot have.
        """
        self.check_data(x)
        if isinstance(x, np.ndarray) and len(x) and not self._is_trained():
            self.adapt(x)
        self._learned.prior = None
        return super().fit(x, _target_for_weights(x, y, kwargs), *args, **kwargs)

    def _is_trained(self) -> bool:
        """Say whether the codebook has followed a batch: until then each code counts as used once."""
        return self.built and not np.all(ops.convert_to_numpy(self.quantizer.uses) == 1)

    def evaluate(self, x: Any = None, y: Any = None, *args: Any, **kwargs: Any) -> Any:
        """Return the losses and the perplexity as `keras.Model.evaluate` does; targets are ignored."""
        return super().evaluate(x, _target_for_weights(x, y, kwargs), *args, **kwargs)

    def check_data(self, x: Any) -> None:
        """Refuse data that the likelihood cannot have; only NumPy arrays are looked at.

        Raises:
            ValueError: If the array holds NaN or infinity, or values outside 0 to 1 with the Bernoulli likelihood.
        """
        if not isinstance(x, np.ndarray) or x.size == 0:
            return
        low, high = x.min(), x.max()
        if np.isnan(low) or np.isnan(high):
            raise ValueError("The data contain NaN. Remove or fill those values first.")
        if self.likelihood == "bernoulli" and (low < 0 or high > 1):
            raise ValueError(
                "With `likelihood='bernoulli'` data must lie between 0 and 1. "
                f"Received values from {low:g} to {high:g}. "
                "Rescale them (bytes: divide by 255), or use likelihood='gaussian'."
            )
        if np.isinf(low) or np.isinf(high):
            raise ValueError(
                f"The data must be finite. Received values from {low:g} to {high:g}. Remove or fill those first."
            )

    def encode(self, x: Any, batch_size: int = 256) -> np.ndarray:
        """Return each sample's codes.

        Args:
            x: Data of shape `(n, ...)`.
            batch_size: How many samples to work on at a time.

        Returns:
            NumPy array of whole numbers below `num_embeddings`, int32, of shape `(n, height', width')`, or
            `(n, code_length)` where samples are no images.

        Raises:
            ValueError: If the likelihood cannot have the data.
        """
        x = np.asarray(x)
        self.check_data(x)
        if not self.built:
            self.build((None, *x.shape[1:]))
        batches = [self.quantizer.encode(self.encoder(batch, training=False)) for batch in _batches(x, batch_size)]
        none = np.zeros((0, *self.code_shape), "int32")
        return np.concatenate([none, *map(ops.convert_to_numpy, batches)])

    def decode(self, codes: Any, batch_size: int = 256) -> np.ndarray:
        """Return the data that codes stand for: means of the likelihood.

        Args:
            codes: Whole numbers below `num_embeddings`, of shape `(n, height', width')` or `(n, code_length)`.
            batch_size: How many samples to work on at a time.

        Returns:
            NumPy array of shape `(n, ...)`: probabilities for the Bernoulli likelihood.

        Raises:
            ValueError: If the model has not seen data yet, or they are no codes of this model.
        """
        codes = np.asarray(codes)
        self._check_codes(codes)
        none = np.zeros((0, *self.decoder.output_shape[1:]), "float32")
        return np.concatenate([none, *(self._means(self._outputs(batch)) for batch in _batches(codes, batch_size))])

    def _check_codes(self, codes: np.ndarray) -> None:
        if codes.shape[1:] != self.code_shape or codes.dtype.kind not in "iu":
            shape = ", ".join(map(str, ("n", *self.code_shape)))
            raise ValueError(
                f"Codes must be whole numbers of shape ({shape}). Received: {codes.dtype} of shape {codes.shape}"
            )
        if codes.size and (codes.min() < 0 or codes.max() >= self.num_embeddings):
            raise ValueError(
                f"Codes must be whole numbers from 0 to {self.num_embeddings - 1}. "
                f"Received: numbers from {codes.min()} to {codes.max()}"
            )

    def _outputs(self, codes: np.ndarray) -> Any:
        """Return the decoder's logits or means for a batch of codes."""
        return self.decoder(self.quantizer.decode(ops.convert_to_tensor(codes, "int32")), training=False)

    def _means(self, outputs: Any) -> np.ndarray:
        outputs = ops.cast(outputs, keras.backend.result_type(outputs.dtype, "float32"))
        return ops.convert_to_numpy(ops.sigmoid(outputs) if self.likelihood == "bernoulli" else outputs)

    def reconstruct(self, x: Any, batch_size: int = 256) -> np.ndarray:
        """Return `x` as the model sees it: decoded from its codes, of the shape of `x`."""
        return self.decode(self.encode(x, batch_size), batch_size)

    def fit_prior(
        self,
        x: Any,
        epochs: int = 50,
        batch_size: int = 64,
        learning_rate: float = 1e-3,
        validation_data: Any = None,
        verbose: Any = "auto",
    ) -> keras.callbacks.History:
        """Learn how the codes of data are distributed, so that `generate` can draw new ones.

        The codes of a sample are taken in raster order, and each is predicted from those before it. The autoencoder
        stays as it is; what was learned before is replaced.

        Args:
            x: Data of shape `(n, ...)`, at least one sample.
            epochs: How often to go through them.
            batch_size: Samples per step; a last, smaller batch is left out.
            learning_rate: Of Adam.
            validation_data: Other data of that shape, to watch the training by.
            verbose: As for `keras.Model.fit`.

        Returns:
            Keras' history, with `loss` in nats per sample: what the codes cost on top of the reconstruction loss.

        Raises:
            ValueError: If there is no sample, the likelihood cannot have the data, or `epochs` or `batch_size` is out
                of range.
        """
        _check(_is_count(epochs), "`epochs` must be a whole number, at least 1", epochs=epochs)
        _check(_is_count(batch_size), "`batch_size` must be a whole number, at least 1", batch_size=batch_size)
        _check(len(x) > 0, "The prior needs one sample at least", samples=len(x))
        codes = self._rows(self.encode(x))
        prior = self.new_prior(self.seed)
        validation = None if validation_data is None else self._rows(self.encode(validation_data))
        history = prior.fit(codes, epochs, batch_size, learning_rate, validation, verbose)
        self._learned.prior = prior
        return history

    def new_prior(self, seed: int | None = None) -> CodePrior:
        """Return a prior over this model's codes that has learned nothing yet."""
        length = math.prod(self.code_shape)
        prior = CodePrior(
            self.num_embeddings, length, self.prior_units, self.prior_blocks, self.prior_dropout, seed=seed
        )
        prior.network.jit_compile = self.jit_compile
        return prior

    def _rows(self, codes: np.ndarray) -> np.ndarray:
        """Return each sample's codes in raster order, in a row."""
        return codes.reshape(len(codes), math.prod(self.code_shape))

    def generate(self, n: int, seed: int | None = None) -> np.ndarray:
        """Return `n` new samples: means of the likelihood at codes drawn from the prior.

        Args:
            n: How many.
            seed: Whole number that makes them repeat, or `None`.

        Returns:
            NumPy array of shape `(n, ...)`.

        Raises:
            ValueError: If the prior has not been trained.
        """
        _check(isinstance(n, Integral) and n >= 0, "`n` must be a whole number, at least 0", n=n)
        return self.decode(self._insist_prior().sample(int(n), seed).reshape(n, *self.code_shape))

    def log_likelihood(self, x: Any, batch_size: int = 256) -> np.ndarray:
        """Return a lower bound on the log-likelihood of each sample: `log p(x | codes) + log p(codes)`.

        It is a bound as the sum over all codes holds this term among others, and compares with the ELBO of a
        `kplug.VAE` of the same likelihood.

        Args:
            x: Data of shape `(n, ...)`.
            batch_size: How many samples to work on at a time.

        Returns:
            NumPy array of shape `(n,)`, in nats.

        Raises:
            ValueError: If the prior has not been trained, or the likelihood cannot have the data.
        """
        prior = self._insist_prior()
        x = np.asarray(x)
        codes = self.encode(x, batch_size)
        batches = zip(_batches(x, batch_size), _batches(codes, batch_size), strict=True)
        given_codes = [ops.convert_to_numpy(self._log_likelihood(data, self._outputs(part))) for data, part in batches]
        return np.concatenate([np.zeros((0,), "float32"), *given_codes]) + prior.log_prob(self._rows(codes))

    def bits_per_dimension(self, x: Any, batch_size: int = 256) -> float:
        """Return the mean of `-log_likelihood(x)` in bits per element of a sample; less is better."""
        elements = math.prod(np.shape(x)[1:])
        return -float(np.mean(self.log_likelihood(x, batch_size))) / (elements * math.log(2))

    def _insist_built(self) -> None:
        if not self.built:
            raise ValueError(
                "The VQVAE has not seen data yet, so it has no shape. Call `fit`, or `encode` on data, first."
            )

    def _insist_prior(self) -> CodePrior:
        if self._learned.prior is None:
            raise ValueError(
                "The VQVAE has no prior over its codes. Call `fit_prior(x)` on the training data, after `fit`."
            )
        return self._learned.prior

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


def _target_for_weights(x: Any, y: Any, options: dict[str, Any]) -> Any:
    """Return a target where sample weights need one: without any, Keras would pass over the weights."""
    return x if y is None and options.get("sample_weight") is not None else y


def _batches(array: np.ndarray, batch_size: int) -> list[np.ndarray]:
    return [array[start : start + batch_size] for start in range(0, len(array), batch_size)]


def _in_float32(tensor: Any) -> np.ndarray:
    return ops.convert_to_numpy(ops.cast(tensor, "float32"))


def _check(condition: bool, message: str, **received: Any) -> None:
    if not condition:
        values = ", ".join(f"{name}={value!r}" for name, value in received.items())
        raise ValueError(f"{message}. Received: {values}")


def _is_count(value: Any) -> bool:
    return isinstance(value, Integral) and not isinstance(value, bool) and int(value) >= 1
