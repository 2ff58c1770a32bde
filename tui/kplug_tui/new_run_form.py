"""The form for a new run without its screen: what was chosen and typed, and the run spec that it makes."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from kplug.catalog.component import Component
from kplug.catalog.description import Description
from kplug.catalog.discovery import components
from kplug.catalog.parameters import Parameter, Schema, parse_value
from kplug.catalog.resolution import resolve
from kplug.errors import KplugError
from kplug.runs.completion import LISTS, SECTIONS, default_optimizer
from kplug_tui.run_fields import FOUND, run_parameters
from kplug_tui.spec_text import command_of, text_of

Place = tuple[str | int, ...]
"""Where a field stands: `("model",)`, `("model", "latent_dim")`, `("metrics", 3, "k")`, `("epochs",)`."""


@dataclass
class Part:
    """A place for a component, and the texts typed for each that has stood there.

    Attributes:
        kind: Of which kind the component is.
        name: What it is called; empty if none was chosen.
        texts: Component's id -> parameter -> what was typed.
        unfolded: Whether all of its parameters are shown.
    """

    kind: str
    name: str = ""
    texts: dict[str, dict[str, str]] = field(default_factory=dict)
    unfolded: bool = False


class NewRunForm:
    """What was chosen and typed so far.

    Args:
        backend: The backend to begin with.
    """

    def __init__(self, backend: str = "tensorflow") -> None:
        self.descriptions: dict[Component, Description] = {}
        self._backend = backend
        self._resolved: dict[tuple[str, str], Component | None] = {}
        self._serial = 0
        self.clear()

    def clear(self) -> None:
        """Begin anew."""
        self.sections = {section: Part(kind, unfolded=section == "model") for section, kind in SECTIONS.items()}
        self.lists: dict[str, dict[int, Part]] = {name: {} for name in LISTS}
        self.run_texts: dict[str, str] = {} if self._backend == "tensorflow" else {"backend": self._backend}

    def unknown(self) -> list[Component]:
        """Return the components whose descriptions have yet to arrive."""
        kinds = {*SECTIONS.values(), *LISTS.values()}
        offered = [one for one in components() if one.kind in kinds]
        # Those that are named as `path/to/file.py:Object` are in no list.
        chosen = [self.component(part) for _, part in self.parts()]
        every = dict.fromkeys([*offered, *(one for one in chosen if one is not None)])
        return [one for one in every if one not in self.descriptions]

    def component(self, part: Part) -> Component | None:
        """Return the component of a part; the optimizer that the model brings where none was chosen."""
        name = part.name
        if not name and part.kind == "optimizer":
            model = self.model
            name = default_optimizer(model) if model else ""
        return self.called(part.kind, name) if name else None

    def called(self, kind: str, name: str) -> Component | None:
        """Return the component of a kind and name, if there is one."""
        if (kind, name) not in self._resolved:
            try:
                self._resolved[kind, name] = resolve(name, kind)
            except KplugError:
                self._resolved[kind, name] = None
        return self._resolved[kind, name]

    def description(self, part: Part) -> Description | None:
        """Return the description of a part's component, if it has one and it is known."""
        component = self.component(part)
        return self.descriptions.get(component) if component else None

    @property
    def model(self) -> Description | None:
        """The description of the model, if it is chosen and known."""
        return self.description(self.sections["model"])

    @property
    def dataset(self) -> Description | None:
        """The description of the data set, if it is chosen and known."""
        return self.description(self.sections["dataset"])

    def part(self, place: Place) -> Part | None:
        """Return the part that a place is, or is in."""
        if place[0] in self.sections:
            return self.sections[str(place[0])]
        if len(place) > 1:
            return self.lists[str(place[0])].get(int(place[1]))
        return None

    def parts(self) -> Iterator[tuple[Place, Part]]:
        """Give all parts with their places, those of lists too, in the order in which they are shown."""
        yield from (((section,), part) for section, part in self.sections.items())
        yield from (((name, serial), part) for name, listed in self.lists.items() for serial, part in listed.items())

    def texts(self, part: Part) -> Mapping[str, str]:
        """Return what was typed for a part's component."""
        return part.texts.get(self._owner(part), {})

    def text(self, place: Place) -> str:
        """Return what stands in a field."""
        part = self.part(place)
        if part is None:
            return self.run_texts.get(str(place[0]), "")
        return part.name if isinstance(place[-1], int) or len(place) == 1 else self.texts(part).get(place[-1], "")

    def parameter(self, place: Place) -> Parameter | None:
        """Return the hyper-parameter that stands at a place."""
        part = self.part(place)
        if part is None:
            return run_parameters().get(str(place[0]))
        description = self.description(part)
        return next((one for one in description.parameters if one.name == place[-1]), None) if description else None

    def schema_of(self, kind: str, name: str, parameter: str) -> Schema | None:
        """Return the schema of a component's parameter; `None` as long as it is not known."""
        component = self.called(kind, name)
        description = self.descriptions.get(component) if component else None
        found = [one for one in description.parameters if one.name == parameter] if description else []
        return found[0].schema if found else None

    def choose(self, place: Place, name: str) -> Place:
        """Choose a component for a place, or none by an empty name.

        Returns:
            The place of the component: another one where it is new in a list, or has gone from one.
        """
        head = str(place[0])
        if head in self.lists and len(place) == 1:
            if not name:
                return place
            self._serial += 1
            self.lists[head][self._serial] = Part(LISTS[head], name)
            return (head, self._serial)
        if head in self.lists and not name:
            self.lists[head].pop(int(place[1]), None)
            return (head,)
        part = self.part(place)
        if part is not None:
            part.name = name
        return place

    def set(self, place: Place, text: str) -> None:
        """Set what is typed in a field; an empty text means the default."""
        part = self.part(place)
        texts = self.run_texts if part is None else part.texts.setdefault(self._owner(part), {})
        if text:
            texts[str(place[-1])] = text
        else:
            texts.pop(str(place[-1]), None)

    def state(self) -> str:
        """Return all that was chosen and typed, to compare it with what it was."""
        parts = [[place[0], part.name, dict(self.texts(part))] for place, part in self.parts()]
        return json.dumps([parts, self.run_texts], sort_keys=True)

    def values(self) -> dict[str, Any]:
        """Return the fields of a run spec, as they stand in the form: nothing is checked."""
        values: dict[str, Any] = {}
        for place, part in self.parts():
            texts = self.texts(part)
            component = self.component(part)
            name = component.id if component else part.name
            if not name or not (part.name or texts):
                continue
            asked: dict[str, Any] = {"name": name}
            if texts:
                asked["parameters"] = {
                    key: parse_value(text, self.schema_of(part.kind, name, key)) for key, text in texts.items()
                }
            if len(place) > 1:
                values.setdefault(str(place[0]), []).append(asked)
            else:
                values[str(place[0])] = asked
        for key, parameter in run_parameters().items():
            text = self.run_texts.get(key, "").strip()
            if text and key != "max_running":
                value = parse_value(text, parameter.schema)
                if value is not None or parameter.default is not None:
                    values[key] = value
        return {**values, "backend": values.get("backend", "tensorflow")}

    @property
    def max_running(self) -> int | None:
        """How many runs may go on at once, if that was said."""
        value = parse_value(self.run_texts.get("max_running", "").strip() or "null", None)
        return value if isinstance(value, int) and not isinstance(value, bool) else None

    def command(self, *options: str) -> str:
        """Return the command that asks for the same.

        Args:
            *options: More options of `kplug train`.

        Raises:
            CannotBeSaidError: If its options have no words for it.
        """
        limit = [] if self.max_running is None else ["--max-running", str(self.max_running)]
        values = self.values()
        if values["backend"] == (os.environ.get("KERAS_BACKEND") or "tensorflow"):
            del values["backend"]
        return command_of(values, self.schema_of, [*limit, *options])

    def fill(self, values: Mapping[str, Any]) -> list[str]:
        """Fill the form from a run spec.

        Args:
            values: Its fields, which may be damaged.

        Returns:
            What cannot be used, in words.
        """
        self.clear()
        problems: list[str] = []
        if "backend" in values:
            self.run_texts.clear()
        for name, value in values.items():
            if name in self.sections:
                if value is not None:
                    problems += self._fill(name, self.sections[name], value)
            elif name in self.lists:
                for one in value if isinstance(value, list) else [value]:
                    part = Part(LISTS[name])
                    problems += self._fill(name, part, one)
                    if part.name:
                        self._serial += 1
                        self.lists[name][self._serial] = part
            elif name in run_parameters():
                parameter = run_parameters()[name]
                if value != parameter.default:
                    self.run_texts[name] = text_of(value, parameter.schema)
            elif name not in FOUND:
                problems.append(f"{name} is no field of a run.")
        return problems

    def _fill(self, name: str, part: Part, value: Any) -> list[str]:
        given = {"name": value} if isinstance(value, str) else value
        if not isinstance(given, Mapping) or not isinstance(given.get("name"), str) or not given["name"]:
            return [f"{name} names no component."]
        part.name = given["name"]
        parameters = given.get("parameters") or {}
        if not isinstance(parameters, Mapping):
            return [f"The parameters of {name} cannot be read."]
        texts = {key: text_of(one, self.schema_of(part.kind, part.name, key)) for key, one in parameters.items()}
        if texts:
            part.texts[self._owner(part)] = texts
        return []

    def _owner(self, part: Part) -> str:
        component = self.component(part)
        return component.id if component else part.name
