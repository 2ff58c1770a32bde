"""The catalog: what is installed, what it is called, and what can be learned of it. Never imports Keras."""

from typing import TYPE_CHECKING, Any

from kplug.catalog.component import KINDS, Component

if TYPE_CHECKING:
    from kplug.catalog.discovery import components
    from kplug.catalog.loading import get
    from kplug.catalog.resolution import resolve

__all__ = ["KINDS", "Component", "components", "get", "resolve"]

_MODULES = {"components": "discovery", "get": "loading", "resolve": "resolution"}


def __getattr__(name: str) -> Any:
    """Import what reads distributions' metadata when it is asked for: commands about runs do without."""
    if name in _MODULES:
        import importlib

        return getattr(importlib.import_module(f"kplug.catalog.{_MODULES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
