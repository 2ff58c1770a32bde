"""Plugins: the installed distributions that bring components, and which of them are used. Imports none of them."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from kplug.catalog.admission import normalized, read_rules
from kplug.catalog.component import OWN_NAMESPACE, Component, namespace_of
from kplug.catalog.description import Description, known
from kplug.catalog.discovery import catalog
from kplug.catalog.plugin_settings import read_disabled, set_disabled
from kplug.errors import KplugError, UnknownPluginError

ENABLED, BROKEN = "enabled", "broken"


@dataclass(frozen=True)
class Plugin:
    """An installed distribution that declares components.

    Attributes:
        distribution: Its name; of one whose metadata cannot be read, that of its directory, where it is not known.
        version: Its version; empty if that cannot be read.
        components: The components that it declares, whether they can be used or not.
        state: `"enabled"`, `"disabled"`, `"broken"` (a component of it is known not to work), `"incompatible"` (it
            requires another kplug or another Python) or `"not allowed"` (`$KPLUG_PLUGINS` does not name it).
        error: What is wrong, if something is.
    """

    distribution: str
    version: str
    components: tuple[Component, ...]
    state: str
    error: str | None = None

    @property
    def namespace(self) -> str:
        """What stands before the slash in its components' ids."""
        return namespace_of(self.distribution)

    def as_json(self) -> dict[str, Any]:
        """Return the plugin as a dictionary that JSON can hold."""
        record = {name: value for name, value in asdict(self).items() if name != "components"}
        return {**record, "components": [{"kind": one.kind, "id": one.id} for one in self.components]}


def plugins() -> tuple[Plugin, ...]:
    """Return what is installed, kplug itself first and the others by name; nothing is imported.

    A component is known to be broken if its entry point is faulty, or if its description is in the cache as that of a
    broken one.
    """
    found = catalog()
    of: dict[str, list[Component]] = {}
    for component in sorted((*found.components, *found.withheld)):
        of.setdefault(component.distribution, []).append(component)
    descriptions = known(found.components)
    read = [_plugin(distribution, components, descriptions) for distribution, components in of.items()]
    unreadable = [Plugin(one.name, "", (), BROKEN, one.error) for one in found.unreadable]
    return tuple(sorted((*read, *unreadable), key=lambda one: (one.namespace != OWN_NAMESPACE, one.distribution)))


def not_installed_but_allowed(found: Iterable[Plugin]) -> tuple[str, ...]:
    """Return what `$KPLUG_PLUGINS` names and no installed plugin is called: a slip of the pen, likely.

    Args:
        found: What `plugins` returned.
    """
    found = tuple(found)
    called = {normalized(one.distribution) for one in found} | {one.namespace for one in found}
    return tuple(sorted((read_rules().allowed or frozenset()) - called))


def plugin(name: str) -> Plugin:
    """Return the plugin that a person means.

    Args:
        name: A distribution's name, or a namespace. Case, `-`, `_` and `.` do not matter.

    Raises:
        UnknownPluginError: If no plugin is called that.
    """
    wanted = normalized(name)
    found = plugins()
    exact = [one for one in found if normalized(one.distribution) == wanted]
    meant = exact or [one for one in found if one.namespace == wanted]
    if not meant:
        raise UnknownPluginError(_unknown(name, found))
    return meant[0]


def enable(name: str) -> Plugin:
    """Use a plugin again that was disabled, in this process and every other one, and return it as it is now.

    Args:
        name: A distribution's name, or a namespace.

    Raises:
        UnknownPluginError: If no plugin is called that.
        KplugError: If the settings cannot be read or written.
    """
    return _switched(name, disabled=False)


def disable(name: str) -> Plugin:
    """Keep a plugin from being used: it is in no choice and is never imported. Return it as it is now.

    Args:
        name: A distribution's name, or a namespace.

    Raises:
        UnknownPluginError: If no plugin is called that.
        KplugError: If it is kplug itself, or the settings cannot be read or written.
    """
    return _switched(name, disabled=True)


def _switched(name: str, disabled: bool) -> Plugin:
    distribution = normalized(name)
    gone = not disabled and distribution in read_disabled() and not _installed(distribution)
    if not gone:
        meant = plugin(name)
        distribution = normalized(meant.distribution)
        if distribution == OWN_NAMESPACE and disabled:
            raise KplugError("kplug itself cannot be disabled.")
    set_disabled(distribution, disabled)
    catalog.cache_clear()
    return Plugin(name, "", (), ENABLED, "it is not installed") if gone else plugin(meant.distribution)


def _installed(distribution: str) -> bool:
    return any(normalized(one.distribution) == distribution for one in plugins())


def _plugin(distribution: str, components: list[Component], known_of: Mapping[Component, Description]) -> Plugin:
    version = components[0].version
    refused = catalog().refusals.get(normalized(distribution))
    if refused is not None:
        return Plugin(distribution, version, tuple(components), refused.state, refused.error)
    descriptions = [known_of[one] for one in components if one in known_of]
    broken = [one for one in descriptions if one.broken]
    if not broken:
        heavy = sorted({name for one in descriptions for name in one.imports})
        error = f"imports {', '.join(heavy)} besides Keras' backend" if heavy else None
        return Plugin(distribution, version, tuple(components), ENABLED, error)
    error = f"{broken[0].component.name}: {broken[0].error}"
    if len(broken) > 1:
        error += f" (and {len(broken) - 1} more of its {len(components)} components)"
    return Plugin(distribution, version, tuple(components), BROKEN, error)


def _unknown(name: str, found: Iterable[Plugin]) -> str:
    names = [one.distribution for one in found if one.version]
    close = difflib.get_close_matches(normalized(name), names, n=1, cutoff=0.6)
    hint = f"Did you mean {close[0]}?" if close else f"The plugins are: {', '.join(names)}."
    return f"No installed plugin is called {name!r}. {hint}"
