"""An environment of its own for a plugin, as a third party has it: kplug's wheel, and the plugin's."""

import os
import shutil
import subprocess
import sys
import sysconfig
from importlib.util import find_spec
from pathlib import Path

ROOT = Path(__file__).parents[1]


class Environment:
    """A virtual environment with this one's packages, but for kplug, its plugins, and backends not required by it."""

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

    def install(self, wheel):
        """Install a wheel, and nothing that it requires."""
        self._pip("install", "--no-deps", "--no-index", wheel)

    def install_editable(self, source):
        """Install what is being worked on."""
        self._pip("install", "--no-deps", "--no-index", "--no-build-isolation", "--editable", source)

    def uninstall(self, distribution):
        """Remove a distribution."""
        self._pip("uninstall", "--yes" if find_spec("pip") else "--quiet", distribution)

    def _pip(self, action, *arguments):
        if find_spec("pip"):
            command = [sys.executable, "-m", "pip", "--python", self.bin / "python", action, "--quiet"]
        else:
            command = ["uv", "pip", action, "--quiet", "--python", self.bin / "python"]
        subprocess.run([*command, *arguments], env=self.environ, check=True, timeout=300)


def wheel_of(source, folder):
    """Build the wheel of a directory, in another one."""
    build = "import sys; from setuptools import build_meta; build_meta.build_wheel(sys.argv[1])"
    subprocess.run([sys.executable, "-c", build, folder], cwd=source, check=True, capture_output=True, timeout=300)
    (wheel,) = folder.glob("*.whl")
    return wheel


def environment_with_kplug(folder):
    """Make an environment in a folder, and install kplug's wheel there."""
    source = folder / "kplug-source"
    source.mkdir()
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    for name in ("kplug", "tui"):
        shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))
    environment = Environment(folder)
    environment.install(wheel_of(source, folder / "kplug-wheel"))
    return environment
