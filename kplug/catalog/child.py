"""Learning what a plugin's components are in child processes: what one of them breaks costs itself alone."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable

from kplug.catalog.component import Component
from kplug.child_process import Record, run_child
from kplug.errors import SpecError

Records = dict[tuple[str, str], Record]
"""`(kind, name)` -> what was learned."""

_DEFAULT_TIMEOUT = 120.0
_TIMEOUTS = 2.0
"""How many time limits one plugin's bad components may cost before the rest of it is given up."""


def timeout_seconds() -> float:
    """Return how long one component may take: `$KPLUG_INSPECTION_TIMEOUT` seconds, or 120.

    Raises:
        SpecError: If the variable holds no such number.
    """
    text = os.environ.get("KPLUG_INSPECTION_TIMEOUT", "")
    if not text:
        return _DEFAULT_TIMEOUT
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not seconds > 0:
        raise SpecError(f"KPLUG_INSPECTION_TIMEOUT must be a number of seconds greater than 0, not {text!r}.")
    return seconds


def inspect_in_child(wanted: Iterable[Component]) -> Records:
    """Import the components in a child process and return what it learned of each.

    A component that hangs, crashes or ends the process is broken for that reason, and the others go on in another
    process, those of the same module last. Where that has cost twice the time limit, the rest are not reached.

    Raises:
        KplugError: If `end_children` has ended it, which says nothing about the components.
    """
    left = list(wanted)
    timeout = timeout_seconds()
    records: Records = {}
    deadline = time.monotonic() + _TIMEOUTS * timeout
    while left:
        request = [(one.kind, one.name, one.target) for one in left]
        try:
            answer = run_child("kplug.catalog.inspection", request, timeout)
        except OSError as error:
            records.update(_broken(left, f"it could not be looked at: {error.strerror or error}"))
            break
        begun = sum("begun" in record for record in answer.records)
        for record in answer.records:
            if "begun" not in record:
                records[record.pop("kind"), record.pop("name")] = record
        unknown = [one for one in left if (one.kind, one.name) not in records]
        if not unknown:
            break
        ending = answer.ending or "ended the process"
        if not begun:
            records.update(_broken(unknown, f"inspecting the plugin {ending}"))
            break
        failed = left[begun - 1]
        if failed in unknown and begun > 1 and not answer.late:
            # What came before it may have left something behind that ended the process: it gets one of its own.
            left = [failed, *(one for one in unknown if one != failed)]
            continue
        if failed in unknown:
            records.update(_broken([failed], f"importing it {ending}"))
        left = sorted((one for one in unknown if one != failed), key=lambda one: one.module == failed.module)
        if time.monotonic() >= deadline:
            records.update(_broken(left, f"not reached: importing {failed.name} of the same plugin {ending}"))
            break
    return records


def _broken(components: Iterable[Component], error: str) -> Records:
    return {(one.kind, one.name): {"status": "broken", "error": error} for one in components}
