"""A plugin with nothing but a model, as `kplug plugins new` writes it, is fit to publish.

Its own tests run in `test_generated_plugin.py`, among those of a plugin with every kind.
"""

import json
import os
import subprocess
import sys

import pytest

from kplug.authoring.new_plugin import write_plugin

pytestmark = [pytest.mark.slow, pytest.mark.neutral]

METADATA = "import sys; from setuptools import build_meta; build_meta.prepare_metadata_for_build_wheel(sys.argv[1])"


@pytest.fixture(scope="module")
def plugin(tmp_path_factory):
    """Return a function that runs a command in the plugin's directory, where it can be imported and is listed."""
    folder = tmp_path_factory.mktemp("solo")
    directory = write_plugin("solo", ["model"], folder)
    # What an installer would read off a wheel, without one.
    subprocess.run(
        [sys.executable, "-c", METADATA, folder], cwd=directory, check=True, capture_output=True, timeout=120
    )
    for leftover in directory.glob("src/*.egg-info"):
        leftover.rename(folder / "egg-info.unused")
    path = [str(directory / "src"), str(folder), *filter(None, sys.path)]

    def run(*command):
        done = subprocess.run(
            [sys.executable, "-P", "-m", *command],
            cwd=directory,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(path), "KPLUG_HOME": str(folder / "home")},
            capture_output=True,
            text=True,
            timeout=600,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    return run


def test_its_types_are_sound(plugin):
    assert "Success" in plugin("mypy", "--strict", "--cache-dir", os.devnull)


def test_it_is_fit_to_publish(plugin):
    report = json.loads(plugin("kplug.cli.app", "plugins", "check", "--json", "solo"))
    said = {(one["check"], one["level"]) for one in report["findings"]}
    assert {check for check, level in said if level != "ok"} == {"wheel"}, "there is no wheel to look at"
    assert {("check_model", "ok"), ("entry point", "ok"), ("serialization", "ok"), ("hyper-parameters", "ok")} <= said
