"""Output layers that know the shape of an event, and so how many parameters they take."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from kplug_bayes.checked_numbers import checked_count
from kplug_bayes.outputs.distribution_layer import Conversion, DistributionLayer

EventShape = int | Sequence[int]


class EventLayer(DistributionLayer):
    """An output layer whose parameters are a vector of known length for each event.

    Args:
        event_shape: Shape of one event; `()` for one number.
        parameters_per_event: How many parameters it takes for one event.
        convert_to: What the layer puts out: `"parameters"`, `"mean"`, `"mode"` or `"sample"`.
        seed: Whole number that makes the draws repeat, or `None`.
        **kwargs: Keras' own layer arguments (`name`, `dtype`, …).
    """

    def __init__(
        self,
        event_shape: EventShape,
        parameters_per_event: int,
        convert_to: Conversion = "parameters",
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(convert_to=convert_to, seed=seed, **kwargs)
        self.event_shape = checked_event_shape(event_shape)
        self.parameters_per_event = parameters_per_event
        if convert_to == "mode" and type(self).mode is DistributionLayer.mode:
            self.mode(None)
        self.input_spec = keras.layers.InputSpec(min_ndim=2)

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        self._check_parameters(input_shape)
        super().build(input_shape)

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        return tuple(input_shape) if self.convert_to == "parameters" else (*input_shape[:-1], *self.event_shape)

    def compute_mask(self, inputs: Any, previous_mask: Any = None) -> Any:
        del inputs
        return previous_mask

    def precise(self, parameters: Any) -> Any:
        """Return parameters as a tensor in float32 or better, refusing another number of them."""
        parameters = super().precise(parameters)
        self._check_parameters(tuple(parameters.shape))
        return parameters

    def events(self, parameters: Any, values: Any) -> Any:
        """Give values the shape of events: `(*batch, *event_shape)`, for parameters of shape `(*batch, …)`."""
        return ops.reshape(values, (*ops.shape(parameters)[:-1], *self.event_shape))

    def of_events(self, parameters: Any, value: Any) -> Any:
        """Return targets as a tensor of the parameters' dtype and of shape `(*batch, *event_shape)`.

        Raises:
            ValueError: If they are of another shape.
        """
        value = ops.cast(ops.convert_to_tensor(value), parameters.dtype)
        batch, found = tuple(parameters.shape)[:-1], tuple(value.shape)
        expected = (*batch, *self.event_shape)
        if _fits(found, expected):
            return value
        if math.prod(self.event_shape) == 1 and (_fits(found, batch) or _fits(found, (*batch, 1))):
            return self.events(parameters, value)
        raise ValueError(
            f"{type(self).__name__} with event_shape={self.event_shape} needs values of shape {expected} for "
            f"parameters of shape {tuple(parameters.shape)}. Received: values of shape {found}"
        )

    def summed(self, values: Any) -> Any:
        """Sum values of shape `(*batch, *event_shape)` over each event."""
        axes = tuple(range(-len(self.event_shape), 0))
        return ops.sum(values, axis=axes) if axes else values

    def _check_parameters(self, shape: tuple[int | None, ...]) -> None:
        if not shape or shape[-1] not in {None, self.parameters_per_event}:
            raise ValueError(
                f"{type(self).__name__} takes {self.parameters_per_event} parameters for an event of shape "
                f"{self.event_shape}: put keras.layers.Dense({self.parameters_per_event}) before it, by its "
                f"`params_size`. Received: inputs of shape {tuple(shape)}"
            )


class IndependentLayer(EventLayer):
    """An output layer over independent numbers, with the same number of parameters for each.

    Args:
        event_shape: Shape of one event: a whole number for vectors, `()` for one number.
        convert_to: What the layer puts out: `"parameters"` (for the likelihood), `"mean"`, `"mode"` or `"sample"`.
        seed: Whole number that makes the draws repeat, or `None`.
        **kwargs: Keras' own layer arguments (`name`, `dtype`, …).

    Raises:
        ValueError: If a parameter is out of range.
    """

    def __init__(
        self,
        event_shape: EventShape = (),
        convert_to: Conversion = "parameters",
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(event_shape, self.params_size(event_shape), convert_to, seed, **kwargs)

    @staticmethod
    def params_size(event_shape: EventShape = ()) -> int:
        """Return how many parameters an event of this shape takes."""
        raise NotImplementedError

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "event_shape": list(self.event_shape)}


def checked_event_shape(event_shape: Any) -> tuple[int, ...]:
    """Return the shape of an event as a tuple of whole numbers of at least 1, and refuse anything else by name.

    Raises:
        ValueError: If it is no such shape.
    """
    try:
        sides = tuple(event_shape) if isinstance(event_shape, Sequence) else (event_shape,)
        return tuple(checked_count("event_shape", side) for side in sides)
    except (TypeError, ValueError) as error:
        raise ValueError(
            "`event_shape` must be a whole number of at least 1, several of them, or () for one number. "
            f"Received: event_shape={event_shape!r}"
        ) from error


def event_size(event_shape: Any) -> int:
    """Return how many numbers an event of a shape has."""
    return math.prod(checked_event_shape(event_shape))


def _fits(found: tuple[int | None, ...], expected: tuple[int | None, ...]) -> bool:
    return len(found) == len(expected) and all(
        None in {mine, other} or mine == other for mine, other in zip(found, expected, strict=True)
    )
