"""The evidence lower bound (Kingma & Welling 2013), its importance-weighted kin, and their terms."""

from __future__ import annotations

import math
from typing import Annotated, Any, NamedTuple

import keras
import numpy as np
from keras import ops
from pydantic import Field

from kplug.catalog.facts import component
from kplug.losses import tfp_distributions
from kplug.losses.all_outputs import SeesAllOutputs
from kplug.losses.function_loss import Reduction
from kplug.losses.gaussian_kl import check_pair, gaussian_kl_by_dimension, sum_with_free_bits
from kplug.losses.labelled import in_float32, in_one_dtype
from kplug.losses.likelihoods import LIKELIHOODS, Likelihood, log_likelihood, log_likelihood_of_draws

_KINGMA = "Kingma & Welling (2013), Auto-Encoding Variational Bayes, https://arxiv.org/abs/1312.6114"
_IAF = "Kingma et al. (2016), Improving Variational Inference with Inverse Autoregressive Flow, https://arxiv.org/abs/1606.04934"


class ELBOTerms(NamedTuple):
    """The terms of the negative evidence lower bound, each of shape `(batch_size,)`, in nats.

    Attributes:
        loss: `reconstruction_loss + beta * kl_loss`.
        reconstruction_loss: Minus the expected log-likelihood.
        kl_loss: The KL divergence of the posterior from the prior, with free bits if there are any.
    """

    loss: Any
    reconstruction_loss: Any
    kl_loss: Any


@keras.saving.register_keras_serializable(package="kplug")
def elbo_loss(
    x: Any,
    reconstruction: Any,
    mean: Any = None,
    log_var: Any = None,
    likelihood: Likelihood = "bernoulli",
    beta: Any = 1.0,
    free_bits: float = 0.0,
    scale: Any = 1.0,
    posterior: Any = None,
    prior: Any = None,
    return_terms: bool = False,
    log_scale: Any = None,
) -> Any:
    """Negative evidence lower bound of a variational autoencoder.

    ```
    L = -log p(x | z) + beta * KL(q(z | x) || p(z))
    ```

    with z the draw that was decoded (Kingma & Welling 2013, equation 10). Both terms are sums: over the elements of a
    sample, and over the latent dimensions. (The usual mean over pixels silently multiplies `beta` by their number.)

    Use it in `compute_loss` of a model of your own; `kplug.VAE` has it built in, and `kplug.ELBOLoss` goes into
    `compile`. The bound is on the likelihood of data that the likelihood can have: Bernoulli wants values between 0
    and 1, Poisson and multinomial want counts.

    Args:
        x: Data of shape `(batch_size, ...)`.
        reconstruction: What the decoder puts out for one draw of z: logits (Bernoulli; categorical, with the classes
            on a last axis of their own; multinomial), means (Gaussian) or log rates (Poisson).
        mean: Means of q, of shape `(batch_size, ..., latent_dim)`.
        log_var: Log variances of q, of the same shape.
        likelihood: `"bernoulli"`, `"gaussian"`, `"categorical"`, `"multinomial"` or `"poisson"`.
        beta: Weight of the KL term, a number or a scalar tensor; 1 is the bound itself. Anneal it with
            `kplug.kl_annealing(step, steps)`.
        free_bits: Nats per latent dimension that cost nothing: each dimension's KL, averaged over the batch, counts
            as at least that much, with no gradient below (Kingma et al. 2016, equation 15).
        scale: Standard deviation of the Gaussian likelihood, greater than 0: a number, or a tensor that broadcasts
            against `x`.
        posterior: Instead of `mean` and `log_var`: q as a TensorFlow Probability distribution, of batch shape
            `(batch_size,)` or `(batch_size, latent_dim)`.
        prior: With `posterior`: p as such a distribution. The standard normal by default.
        return_terms: Whether to return the two terms too.
        log_scale: Instead of `scale`: its logarithm, a tensor that broadcasts against `x`, as a network puts it out.

    Returns:
        One value per sample in nats, of shape `(batch_size,)`; or `ELBOTerms(loss, reconstruction_loss, kl_loss)`.

    Raises:
        ValueError: If the posterior is given twice or not at all, or a parameter is wrong.

    References:
        Kingma & Welling (2013), Auto-Encoding Variational Bayes, https://arxiv.org/abs/1312.6114
        Kingma et al. (2016), Improving Variational Inference with Inverse Autoregressive Flow,
        https://arxiv.org/abs/1606.04934

    Example:

    >>> x, logits = np.ones((1, 4), "float32"), np.zeros((1, 4), "float32")
    >>> mean, log_var = np.ones((1, 2), "float32"), np.zeros((1, 2), "float32")
    >>> terms = kplug.elbo_loss(x, logits, mean, log_var, return_terms=True)
    >>> [round(float(term[0]), 4) for term in terms]  # 4 log 2 + 1
    [3.7726, 2.7726, 1.0]
    """
    _check_elbo(likelihood, free_bits, scale, log_scale)
    if (posterior is None) == (mean is None) or (mean is None) != (log_var is None):
        raise ValueError("elbo_loss needs either `mean` and `log_var`, or `posterior`.")
    if prior is not None and posterior is None:
        raise ValueError("`prior` goes with `posterior`. With `mean` and `log_var` the prior is the standard normal.")
    x, reconstruction, mean, log_var = in_one_dtype(x, reconstruction, mean, log_var)
    _check_one_batch(x=x, reconstruction=reconstruction, mean=mean)
    reconstruction_loss = -log_likelihood(x, reconstruction, likelihood, scale, log_scale)
    if posterior is None:
        check_pair(mean, log_var)
        divergence = gaussian_kl_by_dimension(mean, log_var)
    else:
        divergence = in_float32(tfp_distributions.divergence(posterior, prior))
    kl_loss = sum_with_free_bits(divergence, free_bits)
    loss = reconstruction_loss + ops.cast(beta, kl_loss.dtype) * kl_loss
    return ELBOTerms(loss, reconstruction_loss, kl_loss) if return_terms else loss


@component(tasks=["image-generation", "density-estimation"], references=[_KINGMA, _IAF])
@keras.saving.register_keras_serializable(package="kplug")
class ELBOLoss(SeesAllOutputs, keras.losses.Loss):
    """Negative evidence lower bound, for models that put out the posterior beside the reconstruction.

    The class of `kplug.elbo_loss`, which has the formula. The model puts out a dictionary with `reconstruction`, `mean`
    and `log_var`, and `log_scale` if a Gaussian's scale is learned; the target is the data.

    It sees all outputs at once, so it is the model's only loss, and Keras hands it no mask: leave samples out by
    sample weights. The target is the data alone, or a dictionary that has
    them as its `reconstruction`. Keras computes metrics only for targets of the outputs' structure: with
    `metrics={"reconstruction": [...]}` give `{"reconstruction": x, "mean": zeros, "log_var": zeros}`, where the zeros,
    of shape `(num_samples, 1)`, are read by nobody.

    Use it for an autoencoder built with the functional API. `kplug.VAE` needs no loss, and reports the two terms.

    Args:
        likelihood: `"bernoulli"`, `"gaussian"`, `"categorical"`, `"multinomial"` or `"poisson"`.
        beta: Weight of the KL term, at least 0; 1 is the bound itself. It stays as it is: to anneal it, set it to 0 and
            put a `kplug.KLDivergence(annealing_steps=…)` between the encoder and the sampling.
        free_bits: Nats per latent dimension that cost nothing, at least 0.
        scale: Standard deviation of the Gaussian likelihood, greater than 0, where the model puts out no `log_scale`.
        reduction: How the samples' losses become one number, as in `keras.losses.Loss`.
        name: The loss's name.
        dtype: The dtype it is computed in; `keras.config.floatx()` by default.

    Raises:
        ValueError: If a parameter is wrong, or the model's output is no such dictionary.

    References:
        Kingma & Welling (2013), Auto-Encoding Variational Bayes, https://arxiv.org/abs/1312.6114

    Example:

    >>> outputs = {"reconstruction": [[0.0, 0.0]], "mean": [[1.0]], "log_var": [[0.0]]}
    >>> round(float(kplug.ELBOLoss()(np.ones((1, 2)), outputs)), 4)  # 2 log 2 + 1/2
    1.8863

    In a model:

    ```python
    x = keras.Input((64,))
    h = keras.layers.Dense(128, activation="relu")(x)
    mean, log_var = keras.layers.Dense(2)(h), keras.layers.Dense(2)(h)
    h = keras.layers.Dense(128, activation="relu")(kplug.Sampling()([mean, log_var]))
    logits = keras.layers.Dense(64)(h)
    model = keras.Model(x, {"reconstruction": logits, "mean": mean, "log_var": log_var})
    model.compile("adam", loss=kplug.ELBOLoss())
    model.fit(data, data)
    ```
    """

    def __init__(
        self,
        likelihood: Likelihood = "bernoulli",
        beta: Annotated[float, Field(ge=0)] = 1.0,
        free_bits: Annotated[float, Field(ge=0)] = 0.0,
        scale: Annotated[float, Field(gt=0)] = 1.0,
        reduction: Reduction = "sum_over_batch_size",
        name: str = "elbo_loss",
        dtype: str | None = None,
    ) -> None:
        super().__init__(name=name, reduction=reduction, dtype=dtype)
        _check_elbo(likelihood, free_bits, scale)
        if not beta >= 0:
            raise ValueError(f"`beta` must be at least 0. Received: beta={beta}")
        self.likelihood = likelihood
        self.beta = beta
        self.free_bits = free_bits
        self.scale = scale

    def __call__(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> Any:
        return super().__call__(_only(y_true), y_pred, _only(sample_weight))

    def call(self, y_true: Any, y_pred: Any) -> Any:
        if not isinstance(y_pred, dict) or not {"reconstruction", "mean", "log_var"} <= set(y_pred):
            shown = f"a dictionary with {sorted(y_pred)}" if isinstance(y_pred, dict) else type(y_pred).__name__
            raise ValueError(
                "ELBOLoss needs a model that puts out a dictionary with 'reconstruction', 'mean' and 'log_var'. "
                f"Received: {shown}"
            )
        return elbo_loss(
            y_true,
            y_pred["reconstruction"],
            y_pred["mean"],
            y_pred["log_var"],
            likelihood=self.likelihood,
            beta=self.beta,
            free_bits=self.free_bits,
            scale=1.0 if "log_scale" in y_pred else self.scale,
            log_scale=y_pred.get("log_scale"),
        )

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "likelihood": self.likelihood,
            "beta": self.beta,
            "free_bits": self.free_bits,
            "scale": self.scale,
        }


@keras.saving.register_keras_serializable(package="kplug")
def iwae_loss(
    x: Any,
    reconstruction: Any,
    z: Any,
    mean: Any,
    log_var: Any,
    likelihood: Likelihood = "bernoulli",
    scale: Any = 1.0,
    log_scale: Any = None,
) -> Any:
    """Negative importance-weighted bound with k draws per sample; tighter than the ELBO, the more so the larger k.

    ```
    L_k = -log( 1/k * sum over i of p(x | z_i) p(z_i) / q(z_i | x) )
    ```

    with a standard normal prior (Burda et al. 2015, equation 8), computed in log space. With k = 1 it is the ELBO with
    the KL term estimated by the same draw.

    Use it to evaluate (k of some thousands estimates the log-likelihood), or to train a better decoder; with large k
    the encoder's gradient gets noisy (Rainforth et al. 2018).

    Args:
        x: Data of shape `(batch_size, ...)`.
        reconstruction: What the decoder puts out for each draw, of shape `(batch_size, k, ...)`; see `elbo_loss`.
        z: The draws, of shape `(batch_size, k, latent_dim)`, as `kplug.Sampling(num_samples=k)` makes them.
        mean: Means of q, of shape `(batch_size, latent_dim)`.
        log_var: Log variances of q, of the same shape.
        likelihood: `"bernoulli"`, `"gaussian"`, `"categorical"`, `"multinomial"` or `"poisson"`.
        scale: Standard deviation of the Gaussian likelihood, greater than 0: a number, or a tensor that broadcasts
            against `x`, or has the shape of `reconstruction`.
        log_scale: Instead of `scale`: its logarithm, such a tensor.

    Returns:
        One value per sample in nats, of shape `(batch_size,)`.

    Raises:
        ValueError: If the likelihood is unknown, or the draws are not of that shape.

    References:
        Burda et al. (2015), Importance Weighted Autoencoders, https://arxiv.org/abs/1509.00519

    Example:

    >>> x, logits = np.ones((1, 4), "float32"), np.zeros((1, 8, 4), "float32")
    >>> mean = log_var = np.zeros((1, 2), "float32")
    >>> z = np.random.default_rng(0).normal(size=(1, 8, 2)).astype("float32")
    >>> round(float(kplug.iwae_loss(x, logits, z, mean, log_var)[0]), 4)  # q is the prior: 4 log 2
    2.7726
    """
    _check_elbo(likelihood, 0.0, scale, log_scale)
    x, reconstruction, z, mean, log_var = in_one_dtype(x, reconstruction, z, mean, log_var)
    check_pair(mean, log_var)
    _check_one_batch(x=x, reconstruction=reconstruction, z=z, mean=mean)
    sides = {*z.shape[1:2], *reconstruction.shape[1:2]} - {None}
    dims = {z.shape[-1], mean.shape[-1]} - {None}
    if len(z.shape) != 3 or len(mean.shape) != 2 or len(sides) > 1 or len(dims) > 1:
        raise ValueError(
            "iwae_loss needs draws of shape (batch_size, k, latent_dim), a reconstruction for each, and means of shape "
            f"(batch_size, latent_dim). Received: z of shape {tuple(z.shape)}, reconstruction of shape "
            f"{tuple(reconstruction.shape)}, mean of shape {tuple(mean.shape)}"
        )
    log_x = log_likelihood_of_draws(x, reconstruction, likelihood, scale, log_scale)
    standardised = (z - mean[:, None]) * ops.exp(-log_var[:, None] / 2)
    # The constants of the two Gaussians cancel.
    log_prior = -0.5 * ops.sum(ops.square(z), axis=2)
    log_posterior = -0.5 * ops.sum(ops.square(standardised) + log_var[:, None], axis=2)
    log_weights = log_x + log_prior - log_posterior
    return ops.log(ops.cast(ops.shape(z)[1], log_x.dtype)) - ops.logsumexp(log_weights, axis=1)


def _check_one_batch(**parts: Any) -> None:
    """Refuse tensors of different batch sizes, as far as the sizes are known."""
    shapes = {name: tuple(part.shape) for name, part in parts.items() if part is not None}
    if len({shape[0] for shape in shapes.values() if shape} - {None}) > 1:
        received = ", ".join(f"{name} of shape {shape}" for name, shape in shapes.items())
        raise ValueError(f"The data and what the model puts out for them must be of one batch. Received: {received}")


def _check_elbo(likelihood: str, free_bits: float, scale: Any, log_scale: Any = None) -> None:
    if likelihood not in LIKELIHOODS:
        raise ValueError(
            f"`likelihood` must be one of {', '.join(map(repr, LIKELIHOODS))}. Received: likelihood={likelihood!r}"
        )
    if not free_bits >= 0:
        raise ValueError(f"`free_bits` must be at least 0. Received: free_bits={free_bits}")
    if isinstance(scale, int | float | np.generic) and not (float(scale) > 0 and math.isfinite(scale)):
        raise ValueError(f"`scale` must be greater than 0. Received: scale={scale}")
    given = [] if isinstance(scale, int | float) and scale == 1 else ["scale"]
    given += [] if log_scale is None else ["log_scale"]
    if len(given) > 1:
        raise ValueError("Give either `scale` or `log_scale`, not both.")
    if given and likelihood != "gaussian":
        raise ValueError(f"`{given[0]}` is for likelihood='gaussian'. Received: likelihood={likelihood!r}")


def _only(values: Any) -> Any:
    """Return what Keras has put into lists of one, or a user into a dictionary like the model's."""
    while True:
        if isinstance(values, list | tuple) and len(values) == 1:
            values = values[0]
        elif isinstance(values, dict) and "reconstruction" in values:
            values = values["reconstruction"]
        else:
            return values
