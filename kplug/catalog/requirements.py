"""Whether what a distribution requires goes with this kplug and this Python."""

from __future__ import annotations

import operator
import re
import sys
from collections.abc import Iterable

_NAME = re.compile(r"\s*([A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?)")
_PLAIN_REQUIREMENT = re.compile(r"\s*[\w.-]+\s*(?:\[[^\]]*\])?\s*\(?([^;@()]*)\)?\s*")
_PLAIN_CLAUSE = re.compile(r"\s*(>=|<=|>|<|!=|==)\s*(\d+(?:\.\d+)*)\s*")
_COMPARISONS = {
    ">=": operator.ge,
    "<=": operator.le,
    ">": operator.gt,
    "<": operator.lt,
    "!=": operator.ne,
    "==": operator.eq,
}


def unmet(requires: Iterable[str], requires_python: str | None, kplug_version: str) -> str | None:
    """Say which requirement on kplug or Python is not met, or return `None`.

    Args:
        requires: The distribution's `Requires-Dist` lines.
        requires_python: Its `Requires-Python`, if it has one.
        kplug_version: The version of kplug that is installed.
    """
    try:
        # Not platform's: of a build from a checkout, that says 3.12.4+.
        python = ".".join(map(str, sys.version_info[:3]))
        if requires_python and not _accepts(requires_python, python):
            return f"needs Python {requires_python}, and this is Python {python}"
        for line in requires:
            specifier = _specifier_on_kplug(line)
            if specifier and not _accepts(specifier, kplug_version):
                return f"needs kplug {specifier}, and kplug {kplug_version} is installed"
    except ValueError as error:
        return f"requires what cannot be read: {error}"
    return None


def _specifier_on_kplug(line: str) -> str | None:
    """Return which versions of kplug a requirement asks for; `None` if it asks for none here."""
    name = _NAME.match(line)
    if name is None or re.sub(r"[-_.]+", "-", name[1]).lower() != "kplug":
        return None
    plain = _PLAIN_REQUIREMENT.fullmatch(line)
    if plain is not None:
        return plain[1].strip()
    from packaging.requirements import Requirement

    requirement = Requirement(line)
    applies = requirement.marker is None or requirement.marker.evaluate({"extra": ""})
    return str(requirement.specifier) if applies else None


def _accepts(specifier: str, version: str) -> bool:
    clauses = [_PLAIN_CLAUSE.fullmatch(clause) for clause in specifier.split(",")]
    if all(clauses) and re.fullmatch(r"\d+(\.\d+)*", version):
        return all(clause is not None and _holds(version, clause[1], clause[2]) for clause in clauses)
    # Its import takes longer than everything else that listing does, and plain numbers are what nearly all have.
    from packaging.specifiers import SpecifierSet

    return SpecifierSet(specifier).contains(version, prereleases=True)


def _holds(version: str, comparison: str, bound: str) -> bool:
    numbers = [[int(part) for part in text.split(".")] for text in (version, bound)]
    length = max(map(len, numbers))
    first, second = ([*one, *[0] * (length - len(one))] for one in numbers)
    return bool(_COMPARISONS[comparison](first, second))
