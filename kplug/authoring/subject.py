"""The plugin that is looked at: what its metadata say, nothing of it imported."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from kplug.catalog.component import ALIASES, GROUPS, Component, entry_point_fault, namespace_of
from kplug.errors import PluginError


@dataclass(frozen=True)
class Subject:
    """A plugin, installed or unpacked.

    Attributes:
        distribution: Its name.
        version: Its version.
        components: What its entry points declare.
        unknown_groups: Groups of entry points that begin like kplug's and are none.
        requires: What it requires, one line each.
        files: The files that it installs; empty where that is not known.
        import_path: A directory to import it from, or `None` if it is installed.
        aliases: What it declares as old names, each with what the component is called now.
    """

    distribution: str
    version: str
    components: tuple[Component, ...]
    unknown_groups: tuple[str, ...]
    requires: tuple[str, ...]
    files: tuple[str, ...]
    import_path: Path | None = None
    aliases: tuple[tuple[str, str], ...] = ()

    @property
    def namespace(self) -> str:
        """What its components' ids begin with."""
        return namespace_of(self.distribution)

    @property
    def packages(self) -> tuple[str, ...]:
        """The packages, or modules, that its components are in, from the outermost."""
        sound = (one for one in self.components if one.fault is None)
        return tuple(dict.fromkeys(one.module.partition(".")[0] for one in sound))


def installed(name: str) -> Subject:
    """Return an installed plugin.

    Args:
        name: Its distribution's name, or its namespace.

    Raises:
        UnknownPluginError: If no plugin is called so.
        PluginError: If it is not used here (disabled, say), and so cannot be imported.
    """
    from kplug.catalog.plugins import plugin

    found = plugin(name)
    if found.state not in {"enabled", "broken"} or not found.components:
        raise PluginError(
            f"{found.distribution} is {found.state}{f': {found.error}' if found.error else ''}. "
            "Only what may be imported can be checked."
        )
    return _subject(metadata.distribution(found.distribution))


def unpacked(directory: Path) -> Subject:
    """Return the plugin that a directory holds as an installation would.

    Raises:
        PluginError: If it holds none.
    """
    found = next(iter(metadata.distributions(path=[str(directory)])), None)
    if found is None:
        raise PluginError("The wheel that was built has no metadata.")
    return _subject(found, directory)


def _subject(distribution: metadata.Distribution, import_path: Path | None = None) -> Subject:
    files = [str(file) for file in distribution.files or ()]
    if import_path is None and not any(file.endswith("/__init__.py") for file in files):
        files = []  # installed editable: its files lie elsewhere
    return Subject(
        distribution.name,
        distribution.version,
        tuple(_components(distribution)),
        tuple(
            dict.fromkeys(
                one.group
                for one in distribution.entry_points
                if one.group.startswith("kplug.") and one.group not in {*GROUPS, ALIASES}
            )
        ),
        tuple(distribution.requires or ()),
        tuple(files),
        import_path,
        tuple((one.name, one.value) for one in distribution.entry_points if one.group == ALIASES),
    )


def _components(distribution: metadata.Distribution) -> Iterator[Component]:
    for one in distribution.entry_points:
        if one.group in GROUPS:
            yield Component(
                GROUPS[one.group],
                namespace_of(distribution.name),
                one.name,
                one.value,
                distribution.name,
                distribution.version,
                entry_point_fault(one.name, one.value),
            )
