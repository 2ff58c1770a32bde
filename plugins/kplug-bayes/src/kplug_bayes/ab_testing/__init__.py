"""Bayesian A/B tests: posteriors of the arms, what choosing one is expected to lose, and how many samples it takes."""
