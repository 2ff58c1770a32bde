"""What output layers share: numbers that a network puts out are read as the parameters of a distribution."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

from keras import ops

from kplug_bayes.drawing_layer import DrawingLayer
from kplug_bayes.outputs.negative_log_likelihood import NegativeLogLikelihood

Conversion = Literal["parameters", "mean", "mode", "sample"]
_CONVERSIONS = ("parameters", "mean", "mode", "sample")


class DistributionLayer(DrawingLayer):
    """A layer that reads the last axis of its inputs as the parameters of a distribution.

    In Keras 3 a layer puts out tensors. So these layers hand on their parameters, and the distribution is in methods
    that take them: `negative_log_likelihood` is a loss for `compile`, and `mean`, `variance`, `sample`, `log_prob` and
    `distribution` take what the model puts out. With `convert_to` the layer puts out the mean, the mode or a draw
    in place of the parameters, for a layer that follows; the likelihood of targets can then no longer be computed.

    A subclass has `log_prob`, `mean`, `variance` and `sample`; what has no closed form raises `ValueError`.

    Args:
        convert_to: What the layer puts out: `"parameters"`, `"mean"`, `"mode"` or `"sample"`.
        seed: Whole number that makes the draws repeat, or `None`.
        **kwargs: Keras' own layer arguments (`name`, `dtype`, …).

    Raises:
        ValueError: If `convert_to` is none of these.
    """

    task: ClassVar[str] = "regression"
    """What its predictions are: numbers (`"regression"`), probabilities of one of several classes
    (`"classification"`), or of classes that do not exclude each other (`"binary"`)."""

    def __init__(self, convert_to: Conversion = "parameters", seed: int | None = None, **kwargs: Any) -> None:
        if "convert_to_tensor_fn" in kwargs:
            raise ValueError(
                '`convert_to_tensor_fn` is an argument of `tfp.layers`. Here: convert_to="mean", and so on.'
            )
        super().__init__(seed=seed, **kwargs)
        if convert_to not in _CONVERSIONS:
            raise ValueError(
                f"`convert_to` must be one of {', '.join(map(repr, _CONVERSIONS))}. Received: convert_to={convert_to!r}"
            )
        self.convert_to = convert_to
        self.supports_masking = True

    def log_prob(self, parameters: Any, value: Any) -> Any:
        """Return the log density, or log probability, of values, in nats.

        Args:
            parameters: Parameters of shape `(*batch, params_size)`, as the layer takes them and puts them out.
            value: Values of shape `(*batch, *event_shape)`. Where an event is one number, its axis may be missing.

        Returns:
            A tensor of shape `batch`.
        """
        raise NotImplementedError

    def mean(self, parameters: Any) -> Any:
        """Return the mean, of shape `(*batch, *event_shape)`."""
        raise NotImplementedError

    def variance(self, parameters: Any) -> Any:
        """Return the variance of each number of an event, of shape `(*batch, *event_shape)`."""
        raise NotImplementedError

    def stddev(self, parameters: Any) -> Any:
        """Return the standard deviation of each number of an event, of shape `(*batch, *event_shape)`."""
        return ops.sqrt(self.variance(parameters))

    def mode(self, parameters: Any) -> Any:
        """Return the most likely event, of shape `(*batch, *event_shape)`.

        Raises:
            ValueError: If there is no closed form.
        """
        raise ValueError(
            f'{type(self).__name__} has no closed form of its mode: use "mean" or "sample". '
            f"Received: convert_to={self.convert_to!r}"
        )

    def sample(self, parameters: Any) -> Any:
        """Return a draw, of shape `(*batch, *event_shape)`, by the layer's seed generator."""
        raise NotImplementedError

    def distribution(self, parameters: Any) -> Any:
        """Return the distribution as the backend has it, with `batch` for its batch shape.

        Args:
            parameters: Parameters of shape `(*batch, params_size)`.

        Returns:
            A distribution of TensorFlow Probability, on PyTorch of `torch.distributions`.

        Raises:
            ImportError: If the backend has none that can be imported.
        """
        raise NotImplementedError

    @property
    def negative_log_likelihood(self) -> NegativeLogLikelihood:
        """The loss `-log_prob(y_pred, y_true)`, for `compile`; it is saved with the model.

        Raises:
            ValueError: If the layer does not put out its parameters.
        """
        return NegativeLogLikelihood(self)

    def precise(self, parameters: Any) -> Any:
        """Return parameters as a tensor in float32, or better where the layer computes in better."""
        return ops.cast(ops.convert_to_tensor(parameters), self.precise_dtype)

    def call(self, inputs: Any) -> Any:
        if self.convert_to == "parameters":
            return inputs
        return ops.cast(getattr(self, self.convert_to)(inputs), self.compute_dtype)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "convert_to": self.convert_to}
