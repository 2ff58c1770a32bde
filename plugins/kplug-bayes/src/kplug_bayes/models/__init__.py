"""Models of variational layers, for runs."""
