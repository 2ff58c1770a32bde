"""Shared by all tests: a home of their own, plugins made on the fly, the command line in a child process."""

from __future__ import annotations

import contextlib
import gc
import os
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

from kplug.catalog.discovery import catalog

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("KERAS_BACKEND", "tensorflow")

# The same examples every time: a change is judged by what it changed.
settings.register_profile("kplug", deadline=None, derandomize=True)
settings.load_profile("kplug")

InstallPlugin = Callable[..., Path]
RunKplug = Callable[..., subprocess.CompletedProcess]


def pytest_collection_finish() -> None:
    """Collect garbage more rarely, and not among the backends' millions of objects: a tenth of the processor's time."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 50)


@pytest.fixture(scope="session", autouse=True)
def _session_home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Keep runs and caches of the tests away from the person's own; one description cache serves the session."""
    home = tmp_path_factory.mktemp("kplug-home")
    before = os.environ.get("KPLUG_HOME")
    os.environ["KPLUG_HOME"] = str(home)
    yield
    if before is None:
        del os.environ["KPLUG_HOME"]
    else:
        os.environ["KPLUG_HOME"] = before


@pytest.fixture(scope="session")
def other_backends() -> tuple[str, ...] | None:
    """Backends that checks of components compare with: all, from TensorFlow; the other runs need not repeat it."""
    return None if os.environ["KERAS_BACKEND"] == "tensorflow" else ()


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home of this test alone, with no cache and no runs."""
    folder = tmp_path / "home"
    monkeypatch.setenv("KPLUG_HOME", str(folder))
    return folder


@contextlib.contextmanager
def _site_packages(site: Path) -> Iterator[InstallPlugin]:
    site.mkdir()

    def install(
        name: str,
        entry_points: Mapping[str, Mapping[str, str]],
        modules: Mapping[str, str] | None = None,
        version: str = "1.0",
        requires: Sequence[str] = (),
        requires_python: str | None = None,
    ) -> Path:
        info = site / f"{name.replace('-', '_')}-{version}.dist-info"
        info.mkdir()
        lines = ["Metadata-Version: 2.1", f"Name: {name}", f"Version: {version}"]
        lines += [f"Requires-Python: {requires_python}"] if requires_python else []
        lines += [f"Requires-Dist: {requirement}" for requirement in requires]
        (info / "METADATA").write_text("\n".join(lines) + "\n")
        groups = [
            "\n".join([f"[{group}]", *(f"{key} = {value}" for key, value in entries.items())])
            for group, entries in entry_points.items()
        ]
        (info / "entry_points.txt").write_text("\n\n".join(groups) + "\n")
        for path, source in (modules or {}).items():
            file = site / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(textwrap.dedent(source))
        catalog.cache_clear()
        return site

    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(site))
        yield install
        catalog.cache_clear()
        for path in site.rglob("*.py"):
            top = path.relative_to(site).parts[0].removesuffix(".py")
            for module in [one for one in sys.modules if one.partition(".")[0] == top]:
                del sys.modules[module]


@pytest.fixture
def install_plugin(tmp_path: Path) -> Iterator[InstallPlugin]:
    """Install distributions for the length of one test, as pip would leave them."""
    with _site_packages(tmp_path / "site-packages") as install:
        yield install


@pytest.fixture(scope="module")
def install_for_module(tmp_path_factory: pytest.TempPathFactory) -> Iterator[InstallPlugin]:
    """Install distributions for the tests of one module: they are looked at once, in a process that takes seconds."""
    with _site_packages(tmp_path_factory.mktemp("installed") / "site-packages") as install:
        yield install


@pytest.fixture
def run_kplug() -> RunKplug:
    """Run the command line in a child process that sees this process' plugins."""

    def run(*arguments: str, **options: object) -> subprocess.CompletedProcess:
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "COLUMNS": "200"}
        environment.update(options.pop("env", {}))  # type: ignore[call-overload]
        return subprocess.run(
            [sys.executable, "-m", "kplug.cli.app", *arguments],
            capture_output=True,
            text=True,
            timeout=300,
            env=environment,
            stdin=subprocess.DEVNULL,
            check=False,
            **options,  # type: ignore[call-overload]
        )

    return run


@pytest.fixture
def modules_after() -> Callable[[str], set[str]]:
    """Run code in a fresh interpreter and return the top-level modules it has imported."""

    def after(code: str) -> set[str]:
        report = "\nimport sys; print('\\nMODULES', *sorted({name.partition('.')[0] for name in sys.modules}))"
        done = subprocess.run([sys.executable, "-c", code + report], capture_output=True, text=True, check=True)
        return set(done.stdout.rpartition("MODULES ")[2].split())

    return after


@pytest.fixture(scope="session")
def gradient() -> Callable[..., Any]:
    """Give `gradient(function, x)`: the gradient of the sum of `function(x)` with respect to `x`, a NumPy array."""
    import keras

    from kplug import testing

    def of(function: Callable, x: Any, dtype: str = "float32") -> Any:
        return testing.gradient(function, keras.ops.cast(keras.ops.convert_to_tensor(x), dtype))

    return of
