"""`kplug.load_model`: whose files it loads, what it imports for them, what it says about bad ones."""

from __future__ import annotations

import hashlib
import json
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

import kplug
from kplug.catalog.keras_names import with_parameters
from kplug.catalog.plugins import disable
from kplug.catalog.trust import trust
from kplug.errors import SavedModelError, UnavailableComponentError

X = np.random.default_rng(0).normal(size=(4, 3)).astype("float32")


@pytest.fixture
def plain_file(tmp_path) -> Path:
    """A model without any part of kplug, saved."""
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2, name="dense")])
    model.compile("sgd", "mse")
    model.save(tmp_path / "plain.keras")
    return tmp_path / "plain.keras"


@pytest.fixture
def rewritten(plain_file) -> Callable[[Callable], Path]:
    """Give `rewritten(change)`: the saved model with its config changed in place."""

    def rewrite(change: Callable[[dict], Any]) -> Path:
        with zipfile.ZipFile(plain_file) as archive:
            parts = {name: archive.read(name) for name in archive.namelist()}
        config = json.loads(parts["config.json"])
        parts["config.json"] = json.dumps(change(config) or config).encode()
        with zipfile.ZipFile(plain_file, "w") as archive:
            for name, content in parts.items():
                archive.writestr(name, content)
        return plain_file

    return rewrite


@pytest.fixture
def evil_module(tmp_path, monkeypatch) -> str:
    """A module on the path that leaves a file behind when it is imported."""
    (tmp_path / "evil_module.py").write_text(
        "import keras, pathlib\n"
        f"pathlib.Path({str(tmp_path / 'harm')!r}).touch()\n"
        "class Evil(keras.layers.Dense): ...\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    return "evil_module"


def last_layer(config: dict) -> dict:
    return config["config"]["layers"][-1]


def test_a_plain_keras_model(plain_file):
    model = kplug.load_model(plain_file)
    assert model.compiled
    expected = keras.saving.load_model(plain_file).predict(X, verbose=0)
    np.testing.assert_array_equal(model.predict(X, verbose=0), expected)
    assert np.isfinite(model.fit(X, np.zeros((4, 2)), verbose=0).history["loss"]).all()


def test_the_path_as_text_and_without_compiling(plain_file):
    assert not kplug.load_model(str(plain_file), compile=False).compiled


def test_parts_in_the_model_and_in_its_compilation(tmp_path):
    inputs = keras.Input((3,))
    model = keras.Model(inputs, kplug.Sampling(seed=1)([keras.layers.Dense(2)(inputs), keras.layers.Dense(2)(inputs)]))
    model.compile("sgd", kplug.FocalLoss(gamma=1.0, from_logits=True))
    model.save(tmp_path / "model.keras")
    again = kplug.load_model(tmp_path / "model.keras")
    assert type(again.layers[-1]) is kplug.Sampling
    assert type(again.loss) is kplug.FocalLoss
    assert again.loss.gamma == 1.0


def test_a_missing_file(tmp_path):
    with pytest.raises(SavedModelError, match=r"no file .*nowhere\.keras"):
        kplug.load_model(tmp_path / "nowhere.keras")


def zip_of(path: Path, **files: str) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        for name, text in files.items():
            archive.writestr(name.replace("_json", ".json"), text)


@pytest.mark.parametrize(
    "write",
    [
        lambda path: path.write_text("no zip"),
        lambda path: path.write_bytes(b""),
        lambda path: path.mkdir(),
        zip_of,
        lambda path: zip_of(path, config_json="{"),
        lambda path: zip_of(path, config_json="\ud800".encode("utf-8", "surrogatepass")),
        lambda path: zip_of(path, config_json="[" * 100_000),
    ],
    ids=["text", "empty", "folder", "empty zip", "broken JSON", "no text", "endless nesting"],
)
def test_what_is_no_saved_model_is_named(tmp_path, write):
    write(tmp_path / "broken.keras")
    with pytest.raises(SavedModelError, match=r"broken\.keras is not a model saved as \.keras"):
        kplug.load_model(tmp_path / "broken.keras")


@pytest.mark.parametrize("config", ["[]", "{}"])
def test_json_that_is_no_model_is_named(tmp_path, config):
    zip_of(tmp_path / "broken.keras", config_json=config)
    with pytest.raises(SavedModelError, match=r"broken\.keras"):
        kplug.load_model(tmp_path / "broken.keras")


def test_an_unknown_namespace_is_named(rewritten):
    path = rewritten(lambda config: last_layer(config).update(registered_name="acme>Wavelet", class_name="Wavelet"))
    with pytest.raises(SavedModelError, match=r"plain\.keras needs acme/Wavelet.*namespace 'acme'.*Install the plugin"):
        kplug.load_model(path)


def test_an_unknown_namespace_in_the_compilation_is_named(rewritten):
    def change(config):
        config["compile_config"]["loss"] = {
            "module": "acme",
            "class_name": "Hinge",
            "config": {},
            "registered_name": "acme>Hinge",
        }

    with pytest.raises(SavedModelError, match="acme/Hinge"):
        kplug.load_model(rewritten(change))


def test_a_part_that_this_version_does_not_have_names_the_version(rewritten):
    path = rewritten(lambda config: last_layer(config).update(registered_name="kplug>Later", class_name="Later"))
    version = next(one.version for one in kplug.components() if one.namespace == "kplug")
    with pytest.raises(SavedModelError) as caught:
        kplug.load_model(path)
    assert f"kplug/Later, which kplug {version} does not have" in str(caught.value)
    assert "version that the model was saved with" in str(caught.value)


@pytest.mark.parametrize("registered_name", [None, "Evil", "evil_module>Evil", "kplug>Evil", "kplug>FocalLoss"])
def test_a_module_that_the_file_names_is_never_imported(rewritten, evil_module, tmp_path, registered_name):
    def change(config):
        last_layer(config).update(module=evil_module, class_name="Evil", registered_name=registered_name)

    with pytest.raises((ValueError, TypeError)):
        kplug.load_model(rewritten(change))
    assert evil_module not in sys.modules
    assert not (tmp_path / "harm").exists()


def test_a_lambda_in_the_file_is_not_run(tmp_path):
    model = keras.Sequential([keras.Input((3,)), keras.layers.Lambda(lambda x: x * 2)])
    model.save(tmp_path / "lambda.keras")
    with pytest.raises(ValueError, match=r"[Ll]ambda|safe_mode"):
        kplug.load_model(tmp_path / "lambda.keras")
    loaded = kplug.load_model(tmp_path / "lambda.keras", safe_mode=False)
    assert float(loaded(np.ones((1, 3)))[0, 0]) == 2.0


def test_parts_that_nothing_registers_can_be_given(tmp_path):
    class Tripled(keras.layers.Layer):
        def call(self, inputs):
            return 3 * inputs

    keras.Sequential([keras.Input((3,)), Tripled()]).save(tmp_path / "tripled.keras")
    loaded = kplug.load_model(tmp_path / "tripled.keras", custom_objects={"Tripled": Tripled})
    assert float(loaded(np.ones((1, 3)))[0, 0]) == 3.0


def test_a_plugins_part_is_imported_and_loaded(install_plugin, tmp_path):
    install_plugin(
        "kplug-shift",
        {"kplug.layers": {"shift": "shift_layers:Shift"}},
        {
            "shift_layers.py": """
                import keras

                class Shift(keras.layers.Layer):
                    def call(self, inputs):
                        return inputs + 1
            """
        },
    )
    model = keras.Sequential([keras.Input((3,)), kplug.get("shift/shift")()])
    model.save(tmp_path / "shifted.keras")
    del sys.modules["shift_layers"]
    del keras.saving.get_custom_objects()["shift>Shift"]
    again = kplug.load_model(tmp_path / "shifted.keras")
    assert type(again.layers[-1]).__module__ == "shift_layers"
    np.testing.assert_allclose(again.predict(X, verbose=0), X + 1, rtol=1e-6)


def test_a_broken_neighbour_does_not_keep_a_part_from_loading(install_plugin, tmp_path):
    source = """
        import keras

        @keras.saving.register_keras_serializable(package="twins")
        class Inner(keras.layers.Layer):
            def call(self, inputs):
                return inputs + 2

        def outer():
            return Inner()
    """
    install_plugin(
        "kplug-twins",
        {"kplug.datasets": {"absent": "twins_missing:data"}, "kplug.layers": {"outer": "twins_layers:outer"}},
        {"twins_layers.py": source, "twins_missing.py": "import not_there_at_all"},
    )
    model = keras.Sequential([keras.Input((3,)), kplug.get("twins/outer")()])
    model.save(tmp_path / "twins.keras")
    del sys.modules["twins_layers"]
    del keras.saving.get_custom_objects()["twins>Inner"]
    again = kplug.load_model(tmp_path / "twins.keras")
    np.testing.assert_allclose(again.predict(X, verbose=0), X + 2, rtol=1e-6)


def test_a_module_of_a_disabled_plugin_is_not_imported_for_a_run(rewritten, install_plugin, home, tmp_path):
    files = {"kplug_acme/__init__.py": "raise RuntimeError('imported')", "kplug_acme/parts.py": ""}
    install_plugin("kplug-acme", {"kplug.losses": {"wavelet": "kplug_acme:wavelet"}}, files)
    trust("kplug_acme.parts:Gap")
    disable("kplug-acme")
    path = rewritten(lambda config: last_layer(config).update(registered_name="ideas>Gap", class_name="Gap"))
    run = tmp_path / "20260101-000000-abcd"
    (run / "artifacts").mkdir(parents=True)
    spec = {"model": "kplug/vae", "dataset": "kplug/digits", "metrics": ["kplug_acme.parts:Gap"]}
    (run / "spec.json").write_text(json.dumps(spec))
    with pytest.raises(UnavailableComponentError, match="of kplug-acme, which is disabled"):
        kplug.load_model(path.rename(run / "artifacts" / "model.keras"))
    assert "kplug_acme" not in sys.modules


SHIFT = """
import keras

class Shift(keras.layers.Layer):
    def call(self, inputs):
        return inputs + {shift}

def distance(y_true, y_pred, weight=1.0):
    return {shift} * weight * keras.ops.mean(keras.ops.abs(y_true - y_pred), axis=-1)
"""


def run_with_file(tmp_path: Path, number: int, trusted: bool = True) -> Path:
    """Make a run whose model is of parts in a file that is called as another run's is, and return the model's file."""
    run = tmp_path / f"2026010{number}-000000-abcd"
    source = SHIFT.format(shift=number)
    (run / "artifacts").mkdir(parents=True)
    (run / "files").mkdir()
    (run / "files" / "net.py").write_text(source)
    digest = hashlib.sha256(source.encode()).hexdigest()
    spec = {"model": "kplug/vae", "dataset": "kplug/digits", "metrics": ["/gone/net.py:Shift"]}
    (run / "spec.json").write_text(json.dumps({**spec, "files": {"/gone/net.py": digest}}))
    reference = f"{run / 'files' / 'net.py'}:{{}}"
    model = keras.Sequential([keras.Input((3,)), kplug.get(reference.format("Shift"), "layer")()])
    model.compile("sgd", with_parameters(kplug.get(reference.format("distance"), "loss"), {"weight": 2.0}))
    model.save(run / "artifacts" / "model.keras")
    if trusted:
        trust(str(run / "files" / "net.py"))
    return run / "artifacts" / "model.keras"


def test_each_of_two_runs_has_its_own_file_of_one_name(home, tmp_path):
    first, second = run_with_file(tmp_path, 1), run_with_file(tmp_path, 2)
    for path, shift in ((first, 1.0), (second, 2.0), (first, 1.0)):
        model = kplug.load_model(path)
        np.testing.assert_allclose(model.predict(X, verbose=0), X + shift, rtol=1e-6)
        assert model.evaluate(X, X, verbose=0) == pytest.approx(2 * shift * shift)


def test_what_another_file_of_that_name_has_registered_does_not_stand_in_for_a_runs(home, tmp_path):
    path = run_with_file(tmp_path, 1, trusted=False)
    with pytest.raises(SavedModelError, match=r"needs code that its run brings along.*kplug plugins trust"):
        kplug.load_model(path)
