"""Living with metadata of installed distributions that cannot be read: what is damaged must cost the others nothing."""

from __future__ import annotations

import os
from collections.abc import Mapping
from importlib import metadata
from typing import Any


def spare_pydantic() -> None:
    """Keep pydantic, before its first model, from reading metadata that would end it.

    It looks for plugins of its own among the entry points of all distributions, one of which may be damaged.
    """
    if "PYDANTIC_DISABLE_PLUGINS" in os.environ:
        return
    try:
        metadata.entry_points(group="pydantic")
    except Exception:  # noqa: BLE001 - whatever the damage does to it
        os.environ["PYDANTIC_DISABLE_PLUGINS"] = "__all__"


def pass_over_damaged() -> None:
    """Let whoever asks in this process for the entry points of all distributions get those that can be read.

    JAX and PyTorch do so when they begin. For processes of kplug's own alone: it changes the standard library's class.
    """
    whole: Any = metadata.Distribution
    declared = whole.entry_points.fget

    def readable(self: metadata.Distribution) -> metadata.EntryPoints:
        try:
            return declared(self)
        except Exception:  # noqa: BLE001 - whatever the damage does to it
            return metadata.EntryPoints()

    whole.entry_points = property(readable)


def packages_distributions() -> Mapping[str, list[str]]:
    """Return which distributions the packages here are of; nothing where that cannot be read."""
    try:
        return metadata.packages_distributions()
    except Exception:  # noqa: BLE001 - as above
        return {}
