"""What the weights of a Bayesian layer are distributed as: a posterior that is trained, or a prior."""

from __future__ import annotations

from typing import Any

import keras


class WeightDistribution(keras.layers.Layer):
    """A distribution over all entries of a tensor of weights, for `DenseVariational`.

    Subclass it for a posterior or a prior of your own. A posterior needs `build`, `sample` and `mean`, and `log_prob`
    where it has no closed form of the KL divergence; a prior needs `log_prob`. Trainable parameters are made with
    `add_weight` in `build`; they stay in float32 under mixed precision. Register the class with Keras, and let
    `get_config` return what its constructor takes, so that models that use it can be saved.

    Args:
        **kwargs: Keras' own layer arguments (`name`, `dtype`, …).

    Example:

    ```python
    @keras.saving.register_keras_serializable(package="acme")
    class LaplacePrior(kplug_bayes.WeightDistribution):
        def log_prob(self, weights):
            return -keras.ops.sum(keras.ops.abs(weights) + math.log(2))

    layer = kplug_bayes.DenseVariational(8, prior=LaplacePrior(), kl_weight=1 / len(x_train))
    ```
    """

    def build(self, input_shape: tuple[int, ...]) -> None:
        """Make the parameters of the distribution over weights of this shape."""

    def sample(self, seed: keras.random.SeedGenerator) -> Any:
        """Return one draw, of the shape given to `build`, through which gradients reach the parameters."""
        raise NotImplementedError(f"{type(self).__name__} has no `sample`: it can be a prior, and no posterior.")

    def mean(self) -> Any:
        """Return the mean, of the shape given to `build`."""
        raise NotImplementedError(f"{type(self).__name__} has no `mean`, which a layer that does not draw needs.")

    def log_prob(self, weights: Any) -> Any:
        """Return the log density of all weights together, in nats: a scalar."""
        raise NotImplementedError(
            f"{type(self).__name__} has no `log_prob`, which the KL divergence needs where it has no closed form."
        )

    def sample_and_log_prob(self, seed: keras.random.SeedGenerator) -> tuple[Any, Any]:
        """Return one draw and its log density, which a posterior may know better than by computing it from the draw."""
        drawn = self.sample(seed)
        return drawn, self.log_prob(drawn)

    def kl_divergence(self, prior: WeightDistribution) -> Any:
        """Return the KL divergence of this posterior from a prior, in nats, or `None` where it has no closed form."""
        del prior

    def add_weight(self, *args: Any, **kwargs: Any) -> Any:
        """Add a weight as Keras does, but one that is not cast under mixed precision."""
        return super().add_weight(*args, **{"autocast": False, **kwargs})
