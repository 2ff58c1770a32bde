"""Hyper-parameters: what a component takes, and whether given values are what it takes.

A parameter's type travels as a JSON schema, so that values are checked without importing the component.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from kplug.errors import ParameterError

JSON = Any
"""A value that JSON can hold."""

Schema = dict[str, Any]


@dataclass(frozen=True)
class Parameter:
    """One hyper-parameter of a component.

    Attributes:
        name: The keyword it is passed by.
        schema: JSON schema of the values it takes; `None` if it takes Python objects only.
        required: Whether it has no default.
        default: Its default, if JSON can hold it; else the default's `repr`.
        help: What the docstring says of it.
    """

    name: str
    schema: Schema | None
    required: bool = False
    default: JSON = None
    help: str = ""

    @property
    def type(self) -> str:
        """The type and limits, in words: `"int > 0"`, `"'bernoulli' or 'gaussian'"`."""
        return "a Python object" if self.schema is None else schema_in_words(self.schema)


def check_parameters(
    owner: str, section: str, parameters: Iterable[Parameter], values: Mapping[str, JSON]
) -> dict[str, JSON]:
    """Check values against a component's hyper-parameters.

    Args:
        owner: The component, for messages: `"model vae"`.
        section: What a person writes before the dot: `"model"` in `model.latent_dim`.
        parameters: What the component takes.
        values: What was given; anything that JSON can hold.

    Returns:
        The values, with whole floats made integers where an integer is due, and integers floats where a float is.

    Raises:
        ParameterError: If a name is unknown or a value does not fit. Every problem has its own line.
    """
    by_name = {parameter.name: parameter for parameter in parameters}
    problems: list[str] = []
    checked: dict[str, JSON] = {}
    for name, value in values.items():
        parameter = by_name.get(name)
        if parameter is None:
            problems.append(_unknown_parameter(owner, section, name, list(by_name)))
        elif parameter.schema is None:
            problems.append(f"{section}.{name} of {owner} takes a Python object; set it from Python code.")
        elif not fits(value, parameter.schema):
            problems.append(
                f"{section}.{name} = {_shown(value)} is not possible for {owner}: expected {parameter.type}."
            )
        else:
            checked[name] = _as_number_due(value, parameter.schema)
    if problems:
        raise ParameterError("\n".join(problems))
    return checked


def fits(value: JSON, schema: Schema) -> bool:
    """Say whether a JSON value satisfies a JSON schema."""
    if isinstance(value, float) and not math.isfinite(value):
        return False
    import jsonschema_rs

    return bool(jsonschema_rs.is_valid(schema, value))


def parse_value(text: str, schema: Schema | None) -> JSON:
    """Read a value that a person typed: JSON where it is JSON that fits the schema, else the text itself.

    `True`, `False` and `None` are read as Python writes them. Text that is neither stays text, and
    `check_parameters` then says what was expected.
    """
    spelled = {"True": "true", "False": "false", "None": "null"}.get(text, text)
    try:
        value = json.loads(spelled)
    except ValueError:
        return text
    if schema is not None and not fits(value, schema) and fits(text, schema):
        return text
    return value


def schema_in_words(schema: Schema) -> str:
    """Put a JSON schema into a few words."""
    return _Words(schema.get("$defs", {})).of(schema)


_SIMPLE_TYPES = {"integer": "int", "number": "float", "boolean": "bool", "string": "str", "null": "null"}
_LIMITS = (
    ("exclusiveMinimum", ">"),
    ("minimum", ">="),
    ("exclusiveMaximum", "<"),
    ("maximum", "<="),
    ("multipleOf", "a multiple of"),
)


class _Words:
    def __init__(self, definitions: Mapping[str, Schema]) -> None:
        self._definitions = definitions

    def of(self, schema: Schema) -> str:
        if "$ref" in schema:
            return self.of(self._definitions.get(schema["$ref"].rpartition("/")[2], {}))
        if "const" in schema:
            return json.dumps(schema["const"])
        if "enum" in schema:
            return " or ".join(json.dumps(value) for value in schema["enum"])
        alternatives = schema.get("anyOf") or schema.get("oneOf")
        if alternatives:
            return " or ".join(dict.fromkeys(self.of(alternative) for alternative in alternatives))
        return self._of_type(schema)

    def _of_type(self, schema: Schema) -> str:
        kind = schema.get("type")
        if kind == "array":
            return self._of_array(schema)
        if kind == "object":
            values = schema.get("additionalProperties")
            return f"object of {self.of(values)}" if isinstance(values, dict) and values else "object"
        if kind is None:
            return "any JSON value"
        limits = [f"{sign} {schema[key]:g}" for key, sign in _LIMITS if key in schema]
        words = _SIMPLE_TYPES.get(kind, str(kind))
        return f"{words} {' and '.join(limits)}" if limits else words

    def _of_array(self, schema: Schema) -> str:
        prefix = schema.get("prefixItems")
        if prefix:
            return f"list of ({', '.join(self.of(item) for item in prefix)})"
        items = schema.get("items")
        return f"list of {self.of(items)}" if isinstance(items, dict) and items else "list"


def _unknown_parameter(owner: str, section: str, name: str, known: list[str]) -> str:
    import difflib

    close = difflib.get_close_matches(name, known, n=2, cutoff=0.6)
    if close:
        hint = f"Did you mean {' or '.join(f'{section}.{other}' for other in close)}?"
    elif known:
        hint = f"Its parameters are: {', '.join(known)}."
    else:
        hint = "It has no parameters."
    return f"{section}.{name} is unknown: {owner} has no parameter {name!r}. {hint}"


def _shown(value: JSON) -> str:
    text = json.dumps(value)
    return text if len(text) <= 80 else f"{text[:77]}..."


def _as_number_due(value: JSON, schema: Schema) -> JSON:
    """JSON has one kind of number, Python two: return the one that the parameter takes."""
    alternatives = schema.get("anyOf", [schema])
    if isinstance(value, list):
        items: Schema = next((one["items"] for one in alternatives if isinstance(one.get("items"), dict)), {})
        return [_as_number_due(item, items) for item in value]
    types = {alternative.get("type") for alternative in alternatives}
    if isinstance(value, float) and "integer" in types and "number" not in types:
        return int(value)
    if isinstance(value, int) and not isinstance(value, bool) and "number" in types and "integer" not in types:
        return float(value)
    return value
