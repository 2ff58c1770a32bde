"""The step that predicts for a task, compiled once for a model and kept until one of its layers is changed."""

from __future__ import annotations

import weakref
from typing import Any

import keras
from keras import ops

from kplug_bayes.outputs.distribution_layer import DistributionLayer
from kplug_bayes.prediction.compiled_step import CompiledStep, Compute
from kplug_bayes.prediction.model_parts import nested_layers

_KEPT: weakref.WeakKeyDictionary[Any, dict[Any, tuple[list[Any], CompiledStep]]] = weakref.WeakKeyDictionary()
_PLAIN = (bool, int, float, str)


def prediction_step(model: keras.Model, layer: DistributionLayer | None, task: str, from_logits: bool) -> CompiledStep:
    """Return the step that predicts, the one of an earlier call if no attribute of a layer has changed since.

    Args:
        model: A built model of one output.
        layer: The layer that says how its outputs are distributed, or `None`.
        task: What they are.
        from_logits: Whether a model without such a layer puts out logits.
    """
    kept = _KEPT.setdefault(model, {})
    settings = _settings(model)
    key = (task, from_logits)
    if key not in kept or not _same(kept[key][0], settings):
        noise = layer if task == "regression" else None
        kept[key] = settings, CompiledStep(model, _computing(layer, task, from_logits), noise)
    return kept[key][1]


def _settings(model: keras.Model) -> list[Any]:
    """Return what a compiled step may have taken note of: plain attributes, and the identity of all others."""
    settings = [value for name, value in sorted(vars(model).items()) if name[0] != "_" and isinstance(value, _PLAIN)]
    for layer in nested_layers(model):
        settings.append(layer.dtype_policy.name)
        settings.extend(value for name, value in sorted(vars(layer).items()) if name[0] != "_")
    return [*settings, *model.variables]


def _same(old: list[Any], new: list[Any]) -> bool:
    if len(old) != len(new):
        return False
    pairs = zip(old, new, strict=True)
    return all(a is b or (isinstance(a, _PLAIN) and isinstance(b, _PLAIN) and a == b) for a, b in pairs)


def _computing(layer: DistributionLayer | None, task: str, from_logits: bool) -> Compute:
    if task == "regression":
        return _numbers if layer is None else lambda outputs: _moments(layer, outputs)
    if layer is not None:
        return lambda outputs: [layer.mean(outputs)]
    if not from_logits:
        return lambda outputs: [_precise(outputs)]
    activation = ops.sigmoid if task == "binary" else ops.softmax
    return lambda outputs: [activation(_precise(outputs))]


def _precise(outputs: Any) -> Any:
    return ops.cast(outputs, keras.backend.result_type(outputs.dtype, "float32"))


def _numbers(outputs: Any) -> list[Any]:
    numbers = _precise(outputs)
    return [numbers, ops.zeros_like(numbers), numbers]


def _moments(layer: DistributionLayer, outputs: Any) -> list[Any]:
    return [layer.mean(outputs), layer.variance(outputs), layer.sample(outputs)]
