"""What can be done with the discrete latents of a trained autoencoder."""

from __future__ import annotations

import math
from types import SimpleNamespace
from typing import Any

import keras
import numpy as np
from keras import ops

from kplug.losses.likelihoods import Likelihood
from kplug.models.vae_checks import check, check_count, check_shape, check_values
from kplug.models.vqvae_prior import CodePrior


class DiscreteLatents:
    """Encoding to codes, decoding, learning how codes are distributed, and drawing new ones, on NumPy arrays.

    What a member has: `built`, `build`, `encoder`, `decoder`, `quantizer`, its settings, `_shape` of a sample,
    `_log_likelihood` of a batch given the decoder's outputs, and `_learned.prior`.
    """

    built: Any
    build: Any
    encoder: Any
    decoder: Any
    quantizer: Any
    num_embeddings: int
    likelihood: Likelihood
    prior_units: int
    prior_blocks: int
    prior_dropout: float
    seed: int | None
    jit_compile: Any
    _shape: tuple[int, ...]
    _log_likelihood: Any
    _learned: SimpleNamespace

    @property
    def code_shape(self) -> tuple[int, ...]:
        """Shape of one sample's codes: `(height', width')`, or `(code_length,)` where samples are no images."""
        self._insist_built()
        return tuple(self.encoder.output_shape[1:-1])

    @property
    def prior(self) -> CodePrior | None:
        """The distribution of the codes that `fit_prior` learned, or `None`."""
        return self._learned.prior

    def encode(self, x: Any, batch_size: int = 256) -> np.ndarray:
        """Return each sample's codes.

        A model that has not seen data yet is built for the shape of these; its weights are then the initial ones.

        Args:
            x: Data of shape `(n, ...)`.
            batch_size: How many samples to work on at a time.

        Returns:
            NumPy array of whole numbers below `num_embeddings`, int32, of shape `(n, height', width')`, or
            `(n, code_length)` where samples are no images.

        Raises:
            ValueError: If samples are of another shape than the model was built for, or the likelihood cannot have
                them.
        """
        x = np.asarray(x)
        check_values(x, self.likelihood, categories=None)
        if not self.built:
            self.build((None, *x.shape[1:]))
        check_shape(x, self._shape)
        batches = [self.quantizer.encode(self.encoder(batch, training=False)) for batch in batches_of(x, batch_size)]
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
        return np.concatenate([none, *(self._means(self._outputs(batch)) for batch in batches_of(codes, batch_size))])

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
        check_count("epochs", epochs)
        check_count("batch_size", batch_size)
        check(len(x) > 0, "The prior needs one sample at least", samples=len(x))
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
        check_count("n", n, least=0)
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
        batches = zip(batches_of(x, batch_size), batches_of(codes, batch_size), strict=True)
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


def batches_of(array: np.ndarray, batch_size: int) -> list[np.ndarray]:
    """Return the array in parts of `batch_size` and a last, smaller one; of an empty array none."""
    return [array[start : start + batch_size] for start in range(0, len(array), batch_size)]
