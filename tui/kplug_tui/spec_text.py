"""A run spec as text: the command that asks for it, a file that holds it, and a value as a person types it."""

from __future__ import annotations

import json
import re
import shlex
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from kplug.catalog.parameters import Schema, parse_value
from kplug.plain_text import safe_line
from kplug.runs.completion import LISTS, SECTIONS

SchemaOf = Callable[[str, str, str], Schema | None]
"""Gives the schema of a parameter: of which kind of component, of which name, and which parameter."""

_FLAGS = {
    "dataset": "--data",
    "loss": "--loss",
    "optimizer": "--optimizer",
    "schedule": "--schedule",
    "launcher": "--launcher",
}
_LIST_FLAGS = {"metrics": "--metric", "callbacks": "--callback"}
_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")


class CannotBeSaidError(ValueError):
    """What was asked cannot be written so; the message says what of it."""


def text_of(value: Any, schema: Schema | None) -> str:
    """Return a value as a person types it, so that `parse_value` reads it again."""
    if isinstance(value, str) and value and safe_line(value) == value:
        read = parse_value(value, schema)
        if isinstance(read, str) and read == value:
            return value
    unsafe = isinstance(value, str) and safe_line(value) != value
    return json.dumps(value, ensure_ascii=unsafe or not _shows(value))


def command_of(values: Mapping[str, Any], schema_of: SchemaOf, options: Sequence[str] = ()) -> str:
    """Return the command that asks for a run, ready for a shell.

    Args:
        values: The fields of a run spec, as `NewRunForm.values` gives them.
        schema_of: Gives the parameters' schemas.
        options: More options of `kplug train`.

    Raises:
        CannotBeSaidError: If the options have no words for it.
    """
    words = ["kplug", "train"]
    settings: list[str] = []
    for section, kind in SECTIONS.items():
        if section not in values:
            continue
        name, parameters = values[section]["name"], values[section].get("parameters", {})
        words += [*([_FLAGS[section]] if section in _FLAGS else []), _called(name)]
        settings += _settings(section, kind, name, parameters, schema_of)
    settings += _list_settings(values, words, schema_of)
    for field, value in values.items():
        if field in SECTIONS or field in LISTS:
            continue
        option = field.replace("_", "-")
        if field == "jit" and value is not None:
            words.append("--jit" if value else "--no-jit")
        elif value is None:
            raise CannotBeSaidError(f"{field} = null has no option")
        else:
            words.append(f"--{option}={value}" if str(value).startswith("-") else f"--{option}")
            words += [] if str(value).startswith("-") else [str(value)]
    for setting in settings:
        words += ["--set", setting]
    return shlex.join([*words, *options])


def toml_of(values: Mapping[str, Any]) -> str:
    """Return a run spec as a TOML file.

    Raises:
        CannotBeSaidError: If TOML has no words for it, as for `null`.
    """
    lines, tables = [], []
    for field, value in values.items():
        if field in SECTIONS:
            if value.get("parameters"):
                tables.append(_table(field, value, f"[{field}]"))
            else:
                lines.append(f"{field} = {_toml(value['name'])}")
        elif field in LISTS:
            if any(one.get("parameters") for one in value):
                tables += [_table(field, one, f"[[{field}]]") for one in value]
            else:
                lines.append(f"{field} = {_toml([one['name'] for one in value])}")
        else:
            lines.append(f"{field} = {_toml(value)}")
    return "\n".join([*lines, *(f"\n{table}" for table in tables)]).lstrip("\n") + "\n"


def json_of(values: Mapping[str, Any]) -> str:
    """Return a run spec as a JSON file."""
    return json.dumps(values, indent=2) + "\n"


def _list_settings(values: Mapping[str, Any], words: list[str], schema_of: SchemaOf) -> list[str]:
    chosen = [(field, one) for field in LISTS for one in values.get(field, ())]
    ids = Counter(one["name"] for _, one in chosen)
    bare = Counter(one["name"].rpartition("/")[2] for _, one in chosen)
    settings = []
    for field, one in chosen:
        name, parameters = one["name"], one.get("parameters", {})
        words += [_LIST_FLAGS[field], _called(name)]
        if parameters and ids[name] > 1:
            raise CannotBeSaidError(f"the parameters of two {_called(name)} have no option of their own")
        unique = bare[name.rpartition("/")[2]] == 1 and _called(name) not in {*SECTIONS, "data"}
        settings += _settings(_called(name) if unique else name, LISTS[field], name, parameters, schema_of)
    return settings


def _settings(section: str, kind: str, name: str, parameters: Mapping[str, Any], schema_of: SchemaOf) -> list[str]:
    return [f"{section}.{key}={text_of(value, schema_of(kind, name, key))}" for key, value in parameters.items()]


def _called(name: str) -> str:
    """Return what to call a component: kplug's own need no namespace."""
    return name.removeprefix("kplug/")


def _table(field: str, component: Mapping[str, Any], head: str) -> str:
    lines = [head, f"name = {_toml(component['name'])}"]
    if component.get("parameters"):
        lines.append(f"[{field}.parameters]")
        lines += [f"{_key(key)} = {_toml(value)}" for key, value in component["parameters"].items()]
    return "\n".join(lines)


def _toml(value: Any) -> str:
    if value is None:
        raise CannotBeSaidError("TOML has no null")
    if isinstance(value, str):
        if any("\ud800" <= sign <= "\udfff" for sign in value):
            raise CannotBeSaidError("TOML has no word for half a character")
        return "".join(
            sign if safe_line(sign) == sign else f"\\u{ord(sign):04x}" for sign in json.dumps(value, ensure_ascii=False)
        )
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{_key(key)} = {_toml(one)}" for key, one in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(_toml, value)) + "]"
    return json.dumps(value)


def _key(key: str) -> str:
    return key if _BARE_KEY.fullmatch(key) else _toml(key)


def _shows(value: Any) -> bool:
    """Say whether all text in a value can be shown as it is."""
    text = json.dumps(value, ensure_ascii=False)
    return safe_line(text) == text
