"""An output layer with a distribution of one's own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
from keras import ops

from kplug_bayes.outputs.backend_distributions import drawn, moment
from kplug_bayes.outputs.distribution_layer import Conversion, DistributionLayer


@keras.saving.register_keras_serializable(package="bayes")
class DistributionLambda(DistributionLayer):
    """Reads its inputs as the parameters of a distribution that a function makes of them.

    The function takes what the layer takes, in float32 or better, and returns a distribution of the backend: of
    TensorFlow Probability on TensorFlow (and on JAX, where that can be imported), of `torch.distributions` on PyTorch.
    The layer puts out its inputs, and `negative_log_likelihood` is the loss; `mean`, `variance`, `mode`, `sample`,
    `log_prob` and `distribution` take what the model puts out. Masks are handed on.

    A function that is registered with Keras is saved with the model. A `lambda` is saved as code, which Keras loads
    with `safe_mode=False` only.

    Args:
        make_distribution: A function of a tensor of shape `(*batch, params_size)` that returns a distribution.
        convert_to: What the layer puts out: `"parameters"` (for the likelihood), `"mean"`, `"mode"` or `"sample"`.
        seed: Whole number that makes the draws repeat, or `None`.
        **kwargs: Keras' own layer arguments (`name`, `dtype`, …).

    Call arguments:
        inputs: A tensor of shape `(batch_size, ..., params_size)`.

    Returns:
        The inputs; with `convert_to` a tensor of shape `(batch_size, ..., *event_shape)`.

    Raises:
        ValueError: If `make_distribution` cannot be called.

    Example:

    ```python
    @keras.saving.register_keras_serializable(package="acme")
    def student_t(parameters):
        loc, untransformed_scale = parameters[..., 0], parameters[..., 1]
        return tfp.distributions.StudentT(4.0, loc, keras.ops.softplus(untransformed_scale))

    layer = kplug_bayes.DistributionLambda(student_t)
    model = keras.Sequential([keras.layers.Dense(2), layer])
    model.compile("adam", loss=layer.negative_log_likelihood)
    ```
    """

    def __init__(
        self,
        make_distribution: Callable[[Any], Any],
        convert_to: Conversion = "parameters",
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(convert_to=convert_to, seed=seed, **kwargs)
        if not callable(make_distribution):
            raise ValueError(
                "`make_distribution` must be a function of the parameters that returns a distribution. "
                f"Received: make_distribution={make_distribution!r}"
            )
        self.make_distribution = make_distribution

    def distribution(self, parameters: Any) -> Any:
        return self.make_distribution(self.precise(parameters))

    def log_prob(self, parameters: Any, value: Any) -> Any:
        distribution = self.distribution(parameters)
        shape = (*distribution.batch_shape, *distribution.event_shape)
        value = ops.cast(ops.convert_to_tensor(value), self.precise_dtype)
        # An axis of length 1 that one side has alone would make a table of all pairs.
        if len(value.shape) == len(shape) + 1 and value.shape[-1] == 1:
            value = value[..., 0]
        elif len(value.shape) == len(shape) - 1 and shape[-1] == 1:
            value = value[..., None]
        sides = zip(value.shape, shape, strict=False)
        if len(value.shape) != len(shape) or any(None not in pair and pair[0] != pair[1] for pair in sides):
            raise ValueError(
                f"The distribution needs values of shape {tuple(shape)}. Received: values of shape {tuple(value.shape)}"
            )
        return distribution.log_prob(value)

    def mean(self, parameters: Any) -> Any:
        return moment(self.distribution(parameters), "mean")

    def mode(self, parameters: Any) -> Any:
        return moment(self.distribution(parameters), "mode")

    def variance(self, parameters: Any) -> Any:
        return moment(self.distribution(parameters), "variance")

    def sample(self, parameters: Any) -> Any:
        return drawn(self.distribution(parameters), self.seed_generator)

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        if self.convert_to == "parameters":
            return input_shape
        # What the function makes of parameters of two sizes: sides that differ are those that are not known.
        shapes = []
        for size in (2, 3):
            sides = tuple(size if side is None else side for side in input_shape)
            made = self.make_distribution(ops.ones(sides, self.precise_dtype))
            shapes.append((*made.batch_shape, *made.event_shape))
        return tuple(one if one == other else None for one, other in zip(*shapes, strict=True))

    def get_config(self) -> dict[str, Any]:
        function = keras.saving.serialize_keras_object(self.make_distribution)
        return {**super().get_config(), "make_distribution": function}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Any:
        function = config["make_distribution"]
        if not callable(function):
            function = keras.saving.deserialize_keras_object(function)
        return cls(**{**config, "make_distribution": function})
