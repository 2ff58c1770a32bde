"""Layers that Keras lacks."""

from kplug.layers.sampling import Sampling

__all__ = ["Sampling"]
