"""Whether a plugin is fit to publish: all checks, those that import it in child processes."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from kplug.authoring.finding import ERROR, OK, WARNING, Finding
from kplug.authoring.metadata_checks import check_files, check_names, check_requirements
from kplug.authoring.subject import Subject, installed, unpacked
from kplug.authoring.wheel import unpacked_wheel
from kplug.catalog.child import timeout_seconds
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
    yield from _imports(subject)
    yield from _trials(subject)


def _imports(subject: Subject) -> Iterator[Finding]:
    """Look what importing the package brings in, and what the modules of its data sets bring in besides."""
    of_package: dict[str, set[str]] = {}
    for module in subject.packages:
        finding, of_package[module] = _import(subject, module)
        yield finding
    for module in dict.fromkeys(one.module for one in subject.components if one.kind == "dataset" and not one.fault):
        known = of_package[module.partition(".")[0]]
        if module not in of_package and not known:
            yield _import(subject, module)[0]


def _import(subject: Subject, module: str) -> tuple[Finding, set[str]]:
    """Import a module in a child process; return what is to be said, and the heavy modules that were brought in."""
    answer = run_child("kplug.authoring.import_probe", module, timeout_seconds(), subject.import_path)
    if not answer.records:
        return Finding(ERROR, module, "import", f"importing it {answer.ending or 'ended the process'}"), set()
    (record,) = answer.records
    if "error" in record:
        return Finding(ERROR, module, "import", record["error"]), set()
    heavy = record["heavy"]
    if not heavy:
        return Finding(OK, module, "import", "brings in nothing heavy"), set()
    remedy = (
        "Leave its __init__.py without imports, and import the parts from their modules"
        if module in subject.packages
        else "Import it inside the function that needs it"
    )
    message = f"brings in {', '.join(heavy)}, which takes seconds. {remedy}"
    return Finding(WARNING, module, "import", message), set(heavy)


def _trials(subject: Subject) -> Iterator[Finding]:
    """Import each component and try it; what ends the process costs that component its trial, and no other."""
    left = [one for one in subject.components if one.fault is None]
    while left:
        request = {"namespace": subject.namespace, "components": [[one.kind, one.name, one.target] for one in left]}
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
