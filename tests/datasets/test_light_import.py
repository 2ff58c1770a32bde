"""Importing the data sets imports nothing heavy: a component does when it is called."""

from __future__ import annotations

HEAVY = {"keras", "tensorflow", "jax", "torch", "sklearn", "scipy", "matplotlib", "PIL", "pandas", "pyarrow"}


def test_the_room_is_light(modules_after):
    assert modules_after("import kplug.datasets; kplug.datasets.moons") & HEAVY == set()
