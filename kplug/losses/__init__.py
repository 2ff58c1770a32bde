"""Losses that Keras lacks, each as a function and as a class."""

from kplug.losses.focal import FocalLoss, focal_loss

__all__ = ["FocalLoss", "focal_loss"]
