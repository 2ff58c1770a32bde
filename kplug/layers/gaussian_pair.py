"""What layers that take a diagonal Gaussian share: its mean and log variance come as a pair of one shape."""

from __future__ import annotations

from typing import Any


def mean_and_log_var(inputs: Any, layer: str) -> tuple[Any, Any]:
    """Return a pair as it is, and refuse anything else.

    Raises:
        ValueError: If the inputs are no pair.
    """
    if not isinstance(inputs, list | tuple) or len(inputs) != 2:
        raise ValueError(f"{layer} needs a pair (mean, log_var). Received: {inputs}")
    return inputs[0], inputs[1]


def check_one_shape(input_shape: Any, layer: str) -> None:
    """Refuse shapes that are not those of a mean and its log variance.

    Raises:
        ValueError: If there is one shape only, or the two differ.
    """
    mean_shape, log_var_shape = mean_and_log_var(input_shape, layer)
    if not (isinstance(mean_shape, list | tuple) and isinstance(log_var_shape, list | tuple)):
        raise ValueError(f"{layer} needs a pair (mean, log_var). Received one tensor of shape {input_shape}")
    if tuple(mean_shape) != tuple(log_var_shape):
        raise ValueError(
            f"{layer} needs a mean and a log variance of one shape. "
            f"Received: {tuple(mean_shape)} and {tuple(log_var_shape)}"
        )


def mask_of_the_mean(mask: Any) -> Any:
    """Return the mean's mask of a pair of masks, or `None` where there are none."""
    return None if mask is None else mask[0]
