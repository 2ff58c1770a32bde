"""`kplug plugins install|uninstall`: into an environment of the test's own, from wheels made here."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path
from types import SimpleNamespace

import pytest

from kplug.catalog import installation
from kplug.catalog.plugins import plugins
from kplug.errors import KplugError, UnknownPluginError

pytestmark = pytest.mark.neutral


def wheel(folder: Path, name: str, version: str, components: dict[str, str]) -> Path:
    """Make a wheel of one module whose losses are `components`."""
    module = name.replace("-", "_")
    info = f"{module}-{version}.dist-info"
    entry_points = "\n".join(["[kplug.losses]", *(f"{key} = {value}" for key, value in components.items()), ""])
    files = {
        f"{module}.py": "def part(y_true, y_pred):\n    'Fine.'\n",
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: tests\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        **({f"{info}/entry_points.txt": entry_points} if components else {}),
    }
    files[f"{info}/RECORD"] = "".join(f"{path},,\n" for path in (*files, f"{info}/RECORD"))
    path = folder / f"{module}-{version}-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        for inside, text in files.items():
            archive.writestr(inside, text)
    return path


@pytest.fixture(params=["pip", "uv"])
def kplug_there(request, tmp_path, home):
    """Run kplug in an environment of its own, which pip or uv is to install into; it sees all that is here."""
    if request.param == "uv" and shutil.which("uv") is None:
        pytest.skip("uv is not installed")
    place = tmp_path / "environment"
    venv.create(place, with_pip=False)
    python = place / ("Scripts" if os.name == "nt" else "bin") / "python"
    (site,) = place.glob("**/site-packages")
    root = Path(installation.__file__).parents[2]
    (site / "here.pth").write_text("\n".join([sysconfig.get_path("purelib"), str(root), str(root / "tui"), ""]))
    if request.param == "uv":
        with (place / "pyvenv.cfg").open("a") as file:
            file.write("uv = 0.9.0\n")

    def run(*arguments: str, **options: object) -> subprocess.CompletedProcess:
        return subprocess.run(
            [python, "-m", "kplug.cli.app", "plugins", *arguments],
            capture_output=True,
            text=True,
            check=False,
            cwd=tmp_path,
            **{"stdin": subprocess.DEVNULL, **options},  # type: ignore[arg-type]
        )

    return SimpleNamespace(run=run, installer=request.param, python=python, folder=tmp_path)


def test_a_plugin_comes_and_goes(kplug_there):
    first = wheel(kplug_there.folder, "kplug-acme", "1.0", {"one": "kplug_acme:part", "two": "kplug_acme:part"})
    second = wheel(kplug_there.folder, "kplug-acme", "2.0", {"two": "kplug_acme:part", "three": "kplug_acme:part"})
    # It is the working directory, and pip would import this module from there.
    (kplug_there.folder / "optparse.py").write_text("raise SystemExit('imported')")

    came = kplug_there.run("install", str(first))
    assert came.returncode == 0, came.stderr
    installer = "uv pip install" if kplug_there.installer == "uv" else f"{kplug_there.python} -P -m pip install"
    assert came.stderr.startswith(f"$ {installer} ")
    assert "Came: acme/one (loss), acme/two (loss)\nkplug-acme 1.0 is enabled.\n" in came.stderr

    changed = kplug_there.run("install", str(second))
    assert "Came: acme/three (loss)\nWent: acme/one (loss)\nkplug-acme 2.0 is enabled.\n" in changed.stderr

    refused = kplug_there.run("uninstall", "acme")
    assert refused.returncode == 1
    assert "Uninstall kplug-acme 2.0, 2: three, two?" in refused.stdout
    assert "kplug-acme" in kplug_there.run("list").stdout

    went = kplug_there.run("uninstall", "acme", "--yes")
    assert went.returncode == 0, went.stderr
    assert "Went: acme/three (loss), acme/two (loss)" in went.stderr
    assert "kplug-acme" not in kplug_there.run("list").stdout


def test_what_brings_no_component_says_so(kplug_there):
    done = kplug_there.run("install", str(wheel(kplug_there.folder, "plainly", "1.0", {})))
    assert done.returncode == 0, done.stderr
    assert "No component came or went." in done.stderr
    refused = kplug_there.run("uninstall", "plainly", "--yes")
    assert refused.returncode == 2
    assert "plainly is installed, but is no plugin: it declares no components. Nothing was done." in refused.stderr


def test_the_installers_failure_is_passed_on(kplug_there):
    done = kplug_there.run("install", str(kplug_there.folder / "nowhere-1.0-py3-none-any.whl"))
    assert done.returncode not in {0, None}
    assert "No component came or went." in done.stderr
    assert "Traceback" not in done.stderr


def test_what_is_installed_is_what_a_new_process_finds(install_plugin):
    install_plugin("kplug-acme", {"kplug.losses": {"wave": "kplug_acme:wave"}})
    assert "kplug-acme" in [one.distribution for one in plugins()]
    found = installation.plugins_afresh()
    assert "kplug-acme" not in [one.distribution for one in found]
    assert found[0] == plugins()[0]


def test_an_installation_that_breaks_kplug_is_said(monkeypatch):
    monkeypatch.setattr(installation, "_LOOK", "raise ImportError('no module named keras')")
    with pytest.raises(KplugError, match=r"kplug does not start any more .* no module named keras"):
        installation.plugins_afresh()


@pytest.mark.parametrize(
    ("look", "why"), [("import time; time.sleep(60)", "it took longer than 0.5 s"), ("", "FileNotFoundError: .*")]
)
def test_a_look_that_fails_is_not_an_installation_that_breaks_kplug(monkeypatch, look, why):
    monkeypatch.setattr(installation, "_LOOK", look)
    monkeypatch.setattr(installation, "_LOOK_SECONDS", 0.5 if look else 60)
    with pytest.raises(KplugError, match=rf"^What is installed now could not be looked at \({why}\)"):
        installation.plugins_afresh()


def test_nothing_in_the_working_directory_is_run_to_look(monkeypatch, tmp_path):
    for name in ("pickle", "json", "dataclasses", "kplug"):
        (tmp_path / f"{name}.py").write_text("raise RuntimeError('imported')")
    monkeypatch.chdir(tmp_path)
    assert installation.plugins_afresh()[0].distribution == "kplug"


def test_kplug_itself_and_what_is_not_installed_are_refused(home):
    with pytest.raises(KplugError, match="kplug itself is not uninstalled by kplug"):
        installation.removable("KPLUG")
    with pytest.raises(UnknownPluginError, match="No installed plugin is called 'no-such-thing'"):
        installation.removable("no-such-thing")
    with pytest.raises(KplugError, match="numpy is installed, but is no plugin"):
        installation.removable("numpy")


def test_options_are_not_passed_to_the_installer():
    with pytest.raises(KplugError, match="'--index-url=http://evil' is an option"):
        installation.install_command(["kplug-acme", "--index-url=http://evil"])


@pytest.mark.parametrize(
    ("pip", "uv", "made_by_uv", "expected"),
    [
        (True, True, False, [sys.executable, "-P", "-m", "pip"]),
        (True, False, True, [sys.executable, "-P", "-m", "pip"]),
        (True, True, True, ["uv", "pip"]),
        (False, True, False, ["uv", "pip"]),
        (False, False, False, None),
    ],
)
def test_which_installer_is_used(monkeypatch, tmp_path, pip, uv, made_by_uv, expected):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: object() if pip else None)
    monkeypatch.setattr("shutil.which", lambda name: "/usr/bin/uv" if uv else None)
    monkeypatch.setattr("sys.prefix", str(tmp_path))
    (tmp_path / "pyvenv.cfg").write_text("home = /usr/bin\n" + ("uv = 0.9\n" if made_by_uv else ""))
    if expected is None:
        with pytest.raises(KplugError, match=r"neither pip nor uv.*-m ensurepip"):
            installation.install_command(["kplug-acme"])
    else:
        assert installation.install_command(["kplug-acme"])[: len(expected)] == expected
