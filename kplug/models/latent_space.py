"""What can be done with the latent space of a trained autoencoder."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from keras import ops
from scipy.special import logsumexp

from kplug.layers.sampling import Sampling
from kplug.losses.labelled import in_float32
from kplug.losses.likelihoods import Likelihood
from kplug.models import likelihood_draws
from kplug.models.vae_checks import check, check_count, check_labels, check_shape

_ROWS_AT_A_TIME = 4096
_ELEMENTS_AT_A_TIME = 2**22
"""How many draws, and elements of them, are decoded at a time to estimate a likelihood."""


class LatentSpace:
    """Encoding, decoding, drawing and latent arithmetic, on NumPy arrays.

    What a member has: `built`, `build`, `latent_dim`, `conditional`, `num_classes`, `latent_prior`, `likelihood`,
    `_scales`, and the methods `_conditions`, `_posterior`, `_decoded` and `_log_terms`.
    """

    built: Any
    build: Any
    latent_dim: int
    conditional: bool
    num_classes: int | None
    latent_prior: Any
    likelihood: Likelihood
    _conditions: Any
    _posterior: Any
    _decoded: Any
    _log_terms: Any
    _scales: tuple[Any, Any]
    _precise_dtype: Any
    _shape: tuple[int, ...]

    def encode(self, x: Any, batch_size: int = 1024, labels: Any = None) -> tuple[np.ndarray, np.ndarray]:
        """Return the posterior of each sample.

        A model that has not seen data yet is built for the shape of these; its weights are then the initial ones.

        Args:
            x: Data of shape `(n, ...)`.
            batch_size: How many samples to work on at a time.
            labels: Of a conditional model: the samples' classes, of shape `(n,)`, or one for all.

        Returns:
            Mean and log variance, NumPy arrays of shape `(n, latent_dim)`.

        Raises:
            ValueError: If samples are of another shape than the model was built for, or the labels do not suit it.
        """
        x = self._samples(x)
        labels = self._labels_of(labels, len(x))
        means, log_vars = [], []
        for part in _parts(len(x), batch_size):
            conditions = self._batch_conditions(labels, part)
            mean, log_var = self._posterior(ops.convert_to_tensor(x[part]), conditions, training=False)
            means.append(ops.convert_to_numpy(mean))
            log_vars.append(ops.convert_to_numpy(log_var))
        return np.concatenate(means), np.concatenate(log_vars)

    def _samples(self, x: Any) -> np.ndarray:
        """Return samples as an array; build the model for their shape, or refuse them if it is built for another."""
        x = np.asarray(x)
        if not self.built:
            self.build((None, *x.shape[1:]))
        check_shape(x, self._shape)
        return x

    def decode(self, z: Any, batch_size: int = 1024, labels: Any = None) -> np.ndarray:
        """Return the data that latent vectors stand for: means of the likelihood.

        Args:
            z: Latent vectors of shape `(n, latent_dim)`.
            batch_size: How many to work on at a time.
            labels: Of a conditional model: the classes to decode to, of shape `(n,)`, or one for all.

        Returns:
            NumPy array of shape `(n, ...)`: probabilities for the Bernoulli likelihood, rates for the Poisson, shares
            of a sample's count for the multinomial, and for the categorical the likeliest values.

        Raises:
            ValueError: If the model has not seen data yet, or `z` or the labels are of another shape.
        """
        return self._decoded_in_parts(
            z,
            lambda outputs: ops.convert_to_numpy(likelihood_draws.mean(outputs, self.likelihood)),
            batch_size,
            labels,
        )

    def _decoded_in_parts(
        self, z: Any, finish: Callable[[Any], np.ndarray], batch_size: int, labels: Any
    ) -> np.ndarray:
        """Decode latent vectors and return what `finish` makes of the decoder's outputs."""
        self._insist_built()
        z = np.asarray(z)
        if z.ndim != 2 or z.shape[1] != self.latent_dim:
            raise ValueError(f"`z` must be of shape (n, {self.latent_dim}). Received: an array of shape {z.shape}")
        labels = self._labels_of(labels, len(z))
        decoded = []
        for part in _parts(len(z), batch_size):
            conditions = self._batch_conditions(labels, part)
            outputs = self._decoded(ops.convert_to_tensor(z[part]), conditions, training=False)
            decoded.append(finish(outputs))
        return np.concatenate(decoded)

    def reconstruct(self, x: Any, batch_size: int = 1024, labels: Any = None) -> np.ndarray:
        """Return `x` as the model sees it: decoded from each sample's posterior mean, of the shape of `x`."""
        return self.decode(self.encode(x, batch_size, labels)[0], batch_size, labels)

    def generate(self, n: int, seed: int | None = None, labels: Any = None, draw: bool = False) -> np.ndarray:
        """Return `n` new samples: means of the likelihood at latent vectors drawn from the prior.

        Args:
            n: How many.
            seed: Whole number that makes them repeat, or `None`.
            labels: Of a conditional model: the classes to draw, of shape `(n,)`, or one for all; by default each class
                is as likely.
            draw: Whether to draw from the likelihood rather than return its mean: binary pixels, counts, values with
                the noise that the data have. Not for the multinomial.

        Raises:
            ValueError: If the model has not seen data yet, or cannot draw.
        """
        self._insist_built()
        check_count("n", n, least=0)
        # Other streams than the prior's, or classes and noise would go with places.
        classes, noise = map(np.random.default_rng, np.random.SeedSequence(seed).spawn(2))
        if self.conditional and labels is None:
            labels = classes.integers(0, self.num_classes, n)
        z = self.latent_prior.sample(n, seed)
        if not draw:
            return self.decode(z, labels=labels)
        scale, log_scale = self._scales
        if log_scale is not None:
            scale = np.exp(ops.convert_to_numpy(log_scale))

        def drawn(outputs: Any) -> np.ndarray:
            return likelihood_draws.draw(ops.convert_to_numpy(in_float32(outputs)), self.likelihood, scale, noise)

        return self._decoded_in_parts(z, drawn, 1024, labels)

    def interpolate(self, a: Any, b: Any, steps: int = 8, labels: Any = None) -> np.ndarray:
        """Return the way from one sample to another, decoded along the straight line between their posterior means.

        Args:
            a: A sample, or a batch of them of shape `(n, ...)`.
            b: The sample, or samples, at the other end.
            steps: How many places along the way, the two ends included; at least 2.
            labels: Of a conditional model: the samples' classes, of shape `(n,)`, or one for all.

        Returns:
            NumPy array of shape `(steps, ...)`, or `(n, steps, ...)` for batches.

        Raises:
            ValueError: If the shapes differ, or are not the model's.
        """
        self._insist_built()
        check_count("steps", steps, least=2)
        a, b = np.asarray(a), np.asarray(b)
        check(a.shape == b.shape, "`a` and `b` must be of one shape", a=a.shape, b=b.shape)
        single = a.ndim == len(self._shape)
        first, last = (self.encode(part[None] if single else part, labels=labels)[0] for part in (a, b))
        share = np.linspace(0, 1, steps, dtype=first.dtype)[:, None]
        way = (1 - share) * first[:, None] + share * last[:, None]
        labels = self._labels_of(labels, len(first))
        along = None if labels is None else np.repeat(labels, steps, axis=0)
        decoded = self.decode(way.reshape(-1, self.latent_dim), labels=along)
        decoded = decoded.reshape(len(first), steps, *decoded.shape[1:])
        return decoded[0] if single else decoded

    def attribute_vector(self, x: Any, labels: Any, classes: Any = None) -> np.ndarray:
        """Return the direction in latent space in which samples get an attribute.

        The mean posterior mean of the samples that have it minus that of those that have not (Larsen et al. 2016).

        Args:
            x: Samples of shape `(n, ...)`.
            labels: Whether each has the attribute: truth values, or zeros and ones, of shape `(n,)`.
            classes: Of a conditional model: the samples' classes.

        Returns:
            A vector of shape `(latent_dim,)`, for `shift`.

        Raises:
            ValueError: If the labels are others, or all the same.
        """
        labels = np.asarray(labels).reshape(-1)
        if len(labels) != len(x) or not np.isin(labels, (0, 1)).all() or len(np.unique(labels)) != 2:
            raise ValueError(
                "`labels` must be zeros and ones, both of them: whether each sample has the attribute. "
                f"Received: {len(labels)} labels for {len(x)} samples, with the values {np.unique(labels)[:5].tolist()}"
            )
        means = self.encode(x, labels=classes)[0]
        return means[labels == 1].mean(axis=0) - means[labels == 0].mean(axis=0)

    def shift(self, x: Any, vector: Any, strength: float = 1.0, labels: Any = None) -> np.ndarray:
        """Return samples moved along a direction of latent space, `attribute_vector`'s say, and decoded.

        Args:
            x: Samples of shape `(n, ...)`.
            vector: A vector of shape `(latent_dim,)`, or one for each sample.
            strength: How far: 1 is the vector's own length, below 0 the other way.
            labels: Of a conditional model: the samples' classes.

        Raises:
            ValueError: If the vector is of another shape.
        """
        vector = np.asarray(vector, "float32")
        means = self.encode(x, labels=labels)[0]
        if vector.shape not in {(self.latent_dim,), means.shape}:
            raise ValueError(f"`vector` must be of shape ({self.latent_dim},). Received: one of shape {vector.shape}")
        return self.decode(means + strength * vector, labels=labels)

    def nearest_training_example(self, samples: Any, x_train: Any) -> tuple[np.ndarray, np.ndarray]:
        """Return the training sample that each sample is nearest to: a model that only copies has distances near zero.

        Compare with the distances of held-out samples: new ones should not be much nearer.

        Args:
            samples: Samples of shape `(n, ...)`, generated ones say.
            x_train: The training samples, of shape `(m, ...)`.

        Returns:
            Indices into `x_train` and Euclidean distances over all elements, both of shape `(n,)`.

        Raises:
            ValueError: If there are no training samples, or the two are of different shapes.
        """
        from sklearn.neighbors import NearestNeighbors

        samples, x_train = np.asarray(samples), np.asarray(x_train)
        check(len(x_train) > 0, "`x_train` must have samples", x_train=x_train.shape)
        same = samples.shape[1:] == x_train.shape[1:]
        check(same, "`samples` and `x_train` must be of one shape", samples=samples.shape, x_train=x_train.shape)
        if len(samples) == 0:
            return np.zeros(0, "int64"), np.zeros(0)
        search = NearestNeighbors(n_neighbors=1).fit(x_train.reshape(len(x_train), -1))
        distances, indices = search.kneighbors(samples.reshape(len(samples), -1))
        return indices[:, 0], distances[:, 0]

    def log_likelihood(self, x: Any, samples: int = 1000, seed: int | None = 0, labels: Any = None) -> np.ndarray:
        """Return an estimate of each sample's log-likelihood: the importance-weighted bound (Burda et al. 2015).

        Args:
            x: Data of shape `(n, ...)`.
            samples: Draws from each posterior; the bound is the tighter, the more there are.
            seed: Whole number that makes the draws repeat, or `None`.
            labels: Of a conditional model: the samples' classes; the likelihood is then that given the class.

        Returns:
            Nats, of shape `(n,)`: from below, in the mean over the draws.

        Raises:
            ValueError: If there are no samples, they are of another shape than the model was built for, or the labels
                do not suit it.
        """
        check_count("samples", samples)
        x = self._samples(x)
        labels = self._labels_of(labels, len(x))
        check(len(x) > 0, "`x` must have samples", x=x.shape)
        rows = max(1, min(_ROWS_AT_A_TIME, _ELEMENTS_AT_A_TIME // int(np.prod(x.shape[1:]))))
        batch_size = max(1, min(len(x), rows // min(samples, rows)))
        at_once = max(1, min(samples, rows // batch_size))
        sampling = Sampling(at_once, seed=seed, dtype=self._precise_dtype)
        estimates = []
        for part in _parts(len(x), batch_size):
            batch, conditions = ops.convert_to_tensor(x[part]), self._batch_conditions(labels, part)
            posterior = self._posterior(batch, conditions, training=False)
            mean, log_var = (ops.cast(one, self._precise_dtype) for one in posterior)
            weights = []
            for drawn in range(0, samples, at_once):
                z = sampling([mean, log_var])[:, : samples - drawn]
                outputs = {
                    "reconstruction": self._decoded(z, conditions, training=False),
                    "mean": mean,
                    "log_var": log_var,
                    "z": z,
                }
                log_x, divergence = self._log_terms(batch, outputs)
                weights.append(ops.convert_to_numpy(log_x - divergence).astype("float64"))
            estimates.append(logsumexp(np.concatenate(weights, axis=1), axis=1) - np.log(samples))
        return np.concatenate(estimates)

    def evaluate_nll(self, x: Any, samples: int = 1000, seed: int | None = 0, labels: Any = None) -> float:
        """Return the mean negative log-likelihood of samples in nats, estimated as by `log_likelihood`."""
        return -float(np.mean(self.log_likelihood(x, samples, seed, labels)))

    def _labels_of(self, labels: Any, count: int) -> np.ndarray | None:
        if labels is None:
            check(
                not self.conditional,
                "With `conditional=True` `labels` must be the samples' classes",
                labels=None,
            )
            return None
        check(self.conditional, "`labels` are for a model with `conditional=True`", conditional=self.conditional)
        labels = np.asarray(labels)
        labels = np.full(count, labels) if labels.ndim == 0 else labels
        check(len(labels) == count, f"`labels` must be one for each of the {count} samples", labels=labels.shape)
        check_labels(labels, int(self.num_classes or 0))
        return labels

    def _batch_conditions(self, labels: np.ndarray | None, part: slice) -> Any:
        count = part.stop - part.start
        return self._conditions(None if labels is None else ops.convert_to_tensor(labels[part]), count)

    def _insist_built(self) -> None:
        if not self.built:
            raise ValueError(
                "The VAE has not seen data yet, so it has no shape. Call `fit`, or `encode` on data, first."
            )


def _parts(count: int, size: int) -> Iterator[slice]:
    for start in range(0, max(count, 1), size):
        yield slice(start, min(start + size, count))
