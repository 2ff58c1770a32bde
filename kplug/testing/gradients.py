"""Gradients on whichever backend Keras runs, and their comparison with differences."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import keras
import numpy as np
from keras import ops

_DIRECTIONS = 4
_SAMPLES = 8
_TOLERANCE = 0.02
_KINKED = 2 / 3
"""Share of directions that may cross kinks, of a hinge or a maximum, where differences mean nothing."""


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
    function: Callable[[Any], Any], x: np.ndarray, what: str, *, compare: bool = True, step: float = 1e-2
) -> None:
    """Check a gradient: finite, and in accord with differences along random directions and for single samples.

    The differences are central ones at two steps, extrapolated (Richardson), so that curvature does not blur them.
    Where the two differ by more than curvature explains, the function has a kink between, and the direction says
    nothing.

    Args:
        function: Takes a tensor like `x` and returns values whose sum is differentiated.
        x: An array of floating-point numbers, with samples along the first axis.
        what: What is differentiated, for messages.
        compare: Whether to compare it with differences; else it only has to be finite.
        step: Length of the step, relative to the root mean square of `x`.

    Raises:
        AssertionError: If an entry is not finite, a direction disagrees, or nearly all directions cross kinks.
    """
    x = np.asarray(x, "float32")
    found = gradient(function, x)
    finite = np.isfinite(found)
    assert finite.all(), (
        f"the gradient of {what} is not finite at {np.argwhere(~finite)[0].tolist()}: {found[~finite][0]}"
    )
    if not compare:
        return
    length = step * max(float(np.sqrt(np.mean(np.square(x)))), 1e-3)
    here = _values(function, x)
    kinked, directions = 0, list(_directions(x.shape))
    for direction in directions:
        wide, wide_bend, rounding = _difference(function, x, here, length * direction, length)
        narrow, narrow_bend, _ = _difference(function, x, here, length / 2 * direction, length / 2)
        slope = float(np.sum(found * direction, dtype="float64"))
        # What a slope along this direction is like, whatever the number of entries.
        norm = float(np.linalg.norm(found * direction))
        # By how much the slope jumps at a kink between: curvature bends four times as much over twice the length.
        jump = abs(4 * narrow_bend - wide_bend) / length
        if max(abs(wide - narrow), jump) > 0.1 * norm + 12 * rounding + 1e-6:
            kinked += 1
            continue
        expected = (4 * narrow - wide) / 3
        allowed = _TOLERANCE * norm + abs(wide - narrow) + jump + 3 * rounding + 1e-6
        assert abs(expected - slope) <= allowed, (
            f"the gradient of {what} disagrees with differences: {slope:.6g} instead of {expected:.6g}"
        )
    assert kinked <= _KINKED * len(directions), (
        f"the gradient of {what} cannot be compared with differences: {kinked} of {len(directions)} directions cross "
        "kinks. Give data farther from them, or turn the comparison off."
    )


def _directions(shape: tuple[int, ...]) -> Iterator[np.ndarray]:
    """Yield signs for all entries, and for those of one sample at a time."""
    rng = np.random.default_rng(0)
    for _ in range(_DIRECTIONS):
        yield rng.choice([-1.0, 1.0], size=shape)
    for sample in rng.permutation(shape[0])[:_SAMPLES] if shape else ():
        alone = np.zeros(shape)
        alone[sample] = rng.choice([-1.0, 1.0], size=shape[1:])
        yield alone


def _difference(
    function: Callable[[Any], Any], x: np.ndarray, here: np.ndarray, step: np.ndarray, length: float
) -> tuple[float, float, float]:
    """Return the slope along a step by a central difference, the second difference, and what rounding may change."""
    ahead, behind = _values(function, x + step), _values(function, x - step)
    changed = ahead != behind
    size = float(np.sum(np.abs(ahead[changed]) + np.abs(behind[changed])))
    bend = float(np.sum(ahead - here) - np.sum(here - behind))
    return float(np.sum(ahead - behind)) / (2 * length), bend, 2e-7 * size / length


def _values(function: Callable[[Any], Any], x: np.ndarray) -> np.ndarray:
    return ops.convert_to_numpy(function(ops.convert_to_tensor(x.astype("float32")))).astype("float64")


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
