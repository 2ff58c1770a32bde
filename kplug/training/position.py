"""How far a training is."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Position:
    """How far a training is.

    Attributes:
        epoch: Whole epochs done.
        batch: Batches done of the next one.
        step: Optimizer steps done.
        ended: Whether a callback has ended the training.
    """

    epoch: int = 0
    batch: int = 0
    step: int = 0
    ended: bool = False
