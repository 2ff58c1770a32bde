"""The plugin that is looked at: what its metadata say, nothing of it imported."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from kplug.catalog.component import ALIASES, GROUPS, Component, entry_point_fault, namespace_of
from kplug.damaged_metadata import packages_distributions
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
        borrowed: Packages of other distributions that components of it are in: a class of another's exposed by an entry
            point alone.
    """

    distribution: str
    version: str
    components: tuple[Component, ...]
    unknown_groups: tuple[str, ...]
    requires: tuple[str, ...]
    files: tuple[str, ...]
    import_path: Path | None = None
    aliases: tuple[tuple[str, str], ...] = ()
    borrowed: frozenset[str] = frozenset()

    @property
    def namespace(self) -> str:
        """What its components' ids begin with."""
        return namespace_of(self.distribution)

    @property
    def packages(self) -> tuple[str, ...]:
        """The packages, or modules, of its own that its components are in."""
        sound = (one for one in self.components if one.fault is None and one.package not in self.borrowed)
        return tuple(dict.fromkeys(one.package for one in sound))


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
    files = [] if import_path is None and _is_editable(distribution) else [str(one) for one in distribution.files or ()]
    components = tuple(_components(distribution))
    return Subject(
        distribution.name,
        distribution.version,
        components,
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
        _borrowed(distribution, components),
    )


def _is_editable(distribution: metadata.Distribution) -> bool:
    """Say whether a distribution's files lie elsewhere, as its installer has noted (PEP 610)."""
    try:
        noted = json.loads(distribution.read_text("direct_url.json") or "{}")
        return bool(noted.get("dir_info", {}).get("editable"))
    except (ValueError, AttributeError):
        return False


def _borrowed(distribution: metadata.Distribution, components: Iterable[Component]) -> frozenset[str]:
    own = {Path(str(file)).parts[0].partition(".")[0] for file in distribution.files or ()}
    named = {one.package for one in components if one.fault is None} - own
    if not named:
        return frozenset()
    of = packages_distributions()
    return frozenset(one for one in named if of.get(one) and distribution.name not in of[one])


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
