"""What an inspection process does: import one plugin's components and write down what it learns.

It is asked for a list of `[kind, name, target]` by `kplug.child_process`. One JSON line per component is appended to
the file for the result, so that what a plugin prints cannot be mistaken for one and what was learned before a crash is
kept.
"""

from __future__ import annotations

import inspect
import json
import os
import sys
import typing
from collections.abc import Callable
from pathlib import Path
from typing import Any

from kplug.catalog.facts import facts_of
from kplug.catalog.keras_kinds import wrong_kind
from kplug.catalog.loading import import_target
from kplug.catalog.parameters import Parameter

_FUNCTION_DATA = {"loss": 2, "metric": 2}
"""How many leading parameters of a function are data, by kind: `(y_true, y_pred, ...)`."""

_BY_TYPE = {bool: "boolean", int: "integer", float: "number", str: "string", list: "array", tuple: "array"}


def main(requests: list[list[str]], result: Path) -> None:
    """Inspect the components that are asked for; see the module's docstring."""
    with result.open("a", encoding="utf-8", buffering=1) as file:
        for kind, name, target in requests:
            file.write(json.dumps({"begun": [kind, name]}) + "\n")
            # A plugin may raise anything at import, SystemExit and KeyboardInterrupt included.
            try:
                learned = {"status": "ok", **learn(kind, import_target(target)), "imports": _other_backends()}
                line = json.dumps({"kind": kind, "name": name, **learned})
            except BaseException as error:  # noqa: BLE001
                line = json.dumps({"kind": kind, "name": name, "status": "broken", "error": _one_line(error)})
            file.write(line + "\n")


def _other_backends() -> list[str]:
    """Return the backends that have been imported besides the one that Keras computes with; JAX it imports itself."""
    keras = sys.modules.get("keras")
    backend = os.environ.get("KERAS_BACKEND") or "tensorflow" if keras is None else keras.backend.backend()
    return [name for name in ("tensorflow", "torch") if name in sys.modules and name != backend]


def learn(kind: str, described: Any) -> dict[str, Any]:
    """Return what can be learned of an imported component, as JSON.

    Raises:
        TypeError: If the object cannot be a component of that kind.
    """
    if not callable(described):
        raise TypeError(f"a component must be a class or a function, not {type(described).__name__}")
    wrong = wrong_kind(kind, described)
    if wrong is not None:
        raise TypeError(wrong)
    facts = facts_of(described)
    documentation = _documentation(described)
    helps = _parameter_helps(described)
    return {
        "summary": documentation.partition("\n\n")[0].replace("\n", " "),
        "documentation": documentation,
        "parameters": [vars(parameter) for parameter in parameters_of(kind, described, helps)],
        "tasks": list(facts.tasks),
        "provides": list(facts.provides),
        "loss": facts.loss,
        "own_loss": facts.own_loss,
        "optimizer": facts.optimizer,
        "metrics": list(facts.metrics),
        "references": list(facts.references),
        "source": _source(described),
    }


def parameters_of(kind: str, described: Callable, helps: dict[str, str]) -> list[Parameter]:
    """Return the hyper-parameters: the keyword parameters of a constructor or function.

    Args:
        kind: The component's kind; a loss or metric function's first two parameters are data.
        described: The class or function.
        helps: What the docstring says of each parameter.
    """
    signature = inspect.signature(described)
    hints = _type_hints(described)
    taken = [
        parameter
        for parameter in signature.parameters.values()
        if parameter.kind in {parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY}
    ]
    if not inspect.isclass(described):
        taken = taken[_FUNCTION_DATA.get(kind, 0) :]
    return [_parameter(parameter, hints, helps.get(parameter.name, "")) for parameter in taken]


def _parameter(parameter: inspect.Parameter, hints: dict[str, Any], text: str) -> Parameter:
    required = parameter.default is inspect.Parameter.empty
    default = None if required else parameter.default
    if parameter.name in hints:
        schema = _schema_of_annotation(hints[parameter.name])
    elif parameter.annotation is not inspect.Parameter.empty:
        schema = {}
    else:
        schema = _schema_of_default(default)
    try:
        default = json.loads(json.dumps(default, allow_nan=False))
    except (TypeError, ValueError):
        default = repr(default)
    return Parameter(parameter.name, schema, required, default, text)


def _schema_of_annotation(annotation: Any) -> dict[str, Any] | None:
    from pydantic import PydanticUserError, TypeAdapter
    from pydantic.errors import PydanticInvalidForJsonSchema
    from pydantic_core import SchemaError

    try:
        return TypeAdapter(annotation).json_schema()
    except (PydanticInvalidForJsonSchema, PydanticUserError, SchemaError):
        pass
    members = typing.get_args(annotation)
    if members and type(None) in members:
        # `SomeClass | None`: from JSON it can only be left out.
        others = [_schema_of_annotation(member) for member in members if member is not type(None)]
        known = [schema for schema in others if schema is not None]
        return {"anyOf": [*known, {"type": "null"}]} if known else None
    return None


def _schema_of_default(default: Any) -> dict[str, Any]:
    name = _BY_TYPE.get(type(default))
    return {} if name is None else {"type": name}


def _type_hints(described: Any) -> dict[str, Any]:
    function = described.__init__ if inspect.isclass(described) else described
    try:
        return typing.get_type_hints(function, include_extras=True)
    except (NameError, TypeError, AttributeError):
        return {}


def _documentation(described: Any) -> str:
    return inspect.cleandoc(described.__doc__ or "")


def _parameter_helps(described: Any) -> dict[str, str]:
    import docstring_parser

    texts = [described.__doc__ or ""]
    if inspect.isclass(described):
        texts.append(described.__init__.__doc__ or "")
    helps: dict[str, str] = {}
    for text in texts:
        try:
            parsed = docstring_parser.parse(inspect.cleandoc(text), docstring_parser.DocstringStyle.GOOGLE)
        except docstring_parser.ParseError:
            continue
        for parameter in parsed.params:
            helps.setdefault(parameter.arg_name, " ".join((parameter.description or "").split()))
    return helps


def _source(described: Any) -> str | None:
    try:
        file = inspect.getsourcefile(described)
        line = inspect.getsourcelines(described)[1]
    except (TypeError, OSError):
        return None
    return None if file is None else f"{file}:{line}"


def _one_line(error: BaseException) -> str:
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text}" if text else type(error).__name__
