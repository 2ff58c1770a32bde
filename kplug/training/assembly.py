"""From a run spec to a data set and a compiled model, through the catalog alone."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import keras

from kplug.catalog.facts import Facts, facts_of
from kplug.catalog.keras_names import with_parameters
from kplug.catalog.loading import load
from kplug.catalog.resolution import resolve
from kplug.errors import (
    DataError,
    IncompatibleComponentsError,
    ParameterError,
    UnavailableComponentError,
    UnknownComponentError,
)
from kplug.runs.spec import ComponentSpec, RunSpec
from kplug.training.data_checks import check_splits
from kplug.training.pipeline import steps_per_epoch


@dataclass(frozen=True)
class Assembly:
    """What a run trains, and with what.

    Attributes:
        model: The model, not compiled yet.
        dataset: What the data set component returned: `train`, `validation`, `test` and `info`.
        compile_arguments: Optimizer, loss and metrics, for `model.compile`.
        callbacks: The callbacks that were chosen.
    """

    model: keras.Model
    dataset: Any
    compile_arguments: dict[str, Any]
    callbacks: list[keras.callbacks.Callback]


def assemble(spec: RunSpec) -> Assembly:
    """Load the data, build the model, and make what it is compiled with.

    Raises:
        DataError: If the data set component does not return splits, or returns some that cannot be used.
        IncompatibleComponentsError: If the model component does not return a Keras model.
        ParameterError: If a component refuses its parameters.
    """
    dataset = _dataset(spec.dataset)
    info = getattr(dataset, "info", {})
    model, facts = _model(spec.model, info)
    callbacks = [_callback(one) for one in spec.callbacks]
    return Assembly(
        model,
        dataset,
        {
            "optimizer": _optimizer(spec, dataset, callbacks),
            "loss": _loss(spec.loss, facts, info),
            "metrics": _metrics(spec.metrics, facts, info),
        },
        callbacks,
    )


def prepare(model: keras.Model, arrays: tuple) -> None:
    """Let the model look at the training arrays, and build it for their shape, before anything is trained.

    A model that can use some data only says so in a method `check_data(x)` or `check_data(x, y)` that raises
    `ValueError`. One that begins at something it reads off the data does so in a method `adapt(x)` or `adapt(x, y)`, as
    Keras' preprocessing layers do.

    Raises:
        DataError: If the model refuses the data, or cannot be built for their shape.
    """
    x = arrays[0]
    check = getattr(model, "check_data", None)

    def labels(method: Any) -> dict[str, Any]:
        return {"y": arrays[1]} if len(arrays) > 1 and "y" in inspect.signature(method).parameters else {}

    try:
        if check is not None:
            check(x, **labels(check))
        if not model.built:
            model.build(keras.tree.map_structure(lambda array: (None, *array.shape[1:]), x))
        if hasattr(model, "adapt"):
            model.adapt(x, **labels(model.adapt))
    except (TypeError, ValueError) as error:
        raise DataError(f"The data set does not fit model {model.name}: {error}") from error


def attach(model: keras.Model, train: Any) -> None:
    """Let a model that goes through its data by itself (one that learns in an environment) have them before `fit` does.

    Such a model has a method `attach(train)`, which builds it and raises `ValueError` if it cannot use the data.
    Without it, data that are no arrays are first seen in `fit`.

    Raises:
        DataError: If the model refuses the data.
    """
    if not hasattr(model, "attach"):
        return
    try:
        model.attach(train)
    except (TypeError, ValueError) as error:
        raise DataError(f"The data set does not fit model {model.name}: {error}") from error


def _dataset(spec: ComponentSpec) -> Any:
    factory = load(resolve(spec.name, "dataset"))
    dataset = _called("dataset", spec, factory, spec.parameters)
    if getattr(dataset, "train", None) is None:
        raise DataError(f"data set {spec.name} returned no training data: {type(dataset).__name__}")
    check_splits(dataset, facts_of(factory))
    return dataset


def _model(spec: ComponentSpec, info: Mapping[str, Any]) -> tuple[keras.Model, Facts]:
    factory = load(resolve(spec.name, "model"))
    given = {**_filled(factory, info), **spec.parameters}
    missing = [
        name
        for name, parameter in inspect.signature(factory).parameters.items()
        if parameter.default is parameter.empty and parameter.kind is parameter.POSITIONAL_OR_KEYWORD
        if name not in given
    ]
    if missing:
        raise IncompatibleComponentsError(
            f"model {spec.name} needs {', '.join(missing)}, which the data set does not give. If its targets should be "
            f"classes, say so to the data set; or set it: --set model.{missing[0]}=…"
        )
    model = _called("model", spec, factory, given)
    if not isinstance(model, keras.Model):
        raise IncompatibleComponentsError(
            f"model {spec.name} returned {type(model).__name__}, which is not a keras.Model"
        )
    return model, facts_of(factory)


def _filled(factory: Any, info: Mapping[str, Any]) -> dict[str, Any]:
    """Return the parameters that the data set's info record gives."""
    return {name: info[name] for name in inspect.signature(factory).parameters if name in info}


def _optimizer(spec: RunSpec, dataset: Any, callbacks: list[keras.callbacks.Callback]) -> keras.optimizers.Optimizer:
    """Return the optimizer, with its learning rate on a schedule if one was chosen.

    Raises:
        IncompatibleComponentsError: If a callback wants to set the learning rate too.
        ParameterError: If a component refuses its parameters, or nobody can tell how many steps the run has.
    """
    chosen = spec.optimizer or ComponentSpec(name="adam")
    if spec.schedule is None:
        return _built("optimizer", chosen)
    for callback in callbacks:
        if isinstance(callback, keras.callbacks.ReduceLROnPlateau | keras.callbacks.LearningRateScheduler):
            raise IncompatibleComponentsError(
                f"schedule {spec.schedule.name} and callback {type(callback).__name__} both set the learning rate. "
                "Choose one of them."
            )
    factory = load(resolve(spec.schedule.name, "schedule"))
    filled = _filled(factory, _schedule_values(spec, dataset, _built("optimizer", chosen)))
    schedule = _called("schedule", spec.schedule, factory, {**filled, **spec.schedule.parameters})
    return _built(
        "optimizer",
        ComponentSpec.model_construct(name=chosen.name, parameters={**chosen.parameters, "learning_rate": schedule}),
    )


def _schedule_values(spec: RunSpec, dataset: Any, optimizer: keras.optimizers.Optimizer) -> dict[str, Any]:
    """Return what a schedule has by default: it begins at the optimizer's learning rate, and spans the whole run."""
    values = {"initial_learning_rate": float(optimizer.learning_rate)}
    steps = steps_per_epoch(dataset.train, None, spec.batch_size)
    if steps is not None:
        values |= dict.fromkeys(("decay_steps", "first_decay_steps"), steps * spec.epochs)
    return values


def _built(kind: str, spec: ComponentSpec) -> Any:
    return _called(kind, spec, load(resolve(spec.name, kind)), spec.parameters)


def _called(kind: str, spec: ComponentSpec, factory: Any, parameters: Mapping[str, Any]) -> Any:
    try:
        return factory(**parameters)
    except DataError:
        raise
    except (TypeError, ValueError) as error:
        given = ", ".join(f"{name}={value!r}" for name, value in parameters.items())
        raise ParameterError(f"{kind} {spec.name} refuses its parameters ({given}): {error}") from error


def _callback(spec: ComponentSpec) -> keras.callbacks.Callback:
    callback = _built("callback", spec)
    if not isinstance(callback, keras.callbacks.Callback):
        raise IncompatibleComponentsError(
            f"callback {spec.name} returned {type(callback).__name__}, which is not a keras.callbacks.Callback"
        )
    return callback


def _loss(spec: ComponentSpec | None, facts: Facts, info: Mapping[str, Any]) -> Any:
    if facts.own_loss:
        return None
    return facts.loss and _by_name("loss", facts.loss, info) if spec is None else _loss_or_metric("loss", spec, info)


def default_loss_and_metrics(facts: Facts, info: Mapping[str, Any]) -> tuple[Any, list[Any]]:
    """Return the loss and the metrics that a model is trained with where none are chosen.

    Args:
        facts: What the model's component states.
        info: The data set's info record, which their parameters are filled from.
    """
    return _loss(None, facts, info), _metrics([], facts, info)


def _metrics(specs: list[ComponentSpec], facts: Facts, info: Mapping[str, Any]) -> list[Any]:
    chosen = [_loss_or_metric("metric", spec, info) for spec in specs]
    return chosen + [_by_name("metric", name, info) for name in facts.metrics]


def _loss_or_metric(kind: str, spec: ComponentSpec, info: Mapping[str, Any]) -> Any:
    """Return an instance of a class, or a function of `(y_true, y_pred)` with its parameters set."""
    component = load(resolve(spec.name, kind))
    parameters = {**_filled(component, info), **spec.parameters}
    if inspect.isclass(component):
        return _called(kind, spec, component, parameters)
    if not parameters:
        return component

    return with_parameters(component, parameters)


def _by_name(kind: str, name: str, info: Mapping[str, Any]) -> Any:
    """Return a default that a model names: a component, or else what Keras calls so."""
    try:
        return _loss_or_metric(kind, ComponentSpec(name=name), info)
    except (UnknownComponentError, UnavailableComponentError):
        if "/" in name:
            raise
        return name
