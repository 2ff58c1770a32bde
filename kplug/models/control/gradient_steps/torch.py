"""Gradient steps on PyTorch: one after the other."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from keras import ops

from kplug.models.control.gradient_steps.eager_fit import FitSteps

__all__ = ["FitSteps", "compiled"]


def compiled(model: Any, jit_compile: bool) -> Callable[[dict[str, Any]], dict[str, Any]]:
    """Return a function that takes one gradient step on each of several batches; see `tensorflow.compiled`."""
    del jit_compile

    def step(batch: dict[str, Any]) -> dict[str, Any]:
        loss, logs = model.losses(batch)
        model.zero_grad()
        model.optimizer.scale_loss(loss).backward()
        variables = model.trainable_variables
        gradients = [variable.value.grad for variable in variables]
        with torch.no_grad():
            model.optimizer.apply(model.limited(gradients), variables)
            model.end_step()
        return {name: value.detach() for name, value in logs.items()}

    def run(batches: dict[str, Any]) -> dict[str, Any]:
        tensors = {name: ops.convert_to_tensor(values) for name, values in batches.items()}
        count = len(next(iter(tensors.values())))
        logs = [step({name: values[index] for name, values in tensors.items()}) for index in range(count)]
        return {name: torch.stack([one[name] for one in logs]).mean() for name in model.logged}

    return run
