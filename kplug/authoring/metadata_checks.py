"""What can be said of a plugin without importing it: its names, its requirements, what its wheel holds."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator

from kplug.authoring.finding import ERROR, OK, WARNING, Finding
from kplug.authoring.subject import Subject
from kplug.catalog.admission import normalized
from kplug.catalog.component import GROUPS, OWN_NAMESPACE, SHIPPED_PACKAGES, namespace_fault
from kplug.catalog.discovery import components
from kplug.errors import KplugError

_LICENCE = re.compile(r"(licen[cs]e|copying)", re.IGNORECASE)


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
            "it is installed editable, and its wheel was not looked at. Give its directory instead of its name",
        )
        return
    missing = [one for one in subject.components if one.fault is None and not _holds(subject, one.module)]
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
    if module.partition(".")[0] not in {file.partition("/")[0].partition(".")[0] for file in subject.files}:
        try:
            # A class of another package, exposed by an entry point alone.
            from importlib.util import find_spec

            return find_spec(module.partition(".")[0]) is not None
        except (ImportError, ValueError, KplugError):
            return False
    return any(file in {f"{path}.py", f"{path}/__init__.py"} or file.startswith(f"{path}.") for file in subject.files)
