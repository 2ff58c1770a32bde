"""What can be said of a plugin without importing it: its names, its requirements, what its wheel holds."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator

from kplug.authoring.finding import ERROR, OK, WARNING, Finding
from kplug.authoring.subject import Subject
from kplug.catalog.admission import normalized
from kplug.catalog.component import (
    GROUPS,
    OWN_NAMESPACE,
    RESERVED,
    SHIPPED_PACKAGES,
    Component,
    folded,
    namespace_fault,
    namespace_of,
)
from kplug.catalog.discovery import catalog, components

_LICENCE = re.compile(r"(licen[cs]e|copying)", re.IGNORECASE)
_OLD_NAME = re.compile(r"[A-Za-z_]\w*")


def check_names(subject: Subject) -> Iterator[Finding]:
    """Look at the names of the entry points, the namespace and the groups."""
    for group in subject.unknown_groups:
        yield Finding(
            ERROR,
            subject.distribution,
            "entry points",
            f"{group} is no group of kplug's; there are: {', '.join(GROUPS)}",
        )
    if not subject.components:
        yield Finding(
            ERROR,
            subject.distribution,
            "entry points",
            'it declares no component. Add `[project.entry-points."kplug.losses"]`, say, to its pyproject.toml',
        )
    counted = Counter((one.kind, one.name) for one in subject.components)
    for component in subject.components:
        if component.fault is not None:
            yield Finding(ERROR, component.id, "entry point", component.fault)
        elif counted[component.kind, component.name] > 1:
            yield Finding(ERROR, component.id, "entry point", f"{component.kind} {component.name} is declared twice")
        else:
            yield Finding(OK, component.id, "entry point", component.target)
    yield from _namespace(subject)
    yield from _aliases(subject)


def _namespace(subject: Subject) -> Iterator[Finding]:
    others = [one for one in components() if one.distribution.lower() != subject.distribution.lower()]
    sharing = sorted({one.distribution for one in others if one.namespace == subject.namespace})
    reserved = namespace_fault(subject.distribution)
    shipped = sorted({file.partition("/")[0] for file in subject.files}.intersection(SHIPPED_PACKAGES))
    if shipped and normalized(subject.distribution) != OWN_NAMESPACE:
        yield Finding(ERROR, subject.distribution, "packages", f"the package {shipped[0]} is kplug's own. Rename it")
    if reserved is not None:
        yield Finding(ERROR, subject.distribution, "namespace", f"{reserved}. Rename the distribution")
    elif sharing:
        yield Finding(
            ERROR,
            subject.distribution,
            "namespace",
            f"{', '.join(sharing)} has the namespace {subject.namespace!r} too. Rename the distribution",
        )
    else:
        yield Finding(OK, subject.distribution, "namespace", subject.namespace)
    known = {(one.kind, one.name): one for one in others}
    for component in subject.components:
        other = known.get((component.kind, component.name))
        if other is not None:
            yield Finding(
                WARNING,
                component.id,
                "name",
                f"{other.id} has the same name: people must type {component.id}. Choose another if you can",
            )


def _aliases(subject: Subject) -> Iterator[Finding]:
    """Look whether each old name means one component, and can mean it."""
    counted = Counter(_of_alias(subject, old) for old, _ in subject.aliases)
    for old, new in subject.aliases:
        meant = [one for one in subject.components if one.name == new and one.fault is None]
        errors = list(_alias_errors(subject, old, new, meant))
        if counted[_of_alias(subject, old)] > 1:
            errors.append("it is declared twice. Case and _ do not matter")
        warnings = [] if errors else list(_alias_warnings(subject, old, meant))
        said = [(ERROR, one) for one in errors] or [(WARNING, one) for one in warnings] or [(OK, f"{meant[0].id} now")]
        for level, message in said:
            yield Finding(level, old if "/" in old else f"{subject.namespace}/{old}", "alias", message)


def _of_alias(subject: Subject, old: str) -> tuple[str, str]:
    namespace, slash, name = old.rpartition("/")
    return folded(namespace if slash else subject.namespace), folded(name)


def _alias_errors(subject: Subject, old: str, new: str, meant: list[Component]) -> Iterator[str]:
    namespace, slash, name = old.rpartition("/")
    if not _OLD_NAME.fullmatch(name) or (slash and namespace_of(namespace) != namespace):
        yield "an old name is a component's or a class's: `haar_net`, `HaarNet` or, of another plugin, `old/haar_net`"
    elif slash and namespace == subject.namespace:
        yield f"it is never looked up: declare {name!r}, without the plugin's own namespace"
    elif slash and namespace in RESERVED:
        yield f"it is never looked up: the namespace {namespace!r} is {RESERVED[namespace]}"
    if not meant:
        names = ", ".join(sorted({one.name for one in subject.components}))
        yield f"{new!r} is no component of this plugin; its components are: {names}"
    live = [one for one in subject.components if folded(name) in _live_names(one)]
    live = [one for one in live if one not in meant or folded(name) == folded(new)]
    if live and not slash:
        yield f"{live[0].id} ({live[0].target}) is called so now, and that goes before what was. Remove the alias"


def _alias_warnings(subject: Subject, old: str, meant: list[Component]) -> Iterator[str]:
    namespace, slash, name = old.rpartition("/")
    others = [one for one in components() if normalized(one.distribution) != normalized(subject.distribution)]
    if len({one.target for one in meant}) > 1:
        kinds = " or ".join(f"{one.kind} {one.id}" for one in meant)
        yield f"it could be {kinds}: `kplug.load_model` refuses models where their packages do not decide it"
    if slash and any(one.namespace == namespace for one in others):
        yield f"it has no effect where a plugin with the namespace {namespace!r} is installed, as it is here"
    taken = [one for one in others if not slash and folded(one.name) == folded(name)]
    if taken:
        yield f"{taken[0].id} has that name: whoever types it alone means that one"
    full = _of_alias(subject, old)
    for alias in (one for one in catalog().aliases if one.namespace != subject.namespace):
        of, foreign, other = alias.old.rpartition("/")
        if full == (folded(of if foreign else alias.namespace), folded(other)):
            yield f"{alias.namespace}/{alias.new} declares that it was called so too: `kplug.load_model` has to ask"
        elif not slash and not foreign and folded(other) == full[1]:
            yield f"{alias.namespace}/{alias.new} was called that too: whoever types it alone is asked which is meant"


def _live_names(component: Component) -> set[str]:
    return {folded(component.name), folded(component.target.rpartition(":")[2])}


def check_requirements(subject: Subject) -> Iterator[Finding]:
    """Look whether it says which kplug it is for."""
    on_kplug = [line for line in subject.requires if re.match(r"kplug\b(?!-)", line)]
    if not on_kplug:
        yield Finding(
            WARNING,
            subject.distribution,
            "requirements",
            'it does not say which kplug it is for. Add "kplug>=0.1" to its dependencies',
        )
    elif not any(re.search(r"[<>=~]", line) for line in on_kplug):
        yield Finding(
            WARNING,
            subject.distribution,
            "requirements",
            f"{on_kplug[0]!r} takes any version: say which it needs at least",
        )
    else:
        yield Finding(OK, subject.distribution, "requirements", on_kplug[0])


def check_files(subject: Subject) -> Iterator[Finding]:
    """Look what is in the wheel: each entry point's module, the marker of types, the licence."""
    if not subject.files:
        yield Finding(
            WARNING,
            subject.distribution,
            "wheel",
            "an installation (editable, say) that does not list its files. To look at its wheel, give its directory",
        )
        return
    own = [one for one in subject.components if one.fault is None and one.package not in subject.borrowed]
    missing = [one for one in own if not _holds(subject, one.module)]
    for component in missing:
        yield Finding(
            ERROR,
            component.id,
            "wheel",
            f"the wheel has no module {component.module}. Is its package among those packed?",
        )
    untyped = [one for one in subject.packages if f"{one}/__init__.py" in subject.files]
    untyped = [one for one in untyped if f"{one}/py.typed" not in subject.files]
    for package in untyped:
        yield Finding(
            WARNING, subject.distribution, "wheel", f"{package}/py.typed is missing: its types are lost on who uses it"
        )
    licensed = any(".dist-info/" in file and _LICENCE.search(file.rpartition("/")[2]) for file in subject.files)
    if not licensed:
        yield Finding(
            ERROR, subject.distribution, "wheel", "there is no licence in it. Add a file LICENSE and `license-files`"
        )
    if not missing and not untyped and licensed:
        yield Finding(OK, subject.distribution, "wheel", f"{len(subject.files)} files: modules, py.typed, licence")


def _holds(subject: Subject, module: str) -> bool:
    path = module.replace(".", "/")
    return any(file in {f"{path}.py", f"{path}/__init__.py"} or file.startswith(f"{path}.") for file in subject.files)
