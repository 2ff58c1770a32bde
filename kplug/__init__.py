"""kplug: Keras parts that Keras lacks, plugins that add more, and a terminal to train them.

`import kplug` imports neither Keras nor Textual; a part is imported when it is first used.
"""

from __future__ import annotations

import importlib
from typing import Any

__version__ = "0.1.0"

_PUBLIC = {
    "Component": "kplug.catalog.component:Component",
    "Dataset": "kplug.datasets.dataset:Dataset",
    "FocalLoss": "kplug.losses.focal:FocalLoss",
    "KplugError": "kplug.errors:KplugError",
    "Sampling": "kplug.layers.sampling:Sampling",
    "VAE": "kplug.models.vae:VAE",
    "component": "kplug.catalog.facts:component",
    "components": "kplug.catalog.discovery:components",
    "focal_loss": "kplug.losses.focal:focal_loss",
    "get": "kplug.catalog.loading:get",
    "load_model": "kplug.saving:load_model",
}
_ROOMS = ("catalog", "datasets", "errors", "layers", "losses", "metrics", "models", "runs", "saving")

__all__ = ["__version__", *_PUBLIC]  # noqa: PLE0604 - names of lazy attributes, which the stub spells out


def __getattr__(name: str) -> Any:
    if name in _PUBLIC:
        module, _, attribute = _PUBLIC[name].partition(":")
        value = getattr(importlib.import_module(module), attribute)
    elif name in _ROOMS:
        value = importlib.import_module(f"kplug.{name}")
    else:
        raise AttributeError(f"module 'kplug' has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_PUBLIC, *_ROOMS})
