"""Many gradient steps in one compiled call, and what `fit` calls for a batch: by backend, chosen once."""

from __future__ import annotations

import importlib

import keras

_chosen = importlib.import_module(f"{__name__}.{keras.backend.backend()}")

FitSteps: type = _chosen.FitSteps
compiled = _chosen.compiled
for_fit = getattr(_chosen, "for_fit", lambda blocks: blocks)

__all__ = ["FitSteps", "compiled", "for_fit"]
