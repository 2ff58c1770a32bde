"""The evidence lower bound (Kingma & Welling 2013) and its terms."""

from __future__ import annotations

from typing import Any

from keras import ops

from kplug.losses.likelihoods import sum_per_sample


def gaussian_kl(mean: Any, log_var: Any, prior_mean: Any = 0.0, prior_log_var: Any = 0.0) -> Any:
    """Return KL(q || p) between diagonal Gaussians, one value per sample.

    `1/2 * sum_j (r_j - 1 - log r_j + (mean_j - prior_mean_j)^2 / prior_var_j)` with `r_j = var_j / prior_var_j`
    (Kingma & Welling 2013, appendix B, for the standard normal prior that is the default).

    Args:
        mean: Means of q, of shape `(batch_size, ..., latent_dim)`.
        log_var: Log variances of q, of the same shape.
        prior_mean: Means of p, broadcast against `mean`.
        prior_log_var: Log variances of p, broadcast against `log_var`.

    Returns:
        The sum over the latent dimensions, in nats, of shape `(batch_size,)`; never negative but for rounding.

    References:
        Kingma & Welling (2013), Auto-Encoding Variational Bayes, https://arxiv.org/abs/1312.6114
    """
    log_ratio = log_var - prior_log_var
    distance = ops.square(mean - prior_mean) * ops.exp(-ops.convert_to_tensor(prior_log_var, dtype=log_var.dtype))
    # expm1 keeps the digits of r - 1 - log r where q is close to p.
    return 0.5 * sum_per_sample(ops.expm1(log_ratio) - log_ratio + distance)
