"""The bound on the likelihood that a variational autoencoder trains on."""

from __future__ import annotations

import math
from typing import Any

from keras import ops

from kplug.losses.annealing import kl_annealing
from kplug.losses.gaussian_kl import gaussian_kl_by_dimension, sum_with_free_bits
from kplug.losses.labelled import in_float32
from kplug.losses.likelihoods import Likelihood, log_likelihood, log_likelihood_of_draws
from kplug.models import priors


class EvidenceBound:
    """A `keras.Model` whose loss is minus the evidence lower bound, or the tighter one of several draws.

    What a member has: the settings of `kplug.VAE`, what it makes of them, and `_split` of inputs into data and classes.
    """

    likelihood: Likelihood
    scale: Any
    beta: float
    annealing_steps: int
    annealing_cycles: int
    free_bits: float
    prior: Any
    importance_samples: int
    latent_prior: Any
    log_scale: Any
    scaling: Any
    step: Any
    losses: Any
    reconstruction_tracker: Any
    kl_tracker: Any
    _split: Any
    _mean: Any
    _precise_dtype: str

    def compute_loss(
        self, x: Any = None, y: Any = None, y_pred: Any = None, sample_weight: Any = None, training: bool = True
    ) -> Any:
        del y
        outputs = {name: in_float32(part) for name, part in y_pred.items()}
        precise = outputs["mean"].dtype
        x = ops.cast(self._split(x)[0], precise)
        weight = self._kl_weight(training)
        if training:
            self.scaling.settle()
        if self.importance_samples > 1:
            log_x, divergence = self._log_terms(x, outputs)
            log_weights = log_x - weight * divergence
            negative_bound = math.log(self.importance_samples) - ops.logsumexp(log_weights, axis=1)
            reconstruction_loss, kl_loss = -ops.mean(log_x, axis=1), ops.mean(divergence, axis=1)
        else:
            reconstruction_loss = -log_likelihood(x, outputs["reconstruction"], self.likelihood, *self._scales)
            kl_loss = self._divergence(outputs)
            negative_bound = reconstruction_loss + weight * kl_loss
        if sample_weight is not None:
            sample_weight = ops.reshape(ops.cast(sample_weight, precise), (-1,))
        self.reconstruction_tracker.update_state(reconstruction_loss, sample_weight=sample_weight)
        self.kl_tracker.update_state(kl_loss, sample_weight=sample_weight)
        loss = self._mean.of(negative_bound, sample_weight)
        if self.losses:  # what layers have added, by Keras' own rules
            added = super().compute_loss(x, None, y_pred, None, training)  # type: ignore[misc]
            loss = loss + ops.cast(added, precise)
        return loss

    @property
    def _scales(self) -> tuple[Any, Any]:
        """The Gaussian's scale, and its logarithm where it is learned."""
        if self.log_scale is None:
            return self.scale, None
        return 1.0, ops.convert_to_tensor(self.log_scale) + self.scaling.log_unit

    def _divergence(self, outputs: dict[str, Any]) -> Any:
        """Return the KL term of each sample: exact for the standard normal prior, else estimated by the draw."""
        mean, log_var, z = outputs["mean"], outputs["log_var"], outputs["z"]
        if self.prior == "standard_normal":
            return sum_with_free_bits(gaussian_kl_by_dimension(mean, log_var), self.free_bits)
        return priors.gaussian_log_prob(z, mean, log_var) - self.latent_prior.log_prob(z)

    def _log_terms(self, x: Any, outputs: dict[str, Any]) -> tuple[Any, Any]:
        """Return `log p(x|z)` and `log q(z|x) - log p(z)` of each draw, both of shape `(batch_size, draws)`."""
        outputs = {name: in_float32(part) for name, part in outputs.items()}
        x, z = ops.cast(x, outputs["mean"].dtype), outputs["z"]
        log_x = log_likelihood_of_draws(x, outputs["reconstruction"], self.likelihood, *self._scales)
        log_posterior = priors.gaussian_log_prob(z, outputs["mean"][:, None], outputs["log_var"][:, None])
        return log_x, log_posterior - self.latent_prior.log_prob(z)

    def _kl_weight(self, training: bool) -> Any:
        if not training or self.step is None:
            return self.beta
        weight = self.beta * kl_annealing(self.step, self.annealing_steps, self.annealing_cycles)
        self.step.assign(self.step + 1)
        return ops.cast(weight, self._precise_dtype)
