"""Annealing of the KL term's weight."""

from __future__ import annotations

from typing import Any

from keras import ops


def kl_annealing(step: Any, steps: int, cycles: int = 1, rise: float | None = None) -> Any:
    """Weight of the KL term while it is annealed: rises linearly from 0 to 1, once or in cycles.

    A new variational autoencoder often finds it cheapest to ignore its latent variables. Without the KL term at first
    it learns to use them (Bowman et al. 2016); repeated cycles let it mend what it learned early (Fu et al. 2019).

    Args:
        step: The training step, a tensor: a weight that the model counts up, as `kplug.KLDivergence` does, which is
            right on every backend. (A Python number that a callback counts up would be frozen when the training step
            is compiled, and JAX hides `model.optimizer.iterations` from `compute_loss`.)
        steps: After how many steps annealing is over; the weight is 1 from then on. 0 for no annealing.
        cycles: How often the weight rises from 0 within `steps`.
        rise: Which share of each cycle the weight takes to rise, between 0 and 1; it stays 1 for the rest. By default
            1 for one cycle and 0.5, the paper's, for more.

    Returns:
        A scalar tensor between 0 and 1.

    Raises:
        ValueError: If a parameter is out of range.

    References:
        Bowman et al. (2016), Generating Sentences from a Continuous Space, https://arxiv.org/abs/1511.06349
        Fu et al. (2019), Cyclical Annealing Schedule, https://arxiv.org/abs/1903.10145

    Example:

    >>> [float(kplug.kl_annealing(step, steps=100)) for step in (0, 25, 100, 500)]
    [0.0, 0.25, 1.0, 1.0]
    >>> [float(kplug.kl_annealing(step, steps=100, cycles=2)) for step in (0, 25, 49, 50, 75)]
    [0.0, 1.0, 1.0, 0.0, 1.0]
    """
    rise = (1.0 if cycles == 1 else 0.5) if rise is None else rise
    if steps < 0 or cycles < 1 or not 0 < rise <= 1:
        raise ValueError(
            "`steps` must be at least 0, `cycles` at least 1, and `rise` greater than 0 and at most 1. "
            f"Received: steps={steps}, cycles={cycles}, rise={rise}"
        )
    step = ops.cast(step, "float32")
    if steps == 0:
        return ops.ones_like(step)
    length = steps / cycles
    within = ops.minimum(ops.mod(step, length) / (length * rise), 1.0)
    return ops.where(step >= steps, ops.ones_like(step), within)
