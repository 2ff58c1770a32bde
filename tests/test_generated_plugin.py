"""A plugin that kplug wrote, as a third party has it: its wheel beside kplug's in an environment of their own."""

import json
import os
import shutil
import zipfile

import pytest
from third_party import environment_with_kplug, wheel_of

from kplug.authoring.samples import SAMPLES

pytestmark = [pytest.mark.slow, pytest.mark.neutral]

LOAD = """
import sys
import numpy as np
import kplug
assert "keras" not in sys.modules and "kplug_acme" not in sys.modules
model = kplug.load_model(sys.argv[1])
assert type(model).__module__ == "kplug_acme.conv_mixer" and type(model.loss).__module__.startswith("kplug_acme")
assert model.predict(np.zeros((2, 8, 8, 1)), verbose=0).shape == (2, 10)
print("loaded")
"""


@pytest.fixture(scope="module")
def environment(tmp_path_factory):
    return environment_with_kplug(tmp_path_factory.mktemp("third-party"))


@pytest.fixture(scope="module")
def plugin(environment):
    """Return the directory of a new plugin with a component of every kind, written by the installed command."""
    kinds = [word for kind in SAMPLES for word in ("--kind", kind)]
    environment.run("kplug", "plugins", "new", "acme", *kinds)
    return environment.cwd / "kplug-acme"


def test_a_new_plugin_is_built_installed_found_trained_with_loaded_and_gone(environment, plugin):
    wheel = wheel_of(shutil.copytree(plugin, environment.cwd / "copy"), environment.cwd / "plugin-wheel")
    names = zipfile.ZipFile(wheel).namelist()
    assert {name.partition("/")[0] for name in names} == {"kplug_acme", "kplug_acme-0.1.0.dist-info"}
    environment.install(wheel)

    listed = {one["id"]: one for one in json.loads(environment.run("kplug", "list", "--json"))}
    acme = [name for name in listed if name.startswith("acme/")]
    assert len(acme) == len(SAMPLES)
    assert {listed[name]["distribution"] for name in acme} == {"kplug-acme"}
    assert environment.run("kplug", "plugins", "list").count("kplug-acme") == 1

    parts = ("--loss", "generalized_cross_entropy", "--metric", "selective_accuracy", "--callback", "stop_at_target")
    size = ("--set", "model.width=4", "--set", "model.depth=1", "--epochs", "1", "--no-jit")
    size += ("--launcher", "under_command", "--set", "launcher.command=nice -n 3")
    environment.run("kplug", "train", "conv_mixer", "--data", "digits", *parts, *size)
    (run,) = (path for path in (environment.cwd / "home" / "runs").iterdir() if not path.name.startswith("."))
    assert json.loads((run / "status.json").read_text())["state"] == "completed"
    assert (run / "artifacts" / "confusion.csv").stat().st_size > 0
    model = run / "artifacts" / "model.keras"
    assert environment.run("python", "-c", LOAD, model).endswith("loaded\n")

    environment.uninstall("kplug-acme")
    assert "acme" not in environment.run("kplug", "list")
    error = environment.run("python", "-c", LOAD, model, fails=True)
    assert "needs acme/conv_mixer from kplug-acme 0.1.0, which is not installed" in error


def test_a_new_plugin_is_fit_to_publish(environment):
    kinds = [word for kind in SAMPLES if kind != "model" for word in ("--kind", kind)]
    environment.run("kplug", "plugins", "new", "fit", *kinds)
    report = json.loads(environment.run("kplug", "plugins", "check", "--json", "kplug-fit"))
    assert [one for one in report["findings"] if one["level"] != "ok"] == []
    assert {one["check"] for one in report["findings"]} == {
        *("check_loss", "check_layer", "check_metric", "check_dataset", "trial"),
        *("documentation", "entry point", "hyper-parameters", "import", "namespace", "requirements", "serialization"),
        "wheel",
    }
    assert not list((environment.cwd / "kplug-fit").glob("**/*.egg-info"))


def test_a_new_plugin_passes_its_own_tests_and_types_as_it_is(environment, plugin):
    environment.install_editable(plugin)
    assert "Success" in environment.run("python", "-m", "mypy", "--strict", "--cache-dir", os.devnull, cwd=plugin)
    environment.run("python", "-m", "pytest", "-p", "no:cacheprovider", cwd=plugin)
