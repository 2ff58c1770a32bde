"""What a wheel holds."""

import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    source = tmp_path_factory.mktemp("source")
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    ignored = shutil.ignore_patterns("__pycache__", "*.egg-info")
    for name in ("kplug", "tui", "plugins", "tests", "examples"):
        shutil.copytree(ROOT / name, source / name, ignore=ignored)
    build = "import sys; from setuptools import build_meta; print(build_meta.build_wheel(sys.argv[1]))"
    subprocess.run(
        [sys.executable, "-c", build, str(source / "dist")], cwd=source, check=True, capture_output=True, timeout=300
    )
    (built,) = (source / "dist").glob("*.whl")
    return zipfile.ZipFile(built)


def test_the_wheel_holds_both_packages_and_nothing_else(wheel):
    tops = {name.partition("/")[0] for name in wheel.namelist()}
    assert tops == {"kplug", "kplug_tui", f"kplug-{kplug_version()}.dist-info"}


def test_the_wheel_holds_every_module_the_stub_and_the_type_markers(wheel):
    names = set(wheel.namelist())
    modules = {str(path.relative_to(ROOT)) for path in (ROOT / "kplug").rglob("*.py")}
    assert modules <= names
    assert {"kplug/__init__.pyi", "kplug/py.typed", "kplug_tui/__init__.py", "kplug_tui/py.typed"} <= names


def test_the_wheel_holds_every_template_of_new_plugins(wheel):
    templates = {str(path.relative_to(ROOT)) for path in (ROOT / "kplug").rglob("*.template")}
    assert "kplug/authoring/templates/plugin/pyproject.toml.template" in templates
    assert templates <= set(wheel.namelist())


def test_the_wheel_declares_the_command_and_the_components(wheel):
    (entry_points,) = (name for name in wheel.namelist() if name.endswith("entry_points.txt"))
    text = wheel.read(entry_points).decode()
    assert "kplug = kplug.cli.main:main" in text
    models = text.split("[kplug.models]")[1]
    for model in ("augmented_cnn:AugmentedCNN", "topic_model:NeuralTopicModel", "vae:VAE", "vqvae:VQVAE"):
        assert f" = kplug.models.{model}" in models


def kplug_version():
    import kplug

    return kplug.__version__
