"""Layers whose weights are distributions, and these distributions."""
