"""The examples in the docstrings run, and every public part documents itself as the house does."""

import doctest
import importlib
import inspect

import keras
import numpy as np
import pytest

import kplug
from kplug.catalog.discovery import components

ROOMS = ("losses", "layers", "metrics", "models", "datasets")


def public_parts():
    for room in ROOMS:
        module = importlib.import_module(f"kplug.{room}")
        for name in getattr(module, "__all__", ()):
            yield pytest.param(getattr(module, name), id=f"{room}.{name}")


@pytest.mark.parametrize("part", list(public_parts()))
def test_the_examples_run(part):
    names = {"kplug": kplug, "keras": keras, "np": np}
    found = doctest.DocTestParser().get_doctest(inspect.getdoc(part) or "", names, part.__name__, None, 0)
    said = []
    result = doctest.DocTestRunner(optionflags=doctest.NORMALIZE_WHITESPACE).run(found, out=said.append)
    assert result.failed == 0, "".join(said)
    if inspect.isclass(part) and issubclass(part, keras.losses.Loss | keras.metrics.Metric | keras.layers.Layer):
        assert result.attempted > 0 or issubclass(part, keras.Model), f"{part.__name__} has no example that runs"


COMPONENTS = [one for one in components() if one.target.startswith("kplug.")]


@pytest.mark.parametrize("component", COMPONENTS, ids=lambda one: f"{one.kind} {one.name}")
def test_a_component_has_an_example_and_documents_its_parameters(component):
    documentation = inspect.getdoc(kplug.get(component.id, component.kind))
    assert "\nExample:\n" in documentation
    assert documentation.splitlines()[0].endswith((".", ":"))
