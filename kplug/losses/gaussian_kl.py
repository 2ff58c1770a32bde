"""The KL divergence between diagonal Gaussians."""

from __future__ import annotations

from typing import Any

from keras import ops

from kplug.losses.labelled import in_one_dtype
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

    Raises:
        ValueError: If `mean` and `log_var` are of two shapes.

    References:
        Kingma & Welling (2013), Auto-Encoding Variational Bayes, https://arxiv.org/abs/1312.6114

    Example:

    >>> float(kplug.gaussian_kl(np.ones((1, 2), "float32"), np.zeros((1, 2), "float32"))[0])
    1.0
    """
    mean, log_var, prior_mean, prior_log_var = in_one_dtype(mean, log_var, prior_mean, prior_log_var)
    check_pair(mean, log_var)
    return sum_per_sample(gaussian_kl_by_dimension(mean, log_var, prior_mean, prior_log_var))


def check_pair(mean: Any, log_var: Any) -> None:
    """Refuse a mean and a log variance of two shapes.

    Raises:
        ValueError: If a side is known in both and differs.
    """
    shapes = tuple(mean.shape), tuple(log_var.shape)
    if len(shapes[0]) != len(shapes[1]) or any(None not in sides and len(set(sides)) > 1 for sides in zip(*shapes)):  # noqa: B905 - just compared
        raise ValueError(
            "`mean` and `log_var` must be of one shape, (batch_size, ..., latent_dim). "
            f"Received: mean of shape {shapes[0]}, log_var of shape {shapes[1]}"
        )


def gaussian_kl_by_dimension(mean: Any, log_var: Any, prior_mean: Any = 0.0, prior_log_var: Any = 0.0) -> Any:
    """Return the terms of `gaussian_kl`, of the shape of `mean`, in its dtype."""
    prior_mean, prior_log_var = (ops.convert_to_tensor(part, dtype=mean.dtype) for part in (prior_mean, prior_log_var))
    log_ratio = log_var - prior_log_var
    distance = ops.square(mean - prior_mean) * ops.exp(-prior_log_var)
    # expm1 keeps the digits of r - 1 - log r where q is close to p.
    return 0.5 * (ops.expm1(log_ratio) - log_ratio + distance)


def sum_with_free_bits(divergence: Any, free_bits: float) -> Any:
    """Sum over the latent dimensions; a dimension whose batch mean lies below `free_bits` counts as that.

    Raises:
        ValueError: If there are free bits, and the divergences are not by dimension.
    """
    if free_bits:
        if len(divergence.shape) < 2:
            raise ValueError(
                "`free_bits` needs the divergence of each latent dimension: a posterior of independent dimensions, of "
                f"batch shape (batch_size, latent_dim). Received one of divergences of shape {tuple(divergence.shape)}"
            )
        above = ops.cast(ops.mean(divergence, axis=0, keepdims=True) > free_bits, divergence.dtype)
        divergence = above * divergence + (1 - above) * free_bits
    return sum_per_sample(divergence)
