"""What `kplug plugins check` does with a plugin's components, in a process of its own: import, look at, and try each.

It is asked with the namespace and `[kind, name, target]` of each component, by `kplug.child_process`. One JSON line per
finding is appended to the file for the result, and one before each component, so that what it prints cannot be mistaken
for a finding and what was found before a crash is kept.
"""

from __future__ import annotations

import inspect
import json
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import keras

from kplug.catalog.facts import facts_of
from kplug.catalog.inspection import learn
from kplug.catalog.loading import import_target
from kplug.catalog.parameters import Parameter, check_parameters
from kplug.errors import ParameterError
from kplug.testing.trials import NotTriedError, tried

OK, WARNING, ERROR = "ok", "warning", "error"
Found = tuple[str, str, str]
"""Level, check and message."""

_KERAS_PARAMETERS = {"name", "dtype", "reduction", "trainable"}
_SAVED_KINDS = {"loss", "layer", "metric", "model"}


def main(request: dict[str, Any], result: Path) -> None:
    """Look at the components that are asked for; see the module's docstring."""

    def write(record: dict[str, Any]) -> None:
        with result.open("a", encoding="utf-8") as file:
            file.write(json.dumps(record) + "\n")

    for index, (kind, name, target) in enumerate(request["components"]):
        write({"begun": index})
        package = target.partition(":")[0].partition(".")[0]
        owner = package if package in request["borrowed"] else None
        for level, check, message in _looked_at(kind, name, target, request["namespace"], owner):
            write({"index": index, "level": level, "check": check, "message": message})


def _looked_at(kind: str, name: str, target: str, namespace: str, owner: str | None) -> Iterator[Found]:
    # A plugin may raise anything, SystemExit and KeyboardInterrupt included.
    try:
        component = import_target(target)
        learned = learn(kind, component)
    except BaseException as error:  # noqa: BLE001
        yield ERROR, "import", _one_line(error)
        return
    if owner is not None:
        yield OK, "import", f"it is {owner}'s; what this plugin's author cannot mend is not looked at"
        return
    parameters = [Parameter(**one) for one in learned["parameters"]]
    yield from _documentation(learned["summary"], parameters)
    yield from _parameters(name, parameters, facts_of(component).example)
    if kind in _SAVED_KINDS:
        yield _serialization(component, namespace)
    yield from _backends()
    try:
        yield from _tried(kind, component, parameters)
    except BaseException as error:  # noqa: BLE001
        yield ERROR, "trial", _one_line(error)


def _one_line(error: BaseException) -> str:
    text = " ".join(str(error).split())
    text = text if len(text) <= 600 else f"{text[:600]} …"
    if isinstance(error, AssertionError):
        return text
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def _documentation(summary: str, parameters: list[Parameter]) -> Iterator[Found]:
    if not summary:
        yield ERROR, "documentation", "it has no docstring, and nobody will know what it is for"
        return
    silent = [one.name for one in parameters if not one.help and one.name not in _KERAS_PARAMETERS]
    if silent:
        yield WARNING, "documentation", f"the docstring's `Args:` says nothing of {', '.join(silent)}"
    else:
        yield OK, "documentation", summary


def _parameters(name: str, parameters: list[Parameter], example: Mapping[str, Any]) -> Iterator[Found]:
    wrong = False
    for one in parameters:
        if one.schema is None:
            wrong = True
            level = ERROR if one.required else WARNING
            yield level, "hyper-parameters", f"{one.name} takes a Python object, which no run spec can hold"
        elif one.schema == {} and one.name not in _KERAS_PARAMETERS:
            wrong = True
            yield WARNING, "hyper-parameters", f"{one.name} has no type: annotate it, and wrong values are refused"
    defaults = {
        one.name: one.default for one in parameters if one.schema and not one.required and one.default is not None
    }
    try:
        check_parameters(name, name, parameters, defaults)
    except ParameterError as error:
        wrong = True
        yield ERROR, "hyper-parameters", f"a default is not what its own annotation allows: {error}"
    try:
        check_parameters(name, name, parameters, example)
    except ParameterError as error:
        wrong = True
        yield ERROR, "hyper-parameters", f"@kplug.component(example=…) has what it does not take: {error}"
    if not wrong:
        yield OK, "hyper-parameters", ", ".join(f"{one.name}: {one.type}" for one in parameters) or "none"


def _serialization(component: Any, namespace: str) -> Found:
    """Say under which name Keras saves it: models that use it are loaded by that name."""
    registered = keras.saving.get_registered_name(component)
    expected = f"{namespace}>"
    if component.__module__.partition(".")[0] == "keras" or registered.startswith(expected):
        return OK, "serialization", registered
    remedy = f'Decorate it with @keras.saving.register_keras_serializable(package="{namespace}")'
    if ">" in registered:
        return ERROR, "serialization", f"it is registered as {registered}, where no one looks for it. {remedy}"
    return WARNING, "serialization", f"it is registered only while kplug loads it. {remedy}"


def _backends() -> Iterator[Found]:
    """Say which backends were imported besides the one that Keras computes with; JAX it imports itself."""
    others = [one for one in ("tensorflow", "torch") if one in sys.modules and one != keras.backend.backend()]
    if others:
        yield ERROR, "import", f"it imports {', '.join(others)} besides Keras' backend. Compute with `keras.ops`"


def _tried(kind: str, component: Callable[..., Any], parameters: list[Parameter]) -> Iterator[Found]:
    check = f"check_{kind}" if kind in {*_SAVED_KINDS, "dataset"} else "trial"
    example = facts_of(component).example
    needed = [one.name for one in parameters if one.required and one.name not in example]
    if kind != "model" and needed:
        remedy = f"Say what it can be tried with: @kplug.component(example={{{needed[0]!r}: …}})"
        yield WARNING, check, f"not tried: it needs {', '.join(needed)}. {remedy}"
        return
    if kind in {"loss", "metric"} and not inspect.isclass(component):
        yield WARNING, check, "not tried: it is a function. A class can be given hyper-parameters, saved and checked"
        return
    try:
        note = tried(kind, component, example)
    except NotTriedError as reason:
        yield WARNING, check, f"not tried: {reason}"
    else:
        yield (WARNING, check, note) if note else (OK, check, "")
