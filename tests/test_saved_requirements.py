"""What a saved model says that it needs, and what it is called now."""

from __future__ import annotations

import json
import sys
import zipfile
from pathlib import Path

import keras
import numpy as np
import pytest

import kplug
from kplug.catalog.description import describe
from kplug.catalog.discovery import catalog
from kplug.catalog.plugins import disable
from kplug.catalog.resolution import resolve
from kplug.errors import SavedModelError
from kplug.runs.spec import ComponentSpec
from kplug.saved_requirements import read_requirements, write_requirements
from kplug.training.artifacts import save_model
from kplug.training.assembly import _loss_or_metric

X = np.random.default_rng(0).normal(size=(4, 3)).astype("float32")
SHIFT = """
    import keras

    class Shift(keras.layers.Layer):
        def call(self, inputs):
            return inputs + 1
"""


@pytest.fixture
def site(install_plugin, home):
    return install_plugin(
        "kplug-shift", {"kplug.layers": {"shift_layer": "shift_parts:Shift"}}, {"shift_parts.py": SHIFT}, version="1.2"
    )


@pytest.fixture
def shifted():
    """A model with a part of the plugin."""
    return keras.Sequential([keras.Input((3,)), kplug.get("shift/shift_layer")()])


def forget(site, name="kplug_shift-1.2"):
    """Uninstall the plugin, from this process too."""
    for file in (site / f"{name}.dist-info").iterdir():
        file.unlink()
    (site / f"{name}.dist-info").rmdir()
    catalog.cache_clear()
    unload()


def unload():
    sys.modules.pop("shift_parts", None)
    keras.saving.get_custom_objects().pop("shift>Shift", None)


def test_a_run_notes_what_its_model_needs_and_the_file_stays_a_model(site, shifted, tmp_path):
    save_model(shifted, tmp_path)
    with zipfile.ZipFile(tmp_path / "model.keras") as archive:
        assert read_requirements(archive) == {
            "shift>Shift": {"distribution": "kplug-shift", "version": "1.2", "component": "shift/shift_layer"}
        }
        assert archive.testzip() is None
        assert sorted(archive.namelist()) == ["config.json", "metadata.json", "model.weights.h5"]
    np.testing.assert_allclose(keras.saving.load_model(tmp_path / "model.keras").predict(X, verbose=0), X + 1)


def test_a_model_of_keras_own_parts_is_left_as_it_is(tmp_path):
    keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)]).save(tmp_path / "model.keras")
    before = (tmp_path / "model.keras").read_bytes()
    write_requirements(tmp_path / "model.keras")
    assert (tmp_path / "model.keras").read_bytes() == before


def test_a_missing_plugin_is_named_with_its_version(site, shifted, tmp_path):
    save_model(shifted, tmp_path)
    forget(site)
    with pytest.raises(
        SavedModelError,
        match=r"model\.keras needs shift/shift_layer from kplug-shift 1\.2, which is not installed: "
        r"kplug plugins install kplug-shift==1\.2$",
    ):
        kplug.load_model(tmp_path / "model.keras")


def test_without_a_note_the_likely_distributions_are_named(site, shifted, tmp_path):
    shifted.save(tmp_path / "model.keras")
    forget(site)
    with pytest.raises(
        SavedModelError, match=r"needs shift/Shift.*called kplug-shift or shift, or import what defines"
    ):
        kplug.load_model(tmp_path / "model.keras")


@pytest.mark.parametrize(
    "comment", [b"\xff", b"[]", b'{"kplug": 3}', b'{"kplug": {"shift>Shift": "x"}}', b"[" * 60_000]
)
def test_a_damaged_note_is_done_without(site, shifted, tmp_path, comment):
    shifted.save(tmp_path / "model.keras")
    with zipfile.ZipFile(tmp_path / "model.keras", "a") as archive:
        archive.comment = comment
    unload()
    np.testing.assert_allclose(kplug.load_model(tmp_path / "model.keras").predict(X, verbose=0), X + 1)
    forget(site)
    with pytest.raises(SavedModelError, match="called kplug-shift or shift"):
        kplug.load_model(tmp_path / "model.keras")


NOTE = {"distribution": "kplug-shift", "version": "1.2", "component": "shift/shift_layer"}


@pytest.mark.parametrize(
    "changes",
    [
        {"distribution": "evil"},
        {"distribution": "kplug-shift --index-url https://evil.example"},
        {"distribution": "kplug-shift @ https://evil.example/x.whl"},
        {"distribution": "kplug-shift\n"},
        {"distribution": ["kplug-shift"]},
        {"version": "1.2; rm -rf ~"},
        {"version": "1.2 --pre"},
        {"version": "--pre"},
        {"version": ""},
        {"version": None},
        {"component": "shift/shift_layer from elsewhere: pip install evil"},
        {"component": "other/shift_layer"},
        {"component": 3},
    ],
)
def test_a_note_that_kplug_would_not_have_written_is_not_shown(site, shifted, tmp_path, changes):
    shifted.save(tmp_path / "model.keras")
    forget(site)
    with zipfile.ZipFile(tmp_path / "model.keras", "a") as archive:
        archive.comment = json.dumps({"kplug": {"shift>Shift": {**NOTE, **changes}}}).encode()
    with pytest.raises(SavedModelError, match=r"called kplug-shift or shift, or import what defines") as caught:
        kplug.load_model(tmp_path / "model.keras")
    assert "evil" not in str(caught.value)


def test_another_version_than_the_one_it_was_saved_with_is_named(site, shifted, tmp_path, install_plugin):
    save_model(shifted, tmp_path)
    forget(site)
    install_plugin("kplug-shift", {"kplug.layers": {"other": "shift_others:Other"}}, version="2.0")
    with pytest.raises(
        SavedModelError,
        match=r"needs shift/Shift, which kplug-shift 2\.0 does not have\. It was saved with kplug-shift 1\.2\.",
    ):
        kplug.load_model(tmp_path / "model.keras")


def test_a_disabled_plugin_is_not_imported_for_a_model(site, shifted, tmp_path):
    save_model(shifted, tmp_path)
    unload()
    disable("kplug-shift")
    with pytest.raises(
        SavedModelError,
        match=r"needs shift/Shift: .*is of kplug-shift, which is disabled: kplug plugins enable kplug-shift",
    ):
        kplug.load_model(tmp_path / "model.keras")
    assert "shift_parts" not in sys.modules


def renamed_parts(install_plugin, name, alias):
    install_plugin(
        name,
        {"kplug.layers": {"moved": "moved_parts:Moved"}, "kplug.aliases": {alias: "moved"}},
        {"moved_parts.py": SHIFT.replace("Shift", "Moved"), "unrelated.py": "raise RuntimeError('imported')"},
        version="2.0",
    )


def test_a_class_that_was_renamed_is_found_by_its_alias(site, shifted, tmp_path, install_plugin):
    save_model(shifted, tmp_path)
    forget(site)
    renamed_parts(install_plugin, "kplug-shift", "Shift")
    again = kplug.load_model(tmp_path / "model.keras")
    assert type(again.layers[-1]).__name__ == "Moved"
    np.testing.assert_allclose(again.predict(X, verbose=0), X + 1)


def test_a_plugin_that_was_renamed_speaks_for_its_old_namespace(site, shifted, tmp_path, install_plugin):
    save_model(shifted, tmp_path)
    forget(site)
    renamed_parts(install_plugin, "kplug-moves", "shift/Shift")
    assert type(kplug.load_model(tmp_path / "model.keras").layers[-1]).__name__ == "Moved"


def test_nobody_speaks_for_the_namespace_of_an_installed_plugin(site, shifted, tmp_path, install_plugin):
    save_model(shifted, tmp_path)
    unload()
    (site / "shift_parts.py").write_text("import keras\nShift = keras.layers.Dense")
    renamed_parts(install_plugin, "kplug-moves", "shift/Shift")
    with pytest.raises(SavedModelError, match="does not have"):
        kplug.load_model(tmp_path / "model.keras")


def test_a_loss_function_of_a_plugin_is_loaded_by_name(install_plugin, home, tmp_path):
    install_plugin(
        "kplug-shift",
        {"kplug.losses": {"distance": "shift_parts:distance"}},
        {
            "shift_parts.py": """
                import keras

                def distance(y_true, y_pred):
                    return keras.ops.mean(keras.ops.abs(y_true - y_pred), axis=-1)
            """
        },
    )
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(3)])
    model.compile("sgd", kplug.get("shift/distance"))
    model.save(tmp_path / "model.keras")
    del sys.modules["shift_parts"], keras.saving.get_custom_objects()["shift>distance"]
    again = kplug.load_model(tmp_path / "model.keras")
    assert again.evaluate(X, X, verbose=0) == pytest.approx(model.evaluate(X, X, verbose=0))


def test_a_plain_class_of_another_package_is_a_component_by_an_entry_point_alone(install_plugin, home, tmp_path):
    install_plugin("shifting", {}, {"shift_parts.py": SHIFT})
    install_plugin("kplug-bridge", {"kplug.layers": {"shift": "shift_parts:Shift"}}, version="3.1")
    keras.Sequential([keras.Input((3,)), kplug.get("bridge/shift", "layer")()]).save(tmp_path / "model.keras")
    unload()
    del keras.saving.get_custom_objects()["bridge>Shift"]
    again = kplug.load_model(tmp_path / "model.keras")
    np.testing.assert_allclose(again.predict(X, verbose=0), X + 1)
    write_requirements(tmp_path / "model.keras")
    with zipfile.ZipFile(tmp_path / "model.keras") as archive:
        assert read_requirements(archive)["bridge>Shift"]["distribution"] == "kplug-bridge"


def test_a_class_of_keras_itself_stays_keras_own(install_plugin, home, tmp_path):
    install_plugin("kplug-bridge", {"kplug.layers": {"dense": "keras.layers:Dense"}})
    assert describe(resolve("bridge/dense", "layer")).parameters[0].name == "units"
    keras.Sequential([keras.Input((3,)), kplug.get("bridge/dense")(2)]).save(tmp_path / "model.keras")
    forget(Path(sys.path[0]), "kplug_bridge-1.0")
    assert kplug.load_model(tmp_path / "model.keras").layers[-1].units == 2


def test_a_loss_function_is_loaded_with_the_parameters_that_a_run_has_set(install_plugin, home, tmp_path):
    source = """
        import keras

        def distance(y_true, y_pred, power=1.0, weight=1.0):
            return weight * keras.ops.mean(keras.ops.abs(y_true - y_pred) ** power, axis=-1)
    """
    groups = {group: {"distance": "shift_parts:distance"} for group in ("kplug.losses", "kplug.metrics")}
    install_plugin("kplug-shift", groups, {"shift_parts.py": source})
    as_metric = ComponentSpec(name="shift/distance", parameters={"power": 0.5})
    spec = ComponentSpec(name="shift/distance", parameters={"power": 3.0, "weight": 2.0})
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(3)])
    model.compile("sgd", _loss_or_metric("loss", spec, {}), metrics=[_loss_or_metric("metric", as_metric, {})])
    save_model(model, tmp_path)
    expected = model.evaluate(X, X, verbose=0)
    for name in [one for one in keras.saving.get_custom_objects() if one.startswith("shift>")]:
        del keras.saving.get_custom_objects()[name]
    del sys.modules["shift_parts"]
    assert kplug.load_model(tmp_path / "model.keras").evaluate(X, X, verbose=0) == pytest.approx(expected)


@pytest.mark.parametrize("text", ["{", "{]}", '{"power": }'])
def test_parameters_in_a_name_that_are_none_are_refused(install_plugin, home, tmp_path, text):
    path = tmp_path / "model.keras"
    with zipfile.ZipFile(path, "w") as archive:
        function = {"class_name": "function", "config": f"shift>distance{text}"}
        archive.writestr("config.json", json.dumps({"class_name": "Sequential", "compile_config": {"loss": function}}))
    with pytest.raises(SavedModelError, match=r"model\.keras is not a model saved as \.keras"):
        kplug.load_model(path)
