"""Typer commands that start quickly.

Typer coerces every value with pydantic, whose import takes longer than all that `kplug list` does. Text and flags need
no coercion, so these parameters get Typer's own pass-through instead; the others are coerced when they are given.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from typer.core import TyperCommand, TyperGroup

try:
    from typer._coercion import PassThroughRuntimeParam, RuntimeParam, build_runtime_param
except ImportError:  # another Typer: the commands work as well, only slower
    PassThroughRuntimeParam = RuntimeParam = None  # type: ignore[assignment,misc]

_PLAIN = (str, bool)


class QuickCommand(TyperCommand):
    """A command whose text parameters and flags are taken as they are."""

    def get_params(self, ctx: Any) -> list:
        """Return the parameters, help among them."""
        return _taken_as_they_are(super().get_params(ctx))


class QuickGroup(TyperGroup):
    """A group of commands with parameters like those of `QuickCommand`."""

    def get_params(self, ctx: Any) -> list:
        """Return the parameters, help among them."""
        return _taken_as_they_are(super().get_params(ctx))


def _coerced_when_given(descriptor: Any) -> Any:
    class CoercedWhenGiven(RuntimeParam):
        def _coerce_value(self, value: Any, param: Any, ctx: Any) -> Any:
            return build_runtime_param(descriptor)._coerce_value(value, param=param, ctx=ctx)

    return CoercedWhenGiven(parameter_info=descriptor.parameter_info, annotation=descriptor.annotation)


def _taken_as_they_are(parameters: Iterable[Any]) -> list:
    parameters = list(parameters)
    for parameter in parameters:
        descriptor = getattr(parameter, "type_descriptor", None)
        if PassThroughRuntimeParam is None or descriptor is None:
            continue
        if descriptor.annotation in _PLAIN:
            parameter._runtime_param = PassThroughRuntimeParam(
                parameter_info=descriptor.parameter_info, annotation=descriptor.annotation
            )
        else:
            parameter._runtime_param = _coerced_when_given(descriptor)
    return parameters
