"""Which installed components `kplug.load_model` imports for a model's parts, and which it leaves alone."""

from __future__ import annotations

import sys

import keras
import numpy as np
import pytest

import kplug
from kplug.catalog.description import known
from kplug.catalog.discovery import catalog, components
from kplug.errors import SavedModelError

pytestmark = pytest.mark.neutral

X = np.random.default_rng(0).normal(size=(4, 3)).astype("float32")
LAYER = """
    import keras

    @keras.saving.register_keras_serializable(package="twins")
    class {name}(keras.layers.Layer):
        def call(self, inputs):
            return inputs + 1
"""
OUTER = "from twins_helpers.layers import Inner\ndef outer():\n    return Inner()\n"


@pytest.fixture
def unload():
    """Give what forgets a plugin that this process has imported."""

    def forget(*modules):
        for name in [one for one in sys.modules if one.partition(".")[0] in modules]:
            del sys.modules[name]
        for name in [one for one in keras.saving.get_custom_objects() if one.partition(">")[0] in {"twins", "theirs"}]:
            del keras.saving.get_custom_objects()[name]

    yield forget
    forget()


def saved(layer, tmp_path):
    keras.Sequential([keras.Input((3,)), layer]).save(tmp_path / "model.keras")
    return tmp_path / "model.keras"


def twins(install_plugin, groups, **modules):
    files = {f"{name.replace('__', '/')}.py": source for name, source in modules.items()}
    return install_plugin("kplug-twins", groups, files)


@pytest.fixture
def renamed(install_plugin, home, tmp_path, unload):
    """A saved layer whose name now is that of a layer and of a metric."""
    site = twins(
        install_plugin,
        {"kplug.layers": {"old": "twins_parts.old:Old"}},
        twins_parts____init__="",
        twins_parts__old=LAYER.format(name="Old"),
    )
    path = saved(kplug.get("twins/old")(), tmp_path)
    unload("twins_parts")
    (site / "twins_parts" / "old.py").unlink()
    info = site / "kplug_twins-1.0.dist-info" / "entry_points.txt"

    def declare(layer, metric):
        lines = ["[kplug.layers]", f"new = {layer}", "[kplug.metrics]", f"new = {metric}", "[kplug.aliases]"]
        info.write_text("\n".join([*lines, "old = new"]))
        for target in (layer, metric):
            file = site / f"{target.partition(':')[0].replace('.', '/')}.py"
            file.parent.mkdir(exist_ok=True)
            file.write_text(LAYER.format(name="New").replace("\n    ", "\n"))
        catalog.cache_clear()

    yield path, declare
    unload("twins_parts", "twins_layers", "twins_metrics")


def test_of_two_components_of_an_alias_the_one_of_the_classs_package_is_meant(renamed):
    path, declare = renamed
    declare("twins_parts.new:New", "twins_metrics:New")
    assert type(kplug.load_model(path).layers[-1]).__module__ == "twins_parts.new"
    assert "twins_metrics" not in sys.modules


def test_one_class_that_is_two_components_is_no_question(renamed):
    path, declare = renamed
    declare("twins_layers:New", "twins_layers:New")
    assert type(kplug.load_model(path).layers[-1]).__module__ == "twins_layers"


def test_an_alias_that_could_mean_two_components_is_refused_with_both_and_a_way_out(renamed):
    path, declare = renamed
    declare("twins_layers:New", "twins_metrics:New")
    with pytest.raises(
        SavedModelError,
        match=r"model\.keras needs twins/Old, and several components were called that before: layer twins/new "
        r"\(kplug-twins 1\.0\), metric twins/new \(kplug-twins 1\.0\)\. Give the one that is meant: "
        r"kplug\.load_model\(path, custom_objects=\{'twins>Old': kplug\.get\('twins/new', 'layer'\)\}\)$",
    ):
        kplug.load_model(path)
    assert not {"twins_layers", "twins_metrics"}.intersection(sys.modules)
    meant = kplug.get("twins/new", "layer")
    assert type(kplug.load_model(path, custom_objects={"twins>Old": meant}).layers[-1]) is meant


def test_what_is_no_component_is_looked_for_in_its_own_package_first(install_plugin, home, tmp_path, unload):
    site = twins(
        install_plugin,
        {"kplug.datasets": {"first": "twins_hanging:data"}, "kplug.layers": {"outer": "twins_helpers.outer:outer"}},
        twins_hanging="import pathlib; pathlib.Path(__file__).with_suffix('.harm').touch()\ndef data(): ...",
        twins_helpers____init__="",
        twins_helpers__outer=OUTER,
        twins_helpers__layers=LAYER.format(name="Inner"),
    )
    path = saved(kplug.get("twins/outer")(), tmp_path)
    unload("twins_helpers")
    np.testing.assert_allclose(kplug.load_model(path).predict(X, verbose=0), X + 1, rtol=1e-6)
    assert not (site / "twins_hanging.harm").exists(), "not even a child process has looked at it"


def test_a_sibling_that_would_end_the_process_is_not_imported(install_plugin, home, tmp_path, unload):
    twins(
        install_plugin,
        {"kplug.datasets": {"first": "twins_ending:data"}, "kplug.layers": {"outer": "twins_outer:outer"}},
        twins_ending="import os; os._exit(7)",
        twins_outer=OUTER,
        twins_helpers____init__="",
        twins_helpers__layers=LAYER.format(name="Inner"),
    )
    path = saved(kplug.get("twins/outer")(), tmp_path)
    unload("twins_helpers", "twins_outer")
    np.testing.assert_allclose(kplug.load_model(path).predict(X, verbose=0), X + 1, rtol=1e-6)
    (ending,) = (one for one in components("dataset") if one.namespace == "twins")
    assert known([ending])[ending].broken


@pytest.mark.parametrize("name", ["", ", name='Renamed'"])
def test_a_class_that_its_own_library_has_registered_loads_where_a_plugin_exposes_it(
    install_plugin, home, tmp_path, unload, name
):
    theirs = LAYER.format(name="Theirs").replace('package="twins"', f'package="theirs"{name}')
    install_plugin(
        "kplug-twins",
        {"kplug.layers": {"shown": "twins_theirs:Theirs", "other": "twins_other:Theirs"}},
        {
            "twins_theirs/__init__.py": "from twins_theirs.layers import Theirs",
            "twins_theirs/layers.py": theirs,
            "twins_other.py": "raise ImportError('nobody asked for this')",
        },
    )
    path = saved(kplug.get("twins/shown")(), tmp_path)
    unload("twins_theirs")
    np.testing.assert_allclose(kplug.load_model(path).predict(X, verbose=0), X + 1, rtol=1e-6)


def test_a_function_that_its_own_library_has_registered_loads_where_a_plugin_exposes_it(
    install_plugin, home, tmp_path, unload
):
    source = """
        import keras

        @keras.saving.register_keras_serializable(package="theirs")
        def doubled(x):
            return 2 * x
    """
    twins(install_plugin, {"kplug.layers": {"doubled": "twins_theirs:doubled"}}, twins_theirs=source)
    path = saved(keras.layers.Activation(kplug.get("twins/doubled")), tmp_path)
    unload("twins_theirs")
    np.testing.assert_allclose(kplug.load_model(path).predict(X, verbose=0), 2 * X, rtol=1e-6)
