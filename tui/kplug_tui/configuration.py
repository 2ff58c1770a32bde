"""What a run was asked to do and where it ran, in words."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from kplug.plain_text import moment, safe_line
from kplug_tui.detail import RunDetail

_COMPONENTS = ("model", "dataset", "loss", "optimizer", "schedule", "launcher")
_LISTS = ("metrics", "callbacks")


@dataclass(frozen=True)
class Section:
    """Facts that belong together.

    Attributes:
        title: What they are of.
        rows: Names and values, safe to show.
    """

    title: str
    rows: tuple[tuple[str, str], ...]


def configuration(detail: RunDetail) -> list[Section]:
    """Return what was asked, what was decided, and where it ran; what is not known is left out."""
    found = []
    for title, rows in _sections(detail):
        shown = tuple((safe_line(name), _words(value)) for name, value in rows if value not in (None, "", [], {}))
        if shown:
            found.append(Section(title, shown))
    return found


def _sections(detail: RunDetail) -> Iterator[tuple[str, list[tuple[str, Any]]]]:
    spec, status, summary = detail.spec, detail.status, detail.summary
    yield (
        "Run",
        [
            ("id", detail.id),
            ("name", summary.get("name")),
            ("tags", " ".join(map(str, summary.get("tags") or ()))),
            ("note", summary.get("note")),
            ("clone of", summary.get("parent")),
            ("directory", str(detail.run.directory.path)),
            ("created", moment(status.get("created"))),
            ("started", moment(status.get("started"))),
            ("ended", moment(status.get("ended"))),
            ("command", _command(status.get("command"))),
            ("in", status.get("cwd")),
            ("waiting for", status.get("waiting_for")),
        ],
    )
    if not spec:
        yield "What was asked", [("", f"{detail.run.directory.spec.name} cannot be read.")]
    for section in _COMPONENTS:
        if isinstance(spec.get(section), Mapping):
            yield section.capitalize(), list(_component(spec[section]))
    for section in _LISTS:
        rows = [row for one in spec.get(section) or () if isinstance(one, Mapping) for row in _component(one)]
        yield section.capitalize(), rows
    others = {name: value for name, value in spec.items() if name not in {*_COMPONENTS, *_LISTS, "name"}}
    yield "Training", list(others.items())
    yield "Problems", [("", problem) for problem in detail.problems]
    yield "Execution", list(_mapping(status.get("execution")).items())
    yield "Test", list(_mapping(status.get("test_metrics")).items())
    started: Mapping[str, Any] = next(
        (one for one in reversed(detail.events) if one.get("event") in {"started", "resumed"}), {}
    )
    yield (
        "Environment",
        [
            ("host", status.get("host")),
            ("process", status.get("pid")),
            ("platform", started.get("platform")),
            ("processor", started.get("processor")),
            ("Python", started.get("python")),
            ("interpreter", started.get("executable")),
            *_mapping(started.get("versions")).items(),
            ("git", _git(started.get("git"))),
            ("data SHA-256", status.get("data_sha256")),
        ],
    )


def _component(component: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    yield "component", component.get("name")
    for name, value in _mapping(component.get("parameters")).items():
        yield f"  {name}", value if value is not None else "none"


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _command(words: Any) -> str:
    return shlex.join(map(str, words)) if isinstance(words, list) else ""


def _git(git: Any) -> str:
    if not isinstance(git, Mapping):
        return ""
    return f"{git.get('commit')}{', with changes that are not committed' if git.get('dirty') else ''}"


def _words(value: Any) -> str:
    if isinstance(value, str):
        return safe_line(value)
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:g}"
    return safe_line(json.dumps(value, ensure_ascii=False, default=str))
