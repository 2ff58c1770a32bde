"""Policies for continuous actions, and the algorithms that train them in environments."""
