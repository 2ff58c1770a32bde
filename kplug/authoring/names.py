"""What a new plugin is called: its distribution, its import package and its namespace, of one word."""

from __future__ import annotations

import re
from dataclasses import dataclass

from kplug.catalog.component import RESERVED, SHIPPED_PACKAGES
from kplug.errors import PluginError

_NAMESPACE = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")
_LONGEST = 32


@dataclass(frozen=True)
class PluginName:
    """A plugin's three names.

    Attributes:
        namespace: What its components' ids begin with: `acme` in `acme/wavelet`.
    """

    namespace: str

    @property
    def distribution(self) -> str:
        """What is installed and published: `kplug-acme`."""
        return f"kplug-{self.namespace}"

    @property
    def package(self) -> str:
        """What is imported: `kplug_acme`."""
        return self.distribution.replace("-", "_")


def plugin_name(text: str) -> PluginName:
    """Return the names of the plugin that a person calls `acme` or `kplug-acme`.

    Raises:
        PluginError: If no plugin can be called so, with a name that would do.
    """
    namespace = text.removeprefix("kplug-")
    name = PluginName(namespace)
    remedy = "Choose another name: `kplug plugins new acme`."
    if namespace in RESERVED:
        raise PluginError(f"The namespace {namespace} is {RESERVED[namespace]}. {remedy}")
    if name.package in SHIPPED_PACKAGES:
        raise PluginError(f"The package {name.package} is kplug's own. {remedy}")
    if _NAMESPACE.fullmatch(namespace) and len(namespace) <= _LONGEST:
        return name
    raise PluginError(
        f"A plugin cannot be called {text!r}: names have lower-case letters, digits and single hyphens between them, "
        f"begin with a letter, and are at most {_LONGEST} characters long. Try `kplug plugins new {_near(namespace)}`."
    )


def _near(text: str) -> str:
    """Return a possible name that is like an impossible one."""
    words = re.findall(r"[a-z0-9]+", re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "-", text).lower())
    near = "-".join(words).lstrip("0123456789-").removeprefix("kplug-")[:_LONGEST].strip("-")
    taken = near in RESERVED or PluginName(near).package in SHIPPED_PACKAGES
    return near if near and not taken else "acme"
