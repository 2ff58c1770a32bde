"""Predictions that say how far and why they lie apart."""
