"""A Typer command that starts quickly.

Typer coerces every value with pydantic, whose import takes longer than all that `kplug list` does. Text needs no
coercion, so text parameters get Typer's own pass-through instead.
"""

from __future__ import annotations

from typing import Any

from typer.core import TyperCommand

try:
    from typer._coercion import PassThroughRuntimeParam
except ImportError:  # another Typer: the commands work as well, only slower
    PassThroughRuntimeParam = None  # type: ignore[assignment,misc]


class QuickCommand(TyperCommand):
    """A command whose plain text parameters are taken as they are typed."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for parameter in self.params:
            descriptor = getattr(parameter, "type_descriptor", None)
            if PassThroughRuntimeParam is not None and getattr(descriptor, "annotation", None) is str:
                parameter._runtime_param = PassThroughRuntimeParam(  # type: ignore[attr-defined]
                    parameter_info=descriptor.parameter_info, annotation=str
                )
