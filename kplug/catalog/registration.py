"""Parts that a script has registered for as long as its process lives."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, overload

from kplug.catalog.component import SCRIPT_NAMESPACE, Component, entry_point_fault, kind_of, snake_case
from kplug.catalog.keras_kinds import keras_kind
from kplug.catalog.keras_names import give_keras_name
from kplug.errors import KplugError

T = TypeVar("T", bound=Callable)

_registered: dict[Component, Any] = {}


@overload
def register(described: T, *, kind: str | None = None, name: str | None = None) -> T: ...


@overload
def register(described: None = None, *, kind: str | None = None, name: str | None = None) -> Callable[[T], T]: ...


def register(described: Any = None, *, kind: str | None = None, name: str | None = None) -> Any:
    """Make a script's own class or function a component, in this process alone.

    It is then `script/NAME`: `kplug.get`, `kplug.components` and every other function here that takes a component's
    name knows it, and `kplug.load_model` finds it in models that use it. A run is another process: name the file for
    it instead, `path/to/file.py:Object`.

    Args:
        described: The class or function; without it, `register` is a decorator with arguments.
        kind: `"loss"`, `"layer"`, `"metric"`, `"model"`, `"dataset"`, …; read off a Keras class.
        name: What to call it, in snake_case; by default the class's or function's own name, so written. What was
            registered before as that is forgotten, so that a cell of a notebook can be run again.

    Returns:
        The class or function, unchanged.

    Raises:
        KplugError: If it is no class or function, or its kind cannot be told, or the name is not in snake_case.

    Example:

    ```python
    @kplug.register
    class HingeLoss(keras.losses.Loss): ...

    @kplug.register(kind="dataset")
    def spirals(turns: int = 2): ...

    loss = kplug.get("hinge_loss")()
    ```
    """
    if described is None:
        return lambda decorated: register(decorated, kind=kind, name=name)
    if not callable(described):
        raise KplugError(f"What is registered must be a class or a function, not {type(described).__name__}.")
    own_name = getattr(described, "__name__", type(described).__name__)
    called = snake_case(own_name) if name is None else name
    target = f"{getattr(described, '__module__', None) or '__main__'}:{getattr(described, '__qualname__', own_name)}"
    if entry_point_fault(called, "module:name") is not None:
        raise KplugError(f"{called!r} is not in snake_case. Give a name: kplug.register(…, name='my_{kind or 'loss'}')")
    component = Component(
        kind=_kind_of_class(described, own_name) if kind is None else kind_of(kind),
        namespace=SCRIPT_NAMESPACE,
        name=called,
        target=target,
        distribution=SCRIPT_NAMESPACE,
        version="",
    )
    for earlier in [one for one in _registered if (one.kind, one.name) == (component.kind, called)]:
        del _registered[earlier]
    _registered[component] = described
    give_keras_name(described, SCRIPT_NAMESPACE)
    return described


def registered() -> tuple[Component, ...]:
    """Return the components that this process has registered."""
    return tuple(_registered)


def is_registered(component: Component) -> bool:
    """Say whether a component was registered by this process."""
    return component in _registered


def registered_object(component: Component) -> Any:
    """Return the class or function that was registered as a component."""
    return _registered[component]


def _kind_of_class(described: Any, name: str) -> str:
    kind = keras_kind(described)
    if kind is None:
        raise KplugError(f"It cannot be told of which kind {name} is. Say it: kplug.register({name}, kind='loss')")
    return kind
