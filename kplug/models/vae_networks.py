"""The two networks of a variational autoencoder, built or brought along, and what stands between them and the data."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from kplug.losses.likelihoods import Likelihood
from kplug.models import autoencoder_networks, own_networks
from kplug.models.vae_scaling import scaling_of


class EncoderAndDecoder:
    """Builds encoder and decoder where none are given, scales what its own see and put out, and tells them classes.

    What a member has: the settings of `kplug.VAE`, `_num_conditions`, and `_conditions` for given labels.
    """

    latent_dim: int
    architecture: str
    filters: Sequence[int]
    units: Sequence[int] | None
    likelihood: Likelihood
    categories: int | None
    conditional: bool
    encoder: Any
    decoder: Any
    mean_head: Any
    log_var_head: Any
    scaling: Any
    dtype_policy: Any
    _own_encoder: bool
    _own_decoder: bool
    _num_conditions: Any
    _conditions: Any
    _precise_dtype: str

    def _build_networks(self, shape: tuple[int, ...]) -> None:
        build_encoder, build_decoder, units = autoencoder_networks.builders(shape, self.architecture, self.units)
        width = self._num_conditions
        if self.encoder is None:
            self.encoder = build_encoder(shape, self.latent_dim, self.filters, units, self.dtype_policy, width)
        elif (features := own_networks.features_of(self.encoder, shape, self.latent_dim)) is not None:
            self.mean_head, self.log_var_head = (
                keras.layers.Dense(self.latent_dim, name=name, dtype=self.dtype_policy) for name in ("mean", "log_var")
            )
            for head in (self.mean_head, self.log_var_head):
                head.build((None, features + width))
        categories = self.categories if self.likelihood == "categorical" else None
        if self.decoder is None:
            inputs = self.latent_dim + width
            self.decoder = build_decoder(shape, inputs, self.filters, units, self.dtype_policy, categories)
        else:
            own_networks.check_decoder(self.decoder, shape, self.latent_dim + width, self.likelihood, categories)
        self.scaling = scaling_of(self.likelihood, shape, categories, self._precise_dtype)

    def _posterior(self, inputs: Any, conditions: Any = None, training: bool | None = None) -> tuple[Any, Any]:
        if isinstance(inputs, np.ndarray):  # a step of JAX that is not compiled
            inputs = ops.convert_to_tensor(inputs)
        return self._encoded(self._seen_by_encoder(inputs), conditions, training)

    def _seen_by_encoder(self, x: Any) -> Any:
        return x if self._own_encoder else self.scaling.to_encoder(x)

    def _encoded(self, inputs: Any, conditions: Any = None, training: bool | None = None) -> tuple[Any, Any]:
        """Return mean and log variance of the posterior, given what the encoder sees of the data."""
        if self.conditional and conditions is None:
            conditions = self._conditions(None, ops.shape(inputs)[0])
        takes_classes = self.conditional and not self._own_encoder
        outputs = self.encoder([inputs, conditions] if takes_classes else inputs, training=training)
        if self.mean_head is None:
            return tuple(outputs)
        features = ops.concatenate([outputs, ops.cast(conditions, outputs.dtype)], -1) if self.conditional else outputs
        return self.mean_head(features), self.log_var_head(features)

    def _decoded(self, z: Any, conditions: Any, training: bool | None = None) -> Any:
        """Decode latent vectors of shape `(batch_size, latent_dim)`, or several of each sample as axis 1."""
        shape = ops.shape(z)
        if self.conditional:
            if len(shape) == 3:
                conditions = ops.repeat(conditions[:, None], shape[1], axis=1)
            z = ops.concatenate([z, ops.cast(conditions, z.dtype)], axis=-1)
        outputs = self.decoder(z if len(shape) == 2 else ops.reshape(z, (-1, z.shape[-1])), training=training)
        outputs = outputs if self._own_decoder else self.scaling.from_decoder(outputs)
        return outputs if len(shape) == 2 else ops.reshape(outputs, (-1, shape[1], *outputs.shape[1:]))
