"""Gradients on whichever backend Keras runs, and their comparison with differences."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
from keras import ops

_DIRECTIONS = 6
_KINKED = 1 / 3
"""Share of directions that may disagree: a hinge or a maximum has kinks, where differences mean nothing."""


def gradient(function: Callable[[Any], Any], x: Any) -> np.ndarray:
    """Return the gradient of the sum of `function(x)` with respect to `x`.

    Args:
        function: Takes a tensor like `x` and returns a tensor of any shape.
        x: An array of floating-point numbers.

    Returns:
        A NumPy array of the shape of `x`, in float32 or wider.
    """
    x = ops.convert_to_tensor(x)
    found = _GRADIENTS[keras.backend.backend()](function, x)
    return ops.convert_to_numpy(ops.cast(found, keras.backend.result_type(x.dtype, "float32")))


def check_gradient(
    function: Callable[[Any], Any], x: np.ndarray, what: str, *, compare: bool = True, step: float = 1e-3
) -> None:
    """Check a gradient: finite, and in accord with central differences along random directions.

    Args:
        function: Takes a tensor like `x` and returns values whose sum is differentiated.
        x: An array of floating-point numbers.
        what: What is differentiated, for messages.
        compare: Whether to compare it with differences; else it only has to be finite.
        step: Length of the step, relative to the root mean square of `x`.

    Raises:
        AssertionError: If an entry is not finite, or more than a third of the directions disagree.
    """
    x = np.asarray(x, "float32")
    found = gradient(function, x)
    finite = np.isfinite(found)
    assert finite.all(), (
        f"the gradient of {what} is not finite at {np.argwhere(~finite)[0].tolist()}: {found[~finite][0]}"
    )
    if not compare:
        return
    rng = np.random.default_rng(0)
    length = step * max(float(np.sqrt(np.mean(np.square(x)))), 1e-3)
    disagreeing = []
    for _ in range(_DIRECTIONS):
        direction = rng.choice([-1.0, 1.0], size=x.shape)
        ahead, behind = (_total(function, x + sign * length * direction) for sign in (1, -1))
        difference, slope = (ahead - behind) / (2 * length), float(np.sum(found * direction))
        # Rounding of the two totals, and the curvature that a finite step sees: a share of the slope that a random
        # direction has, which is the norm, whatever the number of entries.
        tolerance = 4e-7 * (abs(ahead) + abs(behind)) / length + 0.1 * float(np.linalg.norm(found))
        if abs(difference - slope) > tolerance + 1e-6:
            disagreeing.append(f"{slope:.6g} instead of {difference:.6g}")
    assert len(disagreeing) <= _KINKED * _DIRECTIONS, (
        f"the gradient of {what} disagrees with differences along {len(disagreeing)} of {_DIRECTIONS} directions: "
        + ", ".join(disagreeing)
    )


def _total(function: Callable[[Any], Any], x: np.ndarray) -> float:
    return float(np.sum(ops.convert_to_numpy(function(ops.convert_to_tensor(x.astype("float32")))), dtype="float64"))


def _tensorflow_gradient(function: Callable[[Any], Any], x: Any) -> Any:
    import tensorflow as tf

    with tf.GradientTape() as tape:
        tape.watch(x)
        total = tf.reduce_sum(function(x))
    return tf.convert_to_tensor(tape.gradient(total, x, unconnected_gradients="zero"))


def _jax_gradient(function: Callable[[Any], Any], x: Any) -> Any:
    import jax

    return jax.grad(lambda value: function(value).sum())(x)


def _torch_gradient(function: Callable[[Any], Any], x: Any) -> Any:
    import torch

    x = x.detach().requires_grad_()
    total = function(x).sum()
    if not total.requires_grad:
        return torch.zeros_like(x)
    (found,) = torch.autograd.grad(total, x, allow_unused=True)
    return torch.zeros_like(x) if found is None else found


_GRADIENTS = {"tensorflow": _tensorflow_gradient, "jax": _jax_gradient, "torch": _torch_gradient}
