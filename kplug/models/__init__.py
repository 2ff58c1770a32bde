"""Whole models, ready to compile and fit."""

from kplug.models.vae import VAE

__all__ = ["VAE"]
