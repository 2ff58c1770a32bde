"""From the name a person typed to the one component it means."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import replace

from kplug.catalog.admission import normalized
from kplug.catalog.component import KINDS, OWN_NAMESPACE, SCRIPT_NAMESPACE, Component, folded, kind_of
from kplug.catalog.discovery import catalog, components
from kplug.catalog.installed_metadata import is_distribution
from kplug.catalog.references import is_reference, referenced
from kplug.errors import AmbiguousNameError, BrokenComponentError, UnavailableComponentError, UnknownComponentError


def resolve(name: str, kind: str | None = None) -> Component:
    """Return the component that a name means, or once meant.

    Args:
        name: `namespace/name`, or a bare name. Case, `-` and `_` do not matter, so `FocalLoss` and
            `focal-loss` both mean `focal_loss`. A bare name means kplug's own component if there is one,
            else the only plugin component of that name. `path/to/file.py:Object` and `package.module:Object` mean
            that object.
        kind: Look among one kind only.

    Raises:
        UnknownComponentError: If nothing is called that; the message suggests close names.
        AmbiguousNameError: If several components could be meant; the message lists them.
        UnavailableComponentError: If its plugin is disabled, incompatible or not allowed.
        BrokenComponentError: If the entry point itself is faulty.
    """
    if not isinstance(name, str):
        raise UnknownComponentError(f"A component's name is a string, such as 'focal_loss'. Received: {name!r}")
    wanted_kind = None if kind is None else kind_of(kind)
    if is_reference(name):
        found = referenced(name, wanted_kind)
        _insist_module_not_withheld(name)
        return found
    candidates = components(wanted_kind)
    matches = [component for component in candidates if is_called(component, name)]
    if not matches:
        matches = [component for component in renamed(name) if wanted_kind in {None, component.kind}]
    usable = [component for component in matches if component.fault is None]
    if not matches:
        _insist_not_withheld(name, wanted_kind)
        raise UnknownComponentError(_unknown_message(name, wanted_kind, candidates))
    if not usable:
        fault = matches[0]
        raise BrokenComponentError(f"{fault.in_words}: {fault.fault}.")
    own = [component for component in usable if component.namespace == OWN_NAMESPACE]
    chosen = own or usable
    if len(chosen) > 1:
        choices = ", ".join(f"{component.id} ({component.kind})" for component in chosen)
        several_kinds = len({component.kind for component in chosen}) > 1
        remedy = "say which kind is meant" if several_kinds else "give the full id"
        raise AmbiguousNameError(f"{name!r} could mean any of: {choices}. To choose one, {remedy}.")
    return chosen[0]


def is_called(component: Component, name: str) -> bool:
    """Say whether a person who types this name may mean the component: its name, or its id."""
    namespace, slash, bare = name.rpartition("/")
    if slash and folded(namespace) != folded(component.namespace):
        return False
    return folded(bare) == folded(component.name)


def renamed(name: str) -> list[Component]:
    """Return the components that were called something before, as their plugins declare.

    A plugin speaks for another namespace than its own only where no installed plugin has that.

    Args:
        name: A component's name or id, or `namespace/Class` for what Keras has saved.
    """
    found = catalog()
    taken = {one.namespace for one in (*found.components, *found.withheld)}
    namespace, slash, bare = name.rpartition("/")
    meant = []
    for alias in found.aliases:
        of, foreign, old = alias.old.rpartition("/")
        of = of if foreign else alias.namespace
        if folded(old) != folded(bare) or (slash and folded(of) != folded(namespace)) or (foreign and of in taken):
            continue
        meant += [one for one in found.components if one.namespace == alias.namespace and one.name == alias.new]
    return [one for one in meant if one.fault is None]


def withheld_because(component: Component) -> str:
    """Say why a component of a plugin that is not used is not to be had, and what to do."""
    refusal = catalog().refusals[normalized(component.distribution)]
    return f"{component.id} is of {component.distribution}, which is {refusal.state}: {refusal.remedy}"


def _insist_module_not_withheld(name: str) -> None:
    """Refuse what stands in the package of a plugin that is not used.

    Raises:
        UnavailableComponentError: If it does.
    """
    place = name.rpartition(":")[0]
    package = place.partition(".")[0]
    if place.endswith(".py"):
        return
    found = catalog()
    withheld = [one for one in found.withheld if one.package == package]
    # A plugin may declare what is another project's: Keras is not withheld because of it.
    if withheld and not any(one.package == package for one in found.components):
        owner = withheld[0]
        if folded(package) == folded(owner.distribution) or not is_distribution(package):
            raise UnavailableComponentError(withheld_because(replace(owner, reference=name)))


def _insist_not_withheld(name: str, kind: str | None) -> None:
    for component in catalog().withheld:
        if kind in {None, component.kind} and is_called(component, name):
            raise UnavailableComponentError(withheld_because(component))


def _unknown_message(name: str, kind: str | None, candidates: Iterable[Component]) -> str:
    noun = kind or "component"
    names = sorted({component.name for component in candidates})
    close = _close_names(name, names)
    message = f"There is no {noun} {name!r}."
    where = _elsewhere(name)
    if where:
        return f"{message} {where}"
    if close:
        return f"{message} Did you mean {' or '.join(close)}?"
    if kind is not None:
        return f"{message} The {KINDS[kind]} are: {', '.join(names)}."
    return f"{message} `kplug list` shows what is installed."


def _elsewhere(name: str) -> str:
    """Say where what is called so may be, if it cannot be among what is installed; else nothing."""
    namespace, slash, _ = name.rpartition("/")
    if name.endswith(".py"):
        return f"Of a file, say which object is meant: {name}:Object"
    if namespace == SCRIPT_NAMESPACE:
        return (
            "What a script has registered is known in its own process alone. Name the file that it is in: "
            "path/to/file.py:Object"
        )
    known = {folded(one.namespace) for one in (*catalog().components, *catalog().withheld)}
    if not slash or folded(namespace) in known:
        return ""
    return (
        f"No plugin of the namespace {namespace!r} is installed here. If it is kplug-{namespace}'s: kplug plugins "
        f"install kplug-{namespace}"
    )


def _close_names(name: str, names: list[str]) -> list[str]:
    by_folded = {folded(known): known for known in names}
    close = difflib.get_close_matches(folded(name.rpartition("/")[2]), by_folded, n=3, cutoff=0.6)
    return [by_folded[key] for key in close]
