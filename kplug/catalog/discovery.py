"""What is installed: entry points read once per process, with nothing imported."""

from __future__ import annotations

import functools
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from importlib import metadata

from kplug import __version__
from kplug.catalog.admission import Refusal, normalized, read_rules, refusal
from kplug.catalog.component import (
    ALIASES,
    GROUPS,
    Component,
    entry_point_fault,
    kind_of,
    namespace_fault,
    namespace_of,
)
from kplug.catalog.installed_metadata import distributions_with, read_headers
from kplug.catalog.registration import registered


@dataclass(frozen=True)
class UnreadableDistribution:
    """An installed distribution whose metadata cannot be read.

    Attributes:
        name: Its name, as far as it is known.
        error: What is wrong, and where its metadata lie.
    """

    name: str
    error: str


@dataclass(frozen=True)
class Alias:
    """What a component was called before.

    Attributes:
        namespace: Of the component.
        old: Its old name: a component's, or that of a class or function as Keras has saved it. With a namespace, as in
            `acme/wavelet`, that of a plugin that was renamed.
        new: The component's name now.
    """

    namespace: str
    old: str
    new: str


@dataclass(frozen=True)
class Catalog:
    """What is installed.

    Attributes:
        components: The components of the plugins that are used.
        unreadable: The distributions that could not be read.
        withheld: The components of the plugins that are not used.
        refusals: Normalized name of a plugin that is not used -> why.
        aliases: What the components of the plugins that are used were called before.
    """

    components: tuple[Component, ...]
    unreadable: tuple[UnreadableDistribution, ...] = ()
    withheld: tuple[Component, ...] = ()
    refusals: Mapping[str, Refusal] = field(default_factory=dict)
    aliases: tuple[Alias, ...] = ()


def components(kind: str | None = None) -> tuple[Component, ...]:
    """Return the components, sorted by kind, namespace and name; nothing is imported.

    They are those of the installed plugins that are used, and those that this process has registered.

    Args:
        kind: Keep one kind only: `"loss"`, `"layer"`, `"metric"`, `"model"`, `"dataset"`, `"optimizer"`,
            `"schedule"`, `"callback"` or `"launcher"`; the plurals work too.

    Returns:
        A tuple of `Component`. A component whose entry point is malformed, or declared twice, has a `fault`.

    Raises:
        UnknownComponentError: If `kind` is no kind.
    """
    found = catalog().components
    own = registered()
    if own:
        found = tuple(sorted((*found, *own)))
    if kind is None:
        return found
    wanted = kind_of(kind)
    return tuple(component for component in found if component.kind == wanted)


@functools.cache
def catalog() -> Catalog:
    """Read the catalog, once per process; `catalog.cache_clear()` forgets it."""
    found: list[Component] = []
    withheld: list[Component] = []
    refusals: dict[str, Refusal] = {}
    aliases: list[Alias] = []
    rules = read_rules()
    unreadable: list[UnreadableDistribution] = []
    seen: set[str] = set()
    for distribution in distributions_with("kplug."):
        try:
            headers = read_headers(distribution)
            spelt, version = headers["name"][0], headers["version"][0]
            # As on sys.path: the first distribution of a name hides the later ones.
            name = normalized(spelt)
            if name in seen:
                continue
            seen.add(name)
            entry_points = distribution.entry_points
            declared = list(_components_of(entry_points, spelt, version))
            requires_python = headers.get("requires-python", [None])[0]
            refused = refusal(rules, spelt, headers.get("requires-dist", []), requires_python, __version__)
            if refused is None:
                found.extend(declared)
                aliases.extend(_aliases_of(entry_points, spelt))
            elif declared:
                withheld.extend(declared)
                refusals[name] = refused
        except (ValueError, KeyError, TypeError, AttributeError, OSError) as error:
            unreadable.append(_unreadable(distribution, error))
    used, unused = (tuple(sorted(one)) for one in (_mark_duplicates(found), withheld))
    return Catalog(used, tuple(unreadable), unused, refusals, tuple(aliases))


def _unreadable(distribution: metadata.Distribution, error: Exception) -> UnreadableDistribution:
    place = getattr(distribution, "_path", None)
    try:
        name = read_headers(distribution)["name"][0]
    except (ValueError, OSError):
        name = "an installed distribution" if place is None else os.path.basename(place).partition("-")[0]  # noqa: PTH119
    what = " ".join(f"{type(error).__name__}: {error}".split())
    return UnreadableDistribution(name, f"its metadata{'' if place is None else f' in {place}'} cannot be read: {what}")


def _components_of(entry_points: metadata.EntryPoints, name: str, version: str) -> Iterator[Component]:
    namespace = namespace_of(name)
    reserved = namespace_fault(name)
    for entry_point in entry_points:
        kind = GROUPS.get(entry_point.group)
        if kind is None:
            continue
        yield Component(
            kind=kind,
            namespace=namespace,
            name=entry_point.name,
            target=entry_point.value,
            distribution=name,
            version=version,
            fault=reserved or entry_point_fault(entry_point.name, entry_point.value),
        )


def _aliases_of(entry_points: metadata.EntryPoints, name: str) -> Iterator[Alias]:
    for entry_point in entry_points:
        if entry_point.group == ALIASES and namespace_fault(name) is None:
            yield Alias(namespace_of(name), entry_point.name, entry_point.value)


def _mark_duplicates(found: list[Component]) -> Iterator[Component]:
    """Give the components; of several of one id, the one whose distribution's name comes first has it."""
    first: dict[tuple[str, str], Component] = {}
    for component in sorted(found, key=lambda one: (one.fault is not None, normalized(one.distribution))):
        earlier = first.setdefault((component.kind, component.id), component)
        if earlier is component or component.fault is not None:
            yield component
        else:
            yield replace(component, fault=f"{component.id} is already declared as {earlier.target}")
