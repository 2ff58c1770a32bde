"""Variational autoencoder."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from numbers import Integral, Real
from pathlib import Path
from typing import Annotated, Any, Literal

import keras
import numpy as np
from keras import ops
from pydantic import Field

from kplug.catalog.facts import component
from kplug.layers.sampling import Sampling
from kplug.losses.gaussian_kl import gaussian_kl
from kplug.losses.likelihoods import bernoulli_log_likelihood, gaussian_log_likelihood
from kplug.models import autoencoder_networks as networks

PositiveInt = Annotated[int, Field(gt=0)]

_CONVOLUTIONAL_UNITS = (16,)
_DENSE_UNITS = (400,)


@component(
    tasks=["image-generation", "density-estimation"],
    own_loss=True,
    optimizer="adam",
    references=["Kingma & Welling (2013), Auto-Encoding Variational Bayes, https://arxiv.org/abs/1312.6114"],
)
@keras.saving.register_keras_serializable(package="kplug")
class VAE(keras.Model):
    """Variational autoencoder: learns a small latent space from which data like the given can be drawn.

    It maximises the evidence lower bound of Kingma & Welling (2013, equation 10),

    ```
    ELBO = E_q(z|x) [log p(x|z)] - beta * KL(q(z|x) || N(0, I))
    ```

    summed over the elements of a sample and over the latent dimensions, averaged over the batch. The loss is -ELBO in
    nats; `reconstruction_loss` and `kl_loss` report its two terms. (Many tutorials average over pixels or latent
    dimensions instead, which silently rescales `beta`.)

    The model builds itself from the shape of the data when it first sees them: convolutional for images, dense for
    everything else. Targets given to `fit` are ignored, so `fit(x)` and `fit(x, x)` are the same. It brings its own
    loss: `compile` takes an optimizer and no loss.

    Args:
        latent_dim: Number of latent dimensions.
        architecture: `"convolutional"`, `"dense"`, or `"auto"`: convolutional where samples have shape
            `(height, width)` or `(height, width, channels)`.
        filters: Filters of the stride-2 convolutions of the encoder; the decoder mirrors them.
        units: Units of the dense hidden layers; by default `(16,)` after the convolutions, `(400,)` without.
        likelihood: `"bernoulli"` for data between 0 and 1; `"gaussian"` for any real data, with `scale`.
        scale: Standard deviation of the Gaussian likelihood, in the data's unit.
        beta: Weight of the KL term; 1 is the bound itself (beta-VAE: Higgins et al. 2017).
        encoder: A model of your own from samples to `[mean, log_var]`, or to features on which the VAE then puts
            the two heads.
        decoder: A model of your own from latent vectors of shape `(batch_size, latent_dim)` to logits (Bernoulli)
            or means (Gaussian) of the samples' shape.
        seed: Whole number that makes the latent draws repeat, or `None`.
        **kwargs: Keras' own model arguments (`name`, `dtype`, …).

    Call arguments:
        inputs: Data of shape `(batch_size, ...)`.

    Returns:
        When called: a dictionary with `reconstruction` (logits or means, of the data's shape), `mean` and `log_var`
        (each of shape `(batch_size, latent_dim)`).

    Raises:
        ValueError: If a parameter is out of range, data do not suit the likelihood, a loss is given to `compile`, or
            an own encoder or decoder has outputs of the wrong shape.

    References:
        Kingma & Welling (2013), Auto-Encoding Variational Bayes, https://arxiv.org/abs/1312.6114
        Higgins et al. (2017), beta-VAE, https://openreview.net/forum?id=Sy2fzU9gl

    Example:

    ```python
    vae = kplug.VAE(latent_dim=2)
    vae.compile("adam")
    vae.fit(x, epochs=10, batch_size=128)
    images = vae.generate(16)
    vae.save("vae.keras")
    ```
    """

    def __init__(
        self,
        latent_dim: PositiveInt = 2,
        architecture: Literal["auto", "convolutional", "dense"] = "auto",
        filters: Sequence[PositiveInt] = (32, 64),
        units: Sequence[PositiveInt] | None = None,
        likelihood: Literal["bernoulli", "gaussian"] = "bernoulli",
        scale: Annotated[float, Field(gt=0)] = 1.0,
        beta: Annotated[float, Field(ge=0)] = 1.0,
        encoder: keras.Model | None = None,
        decoder: keras.Model | None = None,
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        _check_choice("architecture", architecture, ("auto", "convolutional", "dense"))
        _check_choice("likelihood", likelihood, ("bernoulli", "gaussian"))
        _check(_is_count(latent_dim), "`latent_dim` must be a whole number, at least 1", latent_dim=latent_dim)
        _check_layer_sizes("filters", filters)
        _check_layer_sizes("units", () if units is None else units)
        _check(isinstance(scale, Real) and scale > 0, "`scale` must be a number greater than 0", scale=scale)
        _check(isinstance(beta, Real) and beta >= 0, "`beta` must be a number, at least 0", beta=beta)
        self.latent_dim = int(latent_dim)
        self.architecture = architecture
        self.filters = tuple(filters)
        self.units = None if units is None else tuple(units)
        self.likelihood = likelihood
        self.scale = scale
        self.beta = beta
        self.encoder: Any = encoder
        self.decoder: Any = decoder
        self.seed = seed
        self._own_encoder = encoder is not None
        self._own_decoder = decoder is not None
        self.mean_head: Any = None
        self.log_var_head: Any = None
        self.sampling = Sampling(seed=seed, dtype=self.dtype_policy, name="sampling")
        self.reconstruction_tracker = keras.metrics.Mean(name="reconstruction_loss")
        self.kl_tracker = keras.metrics.Mean(name="kl_loss")

    def build(self, input_shape: Any) -> None:
        shape = tuple(input_shape[1:])
        if not shape or None in shape:
            raise ValueError(f"VAE needs samples of one known shape, at least 1-D. Received: input_shape={input_shape}")
        build_encoder, build_decoder, units = self._builders(shape)
        if self.encoder is None:
            self.encoder = build_encoder(shape, self.latent_dim, self.filters, units, self.dtype_policy)
        else:
            self._adopt_encoder(shape)
        if self.decoder is None:
            self.decoder = build_decoder(shape, self.latent_dim, self.filters, units, self.dtype_policy)
        else:
            self._adopt_decoder(shape)
        self.built = True

    def _builders(self, shape: tuple[int, ...]) -> tuple[Callable, Callable, tuple[int, ...]]:
        image = networks.is_image_shape(shape)
        if self.architecture == "convolutional" and not image:
            raise ValueError(
                "`architecture='convolutional'` needs samples of shape (height, width) or (height, width, channels). "
                f"Received samples of shape {shape}"
            )
        if image and self.architecture != "dense":
            units = _CONVOLUTIONAL_UNITS if self.units is None else self.units
            return networks.convolutional_encoder, networks.convolutional_decoder, units
        return networks.dense_encoder, networks.dense_decoder, _DENSE_UNITS if self.units is None else self.units

    def _adopt_encoder(self, shape: tuple[int, ...]) -> None:
        outputs = self.encoder(keras.Input(shape))
        if isinstance(outputs, (list, tuple)):
            shapes = [tuple(output.shape[1:]) for output in outputs]
            if shapes != [(self.latent_dim,)] * 2:
                raise ValueError(
                    f"The encoder must put out [mean, log_var], each of shape (batch_size, {self.latent_dim}), "
                    f"or one feature tensor. Received outputs of shape {shapes}"
                )
            return
        if not hasattr(outputs, "shape"):
            raise ValueError(f"The encoder must put out a tensor or a pair of tensors. Received: {type(outputs)}")
        if len(outputs.shape) != 2:
            raise ValueError(
                "The encoder must put out features that are vectors, of shape (batch_size, features). "
                f"Received outputs of shape {tuple(outputs.shape[1:])} per sample: end the encoder with Flatten, say."
            )
        self.mean_head = keras.layers.Dense(self.latent_dim, name="mean", dtype=self.dtype_policy)
        self.log_var_head = keras.layers.Dense(self.latent_dim, name="log_var", dtype=self.dtype_policy)
        self.mean_head.build(outputs.shape)
        self.log_var_head.build(outputs.shape)

    def _adopt_decoder(self, shape: tuple[int, ...]) -> None:
        outputs = self.decoder(keras.Input((self.latent_dim,)))
        if tuple(outputs.shape[1:]) != shape:
            raise ValueError(
                f"The decoder must put out samples of shape {shape}, as the data have. "
                f"Received outputs of shape {tuple(outputs.shape[1:])}"
            )
        last: Any = next(reversed(getattr(self.decoder, "layers", ())), None)
        if self.likelihood == "bernoulli" and getattr(last, "activation", None) is keras.activations.sigmoid:
            raise ValueError(
                "With `likelihood='bernoulli'` the decoder must put out logits, "
                f"but its last layer {last.name!r} applies a sigmoid. Leave that activation out."
            )

    def call(self, inputs: Any, training: bool | None = None) -> dict[str, Any]:
        mean, log_var = self._posterior(inputs, training)
        reconstruction = self.decoder(self.sampling([mean, log_var]), training=training)
        return {"reconstruction": reconstruction, "mean": mean, "log_var": log_var}

    def _posterior(self, inputs: Any, training: bool | None = None) -> tuple[Any, Any]:
        outputs = self.encoder(inputs, training=training)
        if self.mean_head is None:
            return tuple(outputs)
        return self.mean_head(outputs), self.log_var_head(outputs)

    def compute_loss(
        self, x: Any = None, y: Any = None, y_pred: Any = None, sample_weight: Any = None, training: bool = True
    ) -> Any:
        del y, training
        if getattr(self, "loss", None) is not None:
            raise ValueError(f"VAE computes its own loss. Compile it without one. Received: loss={self.loss}")
        precise = keras.backend.result_type(y_pred["mean"].dtype, "float32")
        x = ops.cast(x, precise)
        reconstruction, mean, log_var = (
            ops.cast(y_pred[name], precise) for name in ("reconstruction", "mean", "log_var")
        )
        if self.likelihood == "bernoulli":
            reconstruction_loss = -bernoulli_log_likelihood(x, reconstruction)
        else:
            reconstruction_loss = -gaussian_log_likelihood(x, reconstruction, self.scale)
        kl_loss = gaussian_kl(mean, log_var)
        if sample_weight is not None:
            sample_weight = ops.reshape(ops.cast(sample_weight, precise), (-1,))
        self.reconstruction_tracker.update_state(reconstruction_loss, sample_weight=sample_weight)
        self.kl_tracker.update_state(kl_loss, sample_weight=sample_weight)
        negative_elbo = reconstruction_loss + self.beta * kl_loss
        if sample_weight is not None:
            negative_elbo = negative_elbo * sample_weight
        return ops.mean(negative_elbo) + sum(ops.cast(ops.sum(extra), precise) for extra in self.losses)

    def fit(self, x: Any = None, y: Any = None, *args: Any, **kwargs: Any) -> Any:
        """Train the model as `keras.Model.fit` does; targets are ignored.

        Raises:
            ValueError: If `x` is an array with values that the likelihood cannot have.
        """
        self.check_data(x)
        return super().fit(x, _target_for_weights(x, y, kwargs), *args, **kwargs)

    def evaluate(self, x: Any = None, y: Any = None, *args: Any, **kwargs: Any) -> Any:
        """Return the losses as `keras.Model.evaluate` does; targets are ignored."""
        return super().evaluate(x, _target_for_weights(x, y, kwargs), *args, **kwargs)

    def check_data(self, x: Any) -> None:
        """Refuse data that the likelihood cannot have; only NumPy arrays are looked at.

        Raises:
            ValueError: If the array holds NaN, or values outside 0 to 1 with the Bernoulli likelihood.
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

    def encode(self, x: Any, batch_size: int = 1024) -> tuple[np.ndarray, np.ndarray]:
        """Return the posterior of each sample.

        Args:
            x: Data of shape `(n, ...)`.
            batch_size: How many samples to work on at a time.

        Returns:
            Mean and log variance, NumPy arrays of shape `(n, latent_dim)`.
        """
        x = np.asarray(x)
        if not self.built:
            self.build((None, *x.shape[1:]))
        batches = [self._posterior(ops.convert_to_tensor(batch), training=False) for batch in _batches(x, batch_size)]
        means, log_vars = zip(*batches, strict=True)
        return _joined(means), _joined(log_vars)

    def decode(self, z: Any, batch_size: int = 1024) -> np.ndarray:
        """Return the data that latent vectors stand for: means of the likelihood.

        Args:
            z: Latent vectors of shape `(n, latent_dim)`.
            batch_size: How many to work on at a time.

        Returns:
            NumPy array of shape `(n, ...)`: probabilities for the Bernoulli likelihood.

        Raises:
            ValueError: If the model has not seen data yet, or `z` is of another shape.
        """
        self._insist_built()
        z = np.asarray(z)
        if z.ndim != 2 or z.shape[1] != self.latent_dim:
            raise ValueError(f"`z` must be of shape (n, {self.latent_dim}). Received: an array of shape {z.shape}")
        return _joined(
            [
                self._likelihood_mean(self.decoder(ops.convert_to_tensor(batch), training=False))
                for batch in _batches(z, batch_size)
            ]
        )

    def _likelihood_mean(self, outputs: Any) -> Any:
        outputs = ops.cast(outputs, keras.backend.result_type(outputs.dtype, "float32"))
        return ops.sigmoid(outputs) if self.likelihood == "bernoulli" else outputs

    def reconstruct(self, x: Any, batch_size: int = 1024) -> np.ndarray:
        """Return `x` as the model sees it: decoded from each sample's posterior mean, of the shape of `x`."""
        return self.decode(self.encode(x, batch_size)[0], batch_size)

    def generate(self, n: int, seed: int | None = None) -> np.ndarray:
        """Return `n` new samples: means of the likelihood at latent vectors drawn from the prior.

        Args:
            n: How many.
            seed: Whole number that makes them repeat, or `None`.

        Raises:
            ValueError: If the model has not seen data yet.
        """
        self._insist_built()
        _check(isinstance(n, int) and n >= 0, "`n` must be a whole number, at least 0", n=n)
        z = np.random.default_rng(seed).standard_normal((n, self.latent_dim)).astype("float32")
        return self.decode(z)

    def _insist_built(self) -> None:
        if not self.built:
            raise ValueError(
                "The VAE has not seen data yet, so it has no shape. Call `fit`, or `encode` on data, first."
            )

    def write_artifacts(self, directory: str | Path, dataset: Any) -> None:
        """Leave pictures: reconstructions, samples, and the latent space coloured by class.

        Args:
            directory: An existing directory.
            dataset: A `kplug.Dataset` of arrays; its test split is shown, or else what it has.
        """
        from kplug.models.vae_pictures import write_pictures

        write_pictures(self, Path(directory), dataset)

    def get_config(self) -> dict[str, Any]:
        serialize = keras.saving.serialize_keras_object
        return {
            **super().get_config(),
            "latent_dim": self.latent_dim,
            "architecture": self.architecture,
            "filters": list(self.filters),
            "units": None if self.units is None else list(self.units),
            "likelihood": self.likelihood,
            "scale": self.scale,
            "beta": self.beta,
            "encoder": serialize(self.encoder) if self._own_encoder else None,
            "decoder": serialize(self.decoder) if self._own_decoder else None,
            "seed": self.seed,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: dict | None = None) -> VAE:
        parts = {
            name: keras.saving.deserialize_keras_object(config[name], custom_objects=custom_objects)
            for name in ("encoder", "decoder")
            if config.get(name) is not None
        }
        return cls(**{**config, **parts})


def _target_for_weights(x: Any, y: Any, options: dict[str, Any]) -> Any:
    """Return a target where sample weights need one: without any, Keras would pass over the weights."""
    return x if y is None and options.get("sample_weight") is not None else y


def _batches(array: np.ndarray, batch_size: int) -> list[np.ndarray]:
    return [array[start : start + batch_size] for start in range(0, max(len(array), 1), batch_size)]


def _joined(tensors: Sequence[Any]) -> np.ndarray:
    return np.concatenate([ops.convert_to_numpy(tensor) for tensor in tensors])


def _check(condition: bool, message: str, **received: Any) -> None:
    if not condition:
        values = ", ".join(f"{name}={value!r}" for name, value in received.items())
        raise ValueError(f"{message}. Received: {values}")


def _is_count(value: Any) -> bool:
    return isinstance(value, Integral) and int(value) >= 1


def _check_layer_sizes(name: str, sizes: Any) -> None:
    valid = isinstance(sizes, Sequence) and all(map(_is_count, sizes))
    _check(valid, f"`{name}` must be a list of whole numbers, each at least 1", **{name: sizes})


def _check_choice(name: str, value: str, choices: Sequence[str]) -> None:
    _check(value in choices, f"`{name}` must be one of {', '.join(map(repr, choices))}", **{name: value})
