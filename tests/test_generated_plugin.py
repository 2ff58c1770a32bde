"""A plugin that kplug wrote, as a third party has it: its wheel beside kplug's in an environment of their own."""

import json
import os
import shutil
import subprocess
import sys
import sysconfig
import zipfile
from importlib.util import find_spec
from pathlib import Path

import pytest

from kplug.authoring.samples import SAMPLES

pytestmark = [pytest.mark.slow, pytest.mark.neutral]

ROOT = Path(__file__).parents[1]
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


class Environment:
    """A virtual environment with this one's packages, but for kplug and the backends that it does not require."""

    def __init__(self, folder):
        subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder / "env"], check=True)
        self.bin = folder / "env" / "bin"
        borrowed = folder / "borrowed"
        borrowed.mkdir()
        for path in map(Path, {sysconfig.get_path("purelib"), sysconfig.get_path("platlib")}):
            for entry in path.iterdir():
                if not entry.name.lower().startswith(("kplug", "__editable__", "torch", "jax")):
                    (borrowed / entry.name).symlink_to(entry)
        (site,) = (folder / "env").glob("lib/python*/site-packages")
        (site / "borrowed.pth").write_text(f"{borrowed}\n")
        self.cwd = folder
        self.environ = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "KPLUG"))}
        self.environ |= {"KPLUG_HOME": str(folder / "home"), "PATH": f"{self.bin}{os.pathsep}{os.environ['PATH']}"}

    def run(self, *command, cwd=None, fails=False):
        """Run a command of the environment and return what it printed; of one that must fail, its errors."""
        done = subprocess.run(
            [self.bin / command[0], *command[1:]],
            cwd=cwd or self.cwd,
            env=self.environ,
            capture_output=True,
            text=True,
            timeout=600,
            stdin=subprocess.DEVNULL,
            check=False,
        )
        assert (done.returncode != 0) == fails, done.stdout + done.stderr
        return done.stderr if fails else done.stdout

    def pip(self, action, *arguments):
        """Install or uninstall, by pip or else by uv."""
        if find_spec("pip"):
            command = [sys.executable, "-m", "pip", "--python", self.bin / "python", action, "--quiet"]
        else:
            command = ["uv", "pip", action, "--quiet", "--python", self.bin / "python"]
        subprocess.run([*command, *arguments], env=self.environ, check=True, timeout=300)


def wheel_of(source, folder):
    build = "import sys; from setuptools import build_meta; build_meta.build_wheel(sys.argv[1])"
    subprocess.run([sys.executable, "-c", build, folder], cwd=source, check=True, capture_output=True, timeout=300)
    (wheel,) = folder.glob("*.whl")
    return wheel


@pytest.fixture(scope="module")
def environment(tmp_path_factory):
    folder = tmp_path_factory.mktemp("third-party")
    source = folder / "kplug-source"
    source.mkdir()
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    for name in ("kplug", "tui"):
        shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))
    environment = Environment(folder)
    environment.pip("install", "--no-deps", "--no-index", wheel_of(source, folder / "kplug-wheel"))
    return environment


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
    environment.pip("install", "--no-deps", "--no-index", wheel)

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

    environment.pip("uninstall", "--yes" if find_spec("pip") else "--quiet", "kplug-acme")
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
    environment.pip("install", "--no-deps", "--no-index", "--no-build-isolation", "--editable", plugin)
    assert "Success" in environment.run("python", "-m", "mypy", "--strict", "--cache-dir", os.devnull, cwd=plugin)
    environment.run("python", "-m", "pytest", "-p", "no:cacheprovider", cwd=plugin)
