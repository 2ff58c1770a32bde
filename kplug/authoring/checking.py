"""Whether a plugin is fit to publish: all checks, those that import it in child processes."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from kplug.authoring.finding import ERROR, OK, WARNING, Finding
from kplug.authoring.metadata_checks import check_files, check_names, check_requirements
from kplug.authoring.subject import Subject, installed, unpacked
from kplug.authoring.wheel import unpacked_wheel
from kplug.catalog.child import timeout_seconds
from kplug.catalog.component import Component
from kplug.child_process import run_child
from kplug.errors import PluginError

_TRIAL_SECONDS = 180
"""How long trying one component may take."""


@dataclass(frozen=True)
class Report:
    """What was looked at, and what was found so far."""

    distribution: str
    version: str
    findings: Iterator[Finding]


def check_plugin(target: str, folder: Path) -> Report:
    """Check a plugin.

    Args:
        target: The directory of its project, whose wheel is built and checked; or the name or namespace of an
            installed one.
        folder: An empty directory, there until the last finding was taken.

    Returns:
        A report whose findings come as they are made.

    Raises:
        PluginError: If there is no such project or its wheel cannot be built, or the plugin is not used here.
        UnknownPluginError: If no plugin is called so.
    """
    source = Path(target).expanduser()
    if source.name == "pyproject.toml" and source.is_file():
        source = source.parent
    if (source / "pyproject.toml").is_file():
        subject = unpacked(unpacked_wheel(source.absolute(), folder))
    elif source.is_dir() or os.sep in target:
        raise PluginError(
            f"{source} is not a plugin's directory: there is no pyproject.toml. Give the directory that has it, or the "
            "name of an installed plugin."
        )
    else:
        subject = installed(target)
    return Report(subject.distribution, subject.version, findings(subject))


def findings(subject: Subject) -> Iterator[Finding]:
    """Look at a plugin; what imports it happens in child processes."""
    yield from check_names(subject)
    yield from check_requirements(subject)
    yield from check_files(subject)
    unusable: set[str] = set()
    for finding in _imports(subject):
        if finding.level == ERROR:
            unusable.add(finding.subject)
        yield finding
    # What cannot be imported has said so, and need not hang once more.
    tried = [one for one in subject.components if not {one.module, one.package} & unusable]
    yield from _trials(subject, tried)


def _imports(subject: Subject) -> Iterator[Finding]:
    """Look what importing the package brings in, and what the modules of its data sets bring in besides."""
    sufficient: set[str] = set()
    for module in subject.packages:
        found = list(_import(subject, module))
        yield from found
        if any(one.level != OK for one in found):
            sufficient.add(module)
    datasets = {one.module: one for one in subject.components if one.kind == "dataset" and one.fault is None}
    for component in datasets.values():
        if component.module not in subject.packages and component.package not in subject.borrowed | sufficient:
            yield from _import(subject, component.module)


def _import(subject: Subject, module: str) -> Iterator[Finding]:
    """Import a module in a child process, and say what that has brought in and started."""
    answer = run_child("kplug.authoring.import_probe", module, timeout_seconds(), subject.import_path)
    if not answer.records:
        yield Finding(ERROR, module, "import", f"importing it {answer.ending or 'ended the process'}")
        return
    (record,) = answer.records
    if "error" in record:
        yield Finding(ERROR, module, "import", record["error"])
        return
    heavy, started = record["heavy"], record["started"]
    if started:
        message = f"starts processes ({', '.join(started)}). Start them where they are needed, not at import"
        yield Finding(WARNING, module, "import", message)
    if heavy:
        remedy = (
            "Leave its __init__.py without imports, and import the parts from their modules"
            if module in subject.packages
            else "Import it inside the function that needs it"
        )
        yield Finding(WARNING, module, "import", f"brings in {', '.join(heavy)}, which takes seconds. {remedy}")
    if not started and not heavy:
        yield Finding(OK, module, "import", "brings in nothing heavy")


def _trials(subject: Subject, components: Iterable[Component]) -> Iterator[Finding]:
    """Import components and try them; what ends the process costs that component its trial, and no other."""
    left = [one for one in components if one.fault is None]
    while left:
        request = {
            "namespace": subject.namespace,
            "components": [[one.kind, one.name, one.target] for one in left],
            "borrowed": [one.package for one in left if one.package in subject.borrowed],
        }
        answer = run_child(
            "kplug.testing.plugin_trials", request, timeout_seconds() + _TRIAL_SECONDS, subject.import_path
        )
        begun = [record["begun"] for record in answer.records if "begun" in record]
        for record in answer.records:
            if "begun" not in record:
                component = left[record.pop("index")]
                yield Finding(subject=component.id, **record)
        if not answer.ending and len(begun) == len(left):
            return
        failed = begun[-1] if begun else 0
        ending = answer.ending or "ended the process"
        yield Finding(ERROR, left[failed].id, "import", f"importing or trying it {ending}")
        left = left[failed + 1 :]
