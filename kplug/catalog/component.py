"""A component: one registered part, known by its entry point alone."""

from __future__ import annotations

import re
from dataclasses import dataclass

from kplug.errors import UnknownComponentError

KINDS = {
    "loss": "losses",
    "layer": "layers",
    "metric": "metrics",
    "model": "models",
    "dataset": "datasets",
    "optimizer": "optimizers",
    "schedule": "schedules",
    "callback": "callbacks",
    "launcher": "launchers",
}
"""Every kind of component, with the plural that names its entry-point group."""

GROUPS = {f"kplug.{plural}": kind for kind, plural in KINDS.items()}
"""Entry-point group -> kind."""

OWN_NAMESPACE = "kplug"

SCRIPT_NAMESPACE = "script"
"""That of what `kplug.register` makes a component for one process."""

RESERVED = {OWN_NAMESPACE: "kplug's own", SCRIPT_NAMESPACE: "that of kplug.register"}
"""Namespace that no plugin can have -> whose it is."""

SHIPPED_PACKAGES = ("kplug", "kplug_tui")
"""The import packages that kplug itself consists of."""

ALIASES = "kplug.aliases"
"""The entry-point group that says what components were called before."""

_COMPONENT_NAME = re.compile(r"[a-z][a-z0-9_]*")
_TARGET = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*(\.[A-Za-z_]\w*)*")


@dataclass(frozen=True)
class Component:
    """One part: an entry point in one of kplug's groups, or an object that is named by where it is.

    Attributes:
        kind: One of `KINDS`.
        namespace: The distribution's name without a leading `kplug-`; `kplug` for kplug's own.
        name: The entry point's name, in snake_case.
        target: `module:attribute`, what the entry point refers to.
        distribution: Name of the installed distribution that declares it.
        version: That distribution's version.
        fault: Why the entry point cannot be used, or `None`. Found without importing anything.
        reference: `path/to/file.py:Object` or `package.module:Object`, if it was named so. Of a file, `distribution` is
            the path and `version` the content's SHA-256.
    """

    kind: str
    namespace: str
    name: str
    target: str
    distribution: str
    version: str
    fault: str | None = None
    reference: str | None = None

    def __lt__(self, other: Component) -> bool:
        return self._place < other._place

    @property
    def _place(self) -> tuple[str, ...]:
        return self.kind, self.namespace, self.name, self.target, self.distribution, self.fault or ""

    @property
    def id(self) -> str:
        """The full id, `namespace/name`; a reference is its own."""
        return self.reference or f"{self.namespace}/{self.name}"

    @property
    def module(self) -> str:
        """The module that the entry point refers to."""
        return self.target.rpartition(":")[0]

    @property
    def package(self) -> str:
        """The package, or module, that the entry point refers to, without what is inside it."""
        return self.module.partition(".")[0]

    @property
    def in_words(self) -> str:
        """What it is and where it comes from, for messages: `loss acme/wavelet (kplug-acme 1.2)`."""
        origin = f" ({self.distribution} {self.version})" if self.version and not self.reference else ""
        return f"{self.kind} {self.id}{origin}"


def namespace_of(distribution: str) -> str:
    """Return the namespace of a distribution: its normalized name without a leading `kplug-`."""
    normalized = re.sub(r"[-_.]+", "-", distribution).lower()
    return normalized.removeprefix("kplug-")


def namespace_fault(distribution: str) -> str | None:
    """Say why a distribution cannot have the namespace that its name gives it, or return `None`. kplug itself can."""
    namespace = namespace_of(distribution)
    if namespace not in RESERVED or distribution.lower() == OWN_NAMESPACE:
        return None
    return f"the namespace {namespace!r} is {RESERVED[namespace]}"


def entry_point_fault(name: str, target: str) -> str | None:
    """Say what is wrong with an entry point's two strings, or return `None`."""
    if not _COMPONENT_NAME.fullmatch(name):
        return f"the entry point's name {name!r} is not snake_case (a-z, 0-9 and _, starting with a letter)"
    if not _TARGET.fullmatch(target):
        return f"the entry point's value {target!r} is not of the form 'package.module:Object'"
    return None


def snake_case(name: str) -> str:
    """Return a Python name as components are called: `WaveletLoss` is `wavelet_loss`."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", name).lower()


def kind_of(word: str) -> str:
    """Return the kind that a person's word names, singular or plural.

    Raises:
        UnknownComponentError: If no kind is called that.
    """
    cleaned = folded(word)
    for kind, plural in KINDS.items():
        if cleaned in {kind, plural}:
            return kind
    raise UnknownComponentError(f"There is no kind {word!r}. The kinds are: {', '.join(KINDS.values())}.")


def folded(name: str) -> str:
    """Fold a name for comparison: case, `-` and `_` do not matter."""
    return name.strip().lower().replace("-", "").replace("_", "")
