"""The catalog: what is installed, what it is called, and what can be learned of it. Never imports Keras."""

from kplug.catalog.component import KINDS, Component
from kplug.catalog.discovery import components
from kplug.catalog.loading import get
from kplug.catalog.resolution import resolve

__all__ = ["KINDS", "Component", "components", "get", "resolve"]
