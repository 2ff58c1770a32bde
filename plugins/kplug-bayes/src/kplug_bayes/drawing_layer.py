"""What layers that draw share: a seed generator of their own, and where they compute in more than half precision."""

from __future__ import annotations

from kplug.layers import SeededLayer, precise_dtype


class DrawingLayer(SeededLayer):
    """A layer that draws random numbers from a generator of its own.

    With a seed the draws repeat, and go on after saving and loading where they were.

    Args:
        seed: Whole number that makes the draws repeat, or `None`.
        **kwargs: Keras' own layer arguments (`name`, `dtype`, …).
    """

    @property
    def precise_dtype(self) -> str:
        """The layer's own compute dtype, or float32 where that is less precise."""
        return str(precise_dtype(self))
