"""Gradient steps on JAX: a scan over functional state."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import keras


class FitSteps:
    """What `fit` and `evaluate` call for a batch; the state that JAX' `fit` carries is put back into the variables."""

    def train_step(self: Any, state: Any, data: Any) -> tuple[dict[str, Any], Any]:
        """Act, and learn from it."""
        _put_back(self, state, 4)
        logs = self.learn(data)
        return logs, _taken(self, 4)

    def test_step(self: Any, state: Any, data: Any) -> tuple[dict[str, Any], Any]:
        """Play the episodes of the evaluation."""
        _put_back(self, state, 3)
        return self.judge(data), state


def _variables(model: Any, count: int) -> list[Any]:
    groups = [model.trainable_variables, model.non_trainable_variables, model.metrics_variables]
    return groups if count == 3 else [*groups[:2], model.optimizer.variables, groups[2]]


def _put_back(model: Any, state: Any, count: int) -> None:
    for variables, values in zip(_variables(model, count), state, strict=True):
        for variable, value in zip(variables, values, strict=True):
            variable.assign(value)


def _as_ended(scope: Any, variables: Any, values: Any) -> list[Any]:
    """Return the values that variables have been given in a scope, and the old ones of the others."""
    given = [scope.get_current_value(variable) for variable in variables]
    return [old if new is None else new for old, new in zip(values, given, strict=True)]


def _taken(model: Any, count: int) -> tuple:
    return tuple([variable.value for variable in variables] for variables in _variables(model, count))


def compiled(model: Any, jit_compile: bool) -> Callable[[dict[str, Any]], dict[str, Any]]:
    """Return a function that takes one gradient step on each of several batches; see `tensorflow.compiled`."""

    def loss_of(trainable: Any, fixed: Any, batch: dict[str, Any]) -> tuple[Any, Any]:
        mapping = [*zip(model.trainable_variables, trainable, strict=True)]
        mapping += zip(model.non_trainable_variables, fixed, strict=True)
        with keras.StatelessScope(state_mapping=mapping):
            loss, logs = model.losses(batch)
        return loss, logs

    def step(state: Any, batch: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
        trainable, fixed, optimizer = state

        def scaled(values: Any) -> tuple[Any, Any]:
            loss, logs = loss_of(values, fixed, batch)
            mapping = [*zip(model.optimizer.variables, optimizer, strict=True)]
            with keras.StatelessScope(state_mapping=mapping):
                return model.optimizer.scale_loss(loss), logs

        (_, logs), gradients = jax.value_and_grad(scaled, has_aux=True)(trainable)
        with keras.StatelessScope(state_mapping=[*zip(model.optimizer.variables, optimizer, strict=True)]):
            gradients = model.limited(gradients)
        trainable, optimizer = model.optimizer.stateless_apply(optimizer, gradients, trainable)
        mapping = [*zip(model.trainable_variables, trainable, strict=True)]
        mapping += zip(model.non_trainable_variables, fixed, strict=True)
        with keras.StatelessScope(state_mapping=mapping) as scope:
            model.end_step()
        trainable = _as_ended(scope, model.trainable_variables, trainable)
        fixed = _as_ended(scope, model.non_trainable_variables, fixed)
        return (trainable, fixed, optimizer), logs

    def steps(state: Any, batches: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
        state, logs = jax.lax.scan(step, state, batches)
        return state, {name: values.mean() for name, values in logs.items()}

    function = jax.jit(steps, donate_argnums=0) if jit_compile else steps

    def run(batches: dict[str, Any]) -> dict[str, Any]:
        groups = (model.trainable_variables, model.non_trainable_variables, model.optimizer.variables)
        state = tuple([variable.value for variable in group] for group in groups)
        state, logs = function(state, batches)
        for group, values in zip(groups, state, strict=True):
            for variable, value in zip(group, values, strict=True):
                variable.assign(value)
        return logs

    return run
