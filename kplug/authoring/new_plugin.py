"""Writing a new plugin: a package that installs, is found, and passes its own tests as it is."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from kplug.authoring.names import PluginName, plugin_name
from kplug.authoring.samples import Sample, samples_of
from kplug.errors import PluginError

_TEMPLATES = Path(__file__).parent / "templates"
_PLUGIN_FILES = {
    "pyproject.toml": "pyproject.toml",
    "README.md": "README.md",
    "LICENSE": "LICENSE",
    ".gitignore": "gitignore",
    ".github/workflows/ci.yml": "ci.yml",
    "src/PACKAGE/__init__.py": "__init__.py",
}
"""Path in the new plugin -> template."""


def write_plugin(name: str, kinds: Sequence[str] = ("loss",), parent: Path | None = None) -> Path:
    """Write a new plugin into a directory of its own; all of it, or nothing.

    Args:
        name: `acme` or `kplug-acme`.
        kinds: What it shall have one component of; the plurals work too.
        parent: Where its directory is made; by default the current directory.

    Returns:
        The new directory, `parent/kplug-acme`.

    Raises:
        PluginError: If no plugin can have that name or such components, or the directory exists already or cannot be
            made.
        UnknownComponentError: If there is no such kind.
    """
    names, samples = plugin_name(name), samples_of(kinds)
    parent = Path.cwd() if parent is None else parent.expanduser().absolute()
    target = parent / names.distribution
    if not parent.is_dir():
        raise PluginError(f"There is no directory {parent}. Make it, or choose another with --path.")
    if target.exists() or target.is_symlink():
        raise PluginError(f"{target} exists already. Choose another name, or another place with --path.")
    try:
        with tempfile.TemporaryDirectory(prefix=".kplug-new-", dir=parent) as aside:
            made = Path(aside) / names.distribution
            for path, text in _files(names, samples):
                file = made / path
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_text(text, encoding="utf-8")
            made.rename(target)
    except OSError as error:
        raise PluginError(f"The plugin cannot be written to {target}: {error}. Nothing was left behind.") from error
    return target


def next_commands(name: str, kinds: Sequence[str], directory: str, installer: str) -> list[str]:
    """Return the commands that install a new plugin, show it and put it to use.

    Args:
        name: What the plugin was called.
        kinds: What it was to have.
        directory: Where it is, as a person types it.
        installer: `"pip"`, or `"uv pip"` where there is no pip.
    """
    namespace, samples = plugin_name(name).namespace, samples_of(kinds)
    use = next((f"kplug train {one.train}" for one in samples if one.train), f"python -m pytest {directory}")
    show = f"kplug show NAME/{samples[0].module}"
    return [f"{installer} install -e {directory}", *(line.replace("NAME", namespace) for line in (show, use))]


def _files(names: PluginName, samples: Sequence[Sample]) -> Iterator[tuple[str, str]]:
    """Yield each file's path in the plugin, and its text."""
    from kplug import __version__

    values = {
        "ENTRY_POINTS": "\n\n".join(_entry_points(samples)),
        "COMPONENT_ROWS": "\n".join(f"| `NAME/{one.module}` | {one.kind} | {one.summary} |" for one in samples),
        "SHELL_EXAMPLES": "\n".join(_shell_examples(samples)),
        "CODE_EXAMPLES": "\n```\n\n```python\n".join(map(_code_example, samples)),
        "KPLUG_VERSION": __version__,
        "YEAR": time.strftime("%Y"),
        "kplug_NAME": names.package,
        "NAME": names.namespace,
    }
    for path, template in _PLUGIN_FILES.items():
        yield path.replace("PACKAGE", names.package), _filled(f"plugin/{template}", values)
    yield f"src/{names.package}/py.typed", ""
    for sample in samples:
        yield f"src/{names.package}/{sample.module}.py", _filled(f"parts/{sample.kind}.py", values)
        yield f"tests/test_{sample.module}.py", _filled(f"tests/{sample.kind}.py", values)


def _filled(template: str, values: dict[str, str]) -> str:
    text = (_TEMPLATES / f"{template}.template").read_text(encoding="utf-8")
    for word, value in values.items():
        text = text.replace(word, value)
    return text


def _entry_points(samples: Iterable[Sample]) -> Iterator[str]:
    for sample in samples:
        target = f"kplug_NAME.{sample.module}:{sample.attribute}"
        yield f'[project.entry-points."{sample.group}"]\n{sample.module} = "{target}"'


def _shell_examples(samples: Iterable[Sample]) -> Iterator[str]:
    for sample in samples:
        yield f"kplug show NAME/{sample.module}"
        if sample.train is not None:
            yield f"kplug train {sample.train}"


def _code_example(sample: Sample) -> str:
    keras = "import keras\n" if "keras." in sample.code else ""
    return f"{keras}from kplug_NAME.{sample.module} import {sample.attribute}\n\n{sample.code}"
