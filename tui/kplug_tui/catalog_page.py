"""What the catalog shows of a component: a row, and a page of text."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rich.text import Text

from kplug.catalog.component import KINDS, Component
from kplug.plain_text import safe_line, safe_text

if TYPE_CHECKING:
    from kplug.catalog.description import Description

UNREADABLE = "unreadable"
"""The kind of what is no component, but a distribution that cannot be read."""


@dataclass(frozen=True)
class Entry:
    """A row of the catalog: a component, or a distribution that cannot be read.

    Attributes:
        key: What identifies it.
        kind: One of `KINDS`, or `unreadable`.
        id: The component's full id, or where the distribution is.
        component: The component, or `None`.
        description: What is known of it so far.
        error: What is wrong with it, or `None`.
        withheld: Why its plugin is not used, and what to do about it; `None` if it is used.
    """

    key: str
    kind: str
    id: str
    component: Component | None = None
    description: Description | None = None
    error: str | None = None
    withheld: str | None = None

    @property
    def state(self) -> str:
        """`ok`, `broken`, `unreadable`, `not used`, or `…` until it is known."""
        if self.component is None:
            return UNREADABLE
        if self.withheld is not None:
            return "not used"
        return "…" if self.description is None else self.description.status

    def searched(self) -> str:
        """Return what is searched, case-folded."""
        parts = [self.kind, KINDS.get(self.kind, ""), self.id, self.error or "", self.withheld or "", self.state]
        if self.component is not None:
            parts += [self.component.distribution, self.component.target]
        if self.description is not None:
            parts += [self.description.summary, *self.description.tasks, self.description.status]
        return " ".join(parts).casefold()


def page_of(entry: Entry) -> Text:
    """Return all there is to know of a component, as text."""
    text = Text()
    text.append(safe_line(entry.id), "bold")
    text.append(f"  {entry.kind}\n")
    if entry.error is not None:
        text.append(f"\nbroken: {safe_text(entry.error)}\n", "bold")
    if entry.withheld is not None:
        text.append(f"\nnot used: {safe_text(entry.withheld)}\n", "bold")
    component, described = entry.component, entry.description
    if component is None:
        text.append("\nThis distribution's metadata cannot be read. Its components, if it has any, are missing here.\n")
        return text
    if described is None:
        if entry.error is None and entry.withheld is None:
            text.append("\nImporting it in a process of its own, to learn what it is …\n")
        _append_fields(text, _facts_of(component, described, entry.withheld))
        return text
    summary, _, rest = reflowed(described.documentation, bool(described.parameters)).partition("\n\n")
    text.append(f"\n{summary}\n" if summary else "")
    _append_parameters(text, described)
    _append_fields(text, _facts_of(component, described, entry.withheld))
    text.append(f"\n{rest.strip()}\n" if rest.strip() else "")
    return text


def reflowed(documentation: str, without_arguments: bool = False) -> str:
    """Return a docstring with each paragraph on one line, to be broken where the screen ends; code stays as it is.

    Args:
        documentation: The docstring.
        without_arguments: Whether to leave `Args:` out, which are shown in another way.
    """
    lines: list[str] = []
    in_code = in_arguments = joins = False
    for line in safe_text(documentation).strip().splitlines():
        indented = line[:1].isspace()
        if in_arguments and (indented or not line.strip()):
            continue
        in_arguments = without_arguments and line.rstrip() == "Args:"
        if in_arguments:
            continue
        fence = line.lstrip().startswith("```")
        plain = bool(line.strip()) and not (in_code or fence or indented or line[:1] in "-*|>#")
        if plain and joins and lines:
            lines[-1] += f" {line.strip()}"
        else:
            lines.append(line.rstrip())
        in_code ^= fence
        joins = plain and not line.rstrip().endswith(":")
    return "\n".join(lines)


def _append_parameters(text: Text, described: Description) -> None:
    if not described.parameters:
        return
    text.append("\nHyper-parameters\n", "bold")
    for one in described.parameters:
        text.append(f"  {safe_line(one.name)}", "bold")
        default = "required" if one.required else f"default {one.default!r}"
        text.append(f"  {safe_line(one.type)}, {safe_line(default)}\n")
        if one.help:
            text.append(f"    {safe_line(' '.join(one.help.split()))}\n")


def _append_fields(text: Text, fields: Iterable[tuple[str, str]]) -> None:
    text.append("\n")
    for name, value in fields:
        text.append(f"{name:13}", "bold")
        text.append(f"{safe_line(value)}\n")


def _facts_of(component: Component, described: Description | None, withheld: str | None) -> list[tuple[str, str]]:
    facts = []
    if described is not None:
        facts += [
            ("tasks", ", ".join(described.tasks)),
            ("provides", ", ".join(described.provides)),
            ("loss", "its own, and no other" if described.own_loss else described.loss or ""),
            ("optimizer", described.optimizer or ""),
            ("metrics", ", ".join(described.metrics)),
            *(("reference", reference) for reference in described.references),
        ]
    facts += [
        ("from", f"{component.distribution} {component.version}"),
        ("target", component.target),
        ("source", described.source or "unknown" if described is not None else ""),
        ("state", "being described" if described is None and component.fault is None else "ok"),
    ]
    if withheld is not None:
        facts[-1] = ("state", "not used")
    elif component.fault is not None or (described is not None and described.broken):
        facts[-1] = ("state", "broken")
    return [(name, value) for name, value in facts if value]
