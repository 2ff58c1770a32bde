"""Draws on the simplex by a softmax of a Gaussian."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from kplug.catalog.facts import component
from kplug.layers.gaussian_pair import check_one_shape, mask_of_the_mean, mean_and_log_var
from kplug.layers.precision import precise_dtype
from kplug.layers.seeded import SeededLayer

_SRIVASTAVA = (
    "Srivastava & Sutton (2017), Autoencoding Variational Inference for Topic Models, https://arxiv.org/abs/1703.01488"
)


@component(tasks=["topic-modeling"], references=[_SRIVASTAVA])
@keras.saving.register_keras_serializable(package="kplug")
class LogisticNormal(SeededLayer):
    """Draws mixtures (of topics, say) from a logistic-normal distribution, so that gradients reach its parameters.

    ```
    theta = softmax(mean + exp(log_var / 2) * epsilon),    epsilon standard normal
    ```

    (Srivastava & Sutton 2017, section 3.2.) It draws in training and in inference alike.

    Use it for topic models; its KL from a Dirichlet-like prior has a closed form: `kplug.gaussian_kl` with the prior
    that `kplug.dirichlet_laplace` gives. For draws from a Dirichlet itself there is `kplug.DirichletSampling`.

    Args:
        seed: Whole number that makes the draws repeat, or `None`.
        **kwargs: Keras' own layer arguments (`name`, `dtype`, …).

    Call arguments:
        inputs: A pair `(mean, log_var)`, both of shape `(batch_size, ..., num_topics)`.

    Returns:
        Mixtures of the same shape: not negative, and summing to 1 on the last axis.

    Raises:
        ValueError: If the inputs are no pair, or of two shapes.

    References:
        Srivastava & Sutton (2017), Autoencoding Variational Inference for Topic Models,
        https://arxiv.org/abs/1703.01488

    Example:

    >>> theta = kplug.LogisticNormal(seed=0)([np.zeros((1, 4), "float32"), np.full((1, 4), -50.0, "float32")])
    >>> [round(float(share), 4) for share in theta[0]]
    [0.25, 0.25, 0.25, 0.25]
    """

    def __init__(self, seed: int | None = None, **kwargs: Any) -> None:
        super().__init__(seed=seed, **kwargs)
        self.supports_masking = True

    def build(self, input_shape: Any) -> None:
        check_one_shape(input_shape, "LogisticNormal")

    def call(self, inputs: Any) -> Any:
        dtype = precise_dtype(self)
        mean, log_var = (ops.cast(part, dtype) for part in mean_and_log_var(inputs, "LogisticNormal"))
        epsilon = keras.random.normal(ops.shape(mean), dtype=dtype, seed=self.seed_generator)
        return ops.cast(ops.softmax(mean + ops.exp(log_var / 2) * epsilon, axis=-1), self.compute_dtype)

    def compute_output_shape(self, input_shape: Any) -> Any:
        return mean_and_log_var(input_shape, "LogisticNormal")[0]

    def compute_mask(self, inputs: Any, mask: Any = None) -> Any:
        del inputs
        return mask_of_the_mean(mask)


def dirichlet_laplace(alpha: float | Sequence[float], num_topics: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the mean and log variance of the logistic-normal distribution that is nearest to a Dirichlet.

    The Laplace approximation in the softmax basis (Srivastava & Sutton 2017, equation 2):

    ```
    mean_k = log alpha_k - 1/K * sum_i log alpha_i
    var_k  = 1/alpha_k * (1 - 2/K) + 1/K^2 * sum_i 1/alpha_i
    ```

    Args:
        alpha: Concentration of the Dirichlet, greater than 0: one number, or one per topic.
        num_topics: K, at least 2.

    Returns:
        Mean and log variance, float32 arrays of shape `(num_topics,)`.

    Raises:
        ValueError: If a concentration is not greater than 0 and finite, or there are not `num_topics` of them.

    References:
        Srivastava & Sutton (2017), Autoencoding Variational Inference for Topic Models,
        https://arxiv.org/abs/1703.01488

    Example:

    >>> mean, log_var = kplug.dirichlet_laplace(0.5, 4)
    >>> mean.tolist(), np.exp(log_var).round(4).tolist()
    ([0.0, 0.0, 0.0, 0.0], [1.5, 1.5, 1.5, 1.5])
    """
    given = np.asarray(alpha, "float64")
    if num_topics < 2 or given.shape not in {(), (num_topics,)} or not np.all((given > 0) & np.isfinite(given)):
        raise ValueError(
            "`alpha` must be greater than 0 and finite, one number or one per topic, for at least 2 topics. "
            f"Received: alpha={alpha}, num_topics={num_topics}"
        )
    concentrations = np.broadcast_to(given, (num_topics,))
    mean = np.log(concentrations) - np.mean(np.log(concentrations))
    variance = (1 - 2 / num_topics) / concentrations + np.sum(1 / concentrations) / num_topics**2
    return mean.astype("float32"), np.log(variance).astype("float32")
