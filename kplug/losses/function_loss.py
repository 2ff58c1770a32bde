"""What every loss class shares: a loss class is its loss function with the parameters set."""

from __future__ import annotations

import contextlib
import inspect
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any, ClassVar, Literal, get_type_hints

import keras
import numpy as np
from pydantic import TypeAdapter, ValidationError

from kplug.damaged_metadata import spare_pydantic

Reduction = Literal["sum_over_batch_size", "sum", "mean", "mean_with_sample_weight", "none"] | None

_SHARED_ARGUMENTS = """\
    reduction: How the samples' losses become one number, as in `keras.losses.Loss`.
    name: The loss's name.
    dtype: The dtype it is computed in; `keras.config.floatx()` by default."""
_DATA = ("y_true:", "y_pred:", "x:", "reconstruction:", "mean:", "log_var:")


class FunctionLoss(keras.losses.Loss):
    """A loss class made of a loss function `(y_true, y_pred, ...) -> one value per sample`.

    The class has the function's parameters in the same order, keeps each as an attribute of the same name, and saves
    them. A member names its function and states its parameters; it takes the documentation of the parameters, the
    errors and the references from the function:

    ```python
    class ContrastiveLoss(FunctionLoss, function=contrastive_loss):
        def __init__(self, margin=1.0, reduction="sum_over_batch_size", name="contrastive_loss", dtype=None):
            super().__init__(reduction, name, dtype, margin=margin)
    ```

    A function that can tell bad parameters before it has data does so in `check`, which takes some of them by name.
    """

    function: ClassVar[Callable[..., Any]]
    check: ClassVar[Callable[..., None] | None] = None

    def __init_subclass__(
        cls, function: Callable[..., Any] | None = None, check: Callable[..., None] | None = None, **options: Any
    ) -> None:
        super().__init_subclass__(**options)
        if function is None:  # a member's own subclass
            return
        cls.function = staticmethod(function)
        cls.check = None if check is None else staticmethod(check)
        cls.__doc__ = _documentation(cls, function)

    def __init__(self, reduction: Reduction, name: str, dtype: str | None, **parameters: Any) -> None:
        super().__init__(name=name, reduction=reduction, dtype=dtype)
        # Comparing what is no number fails, and the types then say which it was.
        with contextlib.suppress(TypeError):
            if self.check is not None:
                self.check(**{name: parameters[name] for name in inspect.signature(self.check).parameters})
        _check_types(type(self), parameters)
        self._parameter_names = tuple(parameters)
        for parameter, value in parameters.items():
            setattr(self, parameter, value)

    @property
    def _parameters(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in self._parameter_names}

    def call(self, y_true: Any, y_pred: Any) -> Any:
        return type(self).function(y_true, y_pred, **self._parameters)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), **{name: _saved(value) for name, value in self._parameters.items()}}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> FunctionLoss:
        loaded = {
            name: keras.saving.deserialize_keras_object(value) if isinstance(value, dict) else value
            for name, value in config.items()
        }
        return cls(**loaded)


def _check_types(cls: type, parameters: dict[str, Any]) -> None:
    """Refuse values of other types than the class states for its parameters.

    Raises:
        ValueError: Naming the parameter and its value.
    """
    for name, adapter in _adapters(cls).items():
        value = parameters.get(name)
        if name not in parameters or (hasattr(value, "shape") and not isinstance(value, np.ndarray | np.generic)):
            continue
        try:
            adapter.validate_python(_plain(value), strict=True)
        except ValidationError as error:
            reason = error.errors()[-1]["msg"].removeprefix("Input ")
            raise ValueError(f"`{name}` {reason}. Received: {name}={value!r}") from None


@cache
def _adapters(cls: Any) -> dict[str, TypeAdapter]:
    """Return what checks each parameter by its annotation; a class without annotations has none."""
    spare_pydantic()
    hints = get_type_hints(cls.__init__, include_extras=True)
    return {name: TypeAdapter(hints[name]) for name in inspect.signature(cls.__init__).parameters if name in hints}


def _plain(value: Any) -> Any:
    return value.tolist() if isinstance(value, np.ndarray | np.generic) else value


def _saved(value: Any) -> Any:
    if isinstance(value, np.ndarray | np.generic):
        return value.tolist()
    return keras.saving.serialize_keras_object(value) if callable(value) else value


def _documentation(cls: type, function: Callable[..., Any]) -> str:
    """Return the class's own text, its example last, with the function's sections between."""
    own = inspect.getdoc(cls) or ""
    text, example, code = own.partition("\nExample:\n")
    sections = dict(_sections(inspect.getdoc(function) or ""))
    parameters = _without_data(sections.get("Args:", ""))
    parts = [text.rstrip(), "Args:\n" + "\n".join(filter(None, [parameters, _SHARED_ARGUMENTS]))]
    parts += [f"{title}\n{sections[title]}" for title in ("Raises:", "References:") if title in sections]
    return "\n\n".join([*parts, f"{example.strip()}\n{code}"] if example else parts)


def _sections(documentation: str) -> Iterator[tuple[str, str]]:
    """Yield the titled sections of a docstring: the title, and the indented text under it."""
    title = ""
    lines: list[str] = []
    for line in documentation.splitlines():
        if line in {"Args:", "Returns:", "Raises:", "References:", "Example:"}:
            yield title, "\n".join(lines).rstrip()
            title, lines = line, []
        else:
            lines.append(line)
    yield title, "\n".join(lines).rstrip()


def _without_data(arguments: str) -> str:
    """Drop the arguments that hold data: a class takes parameters alone."""
    kept, keeping = [], True
    for line in arguments.splitlines():
        if line.startswith("    ") and not line.startswith("     "):
            keeping = not line.strip().startswith(_DATA)
        if keeping:
            kept.append(line)
    return "\n".join(kept)
