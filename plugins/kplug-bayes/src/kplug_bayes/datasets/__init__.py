"""Synthetic data sets whose truth is known."""
