"""Layers that read what a network puts out as a distribution, and the loss that goes with them."""
