"""The public face: lazy attributes, and the stub that editors and type checkers read."""

import ast
from pathlib import Path

import pytest

import kplug


def test_every_public_name_is_in_dir_and_can_be_imported():
    assert set(kplug.__all__) <= set(dir(kplug))
    for name in kplug.__all__:
        assert getattr(kplug, name) is not None


def test_the_stub_names_exactly_the_public_names_and_rooms():
    stub = ast.parse(Path(kplug.__file__).with_suffix(".pyi").read_text())
    imported = {
        alias.asname: (node.module, alias.name)
        for node in stub.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    parts = {name: source for name, source in imported.items() if source[0] != "kplug"}
    assert set(parts) == set(kplug.__all__) - {"__version__"}
    assert {name for name, source in imported.items() if source[0] == "kplug"} == set(kplug._ROOMS)
    for name, (module, attribute) in parts.items():
        assert kplug._PUBLIC[name] == f"{module}:{attribute}"


def test_an_unknown_attribute_is_an_attribute_error():
    with pytest.raises(AttributeError, match=r"focal_los'\. Did you mean 'focal_loss'\?"):
        kplug.focal_los  # noqa: B018


def test_the_versions_agree():
    from importlib.metadata import version

    assert kplug.__version__ == version("kplug")


def test_every_public_class_of_a_kind_is_a_component():
    for kind, room in (("loss", kplug.losses), ("layer", kplug.layers), ("metric", kplug.metrics)):
        # GeometricMean takes values alone, as Keras' Mean does, so a run cannot use it. SeededLayer is a base class.
        others = {"ELBOTerms", "GeometricMean", "SeededLayer"}
        classes = {name for name in room.__all__ if isinstance(getattr(room, name), type)} - others
        assert {one.target.rpartition(":")[2] for one in kplug.components(kind) if one.namespace == "kplug"} == classes


def test_get_returns_what_the_attribute_is():
    assert kplug.get("focal_loss") is kplug.FocalLoss
    assert kplug.get("VAE", "model") is kplug.VAE
