"""From what a person asked to a spec that can run: names resolved, parameters checked, components matched."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterable, Mapping
from typing import Any

from kplug.catalog.component import Component
from kplug.catalog.description import Description, describe_all, known
from kplug.catalog.discovery import components
from kplug.catalog.parameters import check_parameters, parse_value
from kplug.catalog.resolution import is_called, resolve
from kplug.errors import BrokenComponentError, IncompatibleComponentsError, ParameterError, SpecError
from kplug.runs.devices import check_device
from kplug.runs.labels import checked_name
from kplug.runs.launchers import LOCAL
from kplug.runs.own_files import files_of
from kplug.runs.spec import LISTS, SECTIONS, ComponentSpec, RunSpec, spec_from

_ALIASES = {"data": "dataset"}
_SECTIONS_IN_WORDS = (
    f"SECTION is {', '.join(SECTIONS)} (or data) or the name of a chosen metric or callback; for example --set "
    "model.latent_dim=16."
)
_DEFAULT_OPTIMIZER = "adam"
_FILLED_SCHEDULE = ("initial_learning_rate", "decay_steps", "first_decay_steps")
"""A schedule's parameters that the worker fills, from the optimizer and the length of the run."""

_BACKEND_EXTRAS = {"jax": "jax", "torch": "torch"}


def complete(values: Mapping[str, Any], settings: Iterable[str] = (), source: str = "the run spec") -> RunSpec:
    """Check everything that was asked and return a spec that names every component by its full id.

    Nothing is started, written or imported here but the child processes that describe components not yet in the cache.

    Args:
        values: The fields of a run spec, as JSON or TOML holds them.
        settings: `section.parameter=value` texts, which win over `values`.
        source: Where `values` come from, for messages.

    Raises:
        KplugError: The first thing that cannot work: an unknown name, a wrong parameter or value, components that do
            not go together, a backend that is not installed.
    """
    overrides = [_split_setting(setting) for setting in settings]
    spec = spec_from({**values}, source)
    if spec.name is not None:
        checked_name(spec.name)
    _check_backend(spec.backend)
    chosen = {
        section: resolve(getattr(spec, section).name, kind)
        for section, kind in SECTIONS.items()
        if getattr(spec, section) is not None
    }
    here = "launcher" not in chosen or chosen["launcher"].id == LOCAL
    check_device(spec.device, spec.backend, spec.batch_size, here)
    listed = [(field, resolve(one.name, kind)) for field, kind in LISTS.items() for one in getattr(spec, field)]
    parts = [component for _, component in listed]
    descriptions = _working(describe_all([*chosen.values(), *parts]))
    if "optimizer" not in chosen:
        chosen["optimizer"] = resolve(default_optimizer(descriptions[chosen["model"]]), "optimizer")
        descriptions.update(_working(describe_all([chosen["optimizer"]])))
    _check_fit(chosen, descriptions)
    model, dataset = descriptions[chosen["model"]], descriptions[chosen["dataset"]]
    for component in parts:
        _check_part(descriptions[component], model, dataset)

    parameters = {section: dict(getattr(spec, section).parameters) for section in chosen if getattr(spec, section)}
    of_parts = [dict(one.parameters) for field in LISTS for one in getattr(spec, field)]
    for section, name, text in overrides:
        if section in chosen:
            component, values_of = chosen[section], parameters.setdefault(section, {})
        else:
            index = _chosen_part(section, name, parts)
            component, values_of = parts[index], of_parts[index]
        by_name = {parameter.name: parameter for parameter in descriptions[component].parameters}
        schema = by_name[name].schema if name in by_name else None
        values_of[name] = parse_value(text, schema)

    completed = {
        section: ComponentSpec(
            name=component.id,
            parameters=check_parameters(
                f"{component.kind} {component.name}",
                section,
                descriptions[component].parameters,
                parameters.get(section, {}),
            ),
        )
        for section, component in chosen.items()
    }
    completed_parts = [
        ComponentSpec(
            name=component.id,
            parameters=check_parameters(
                f"{component.kind} {component.name}",
                component.name,
                descriptions[component].parameters,
                given,
            ),
        )
        for component, given in zip(parts, of_parts, strict=True)
    ]
    lists = {
        field: [one for (of, _), one in zip(listed, completed_parts, strict=True) if of == field] for field in LISTS
    }
    _check_metric_names(lists["metrics"])
    for section, component in chosen.items():
        _check_required(completed[section], descriptions[component], section, dataset)
    for component, asked in zip(parts, completed_parts, strict=True):
        _check_required(asked, descriptions[component], component.name, dataset)
    return spec.model_copy(update={**completed, **lists, "files": files_of([*chosen.values(), *parts])})


def misfit(part: Description, model: Description | None = None, dataset: Description | None = None) -> str | None:
    """Say why a component does not go with a model and a data set, or return `None` if it does.

    Args:
        part: A data set, loss, metric or callback, or a model that has yet to be chosen for a data set.
        model: The model, if one is chosen.
        dataset: The data set, if one is chosen.
    """
    kind = part.component.kind
    if part.broken:
        return f"broken: {part.error}"
    if kind == "loss" and model is not None and model.own_loss:
        return f"{model.component.name} computes its loss itself"
    # A model is looked at beside the data set alone, and the other way round.
    tasks, owner = _tasks_of(None if kind == "model" else model, None if kind == "dataset" else dataset)
    if not tasks or not part.tasks or tasks & set(part.tasks):
        return None
    return f"for {', '.join(part.tasks)}; {owner} is for {', '.join(sorted(tasks))}"


def needs_loss(model: Description) -> bool:
    """Say whether a loss must be chosen for a model."""
    return not model.own_loss and model.loss is None


def default_optimizer(model: Description) -> str:
    """Return the name of the optimizer that a model is trained with where no other is chosen."""
    return model.optimizer or _DEFAULT_OPTIMIZER


def filled(part: Description, dataset: Description) -> tuple[str, ...]:
    """Return the parameters of a component that need not be given, from the data set or the rest of the run."""
    if part.component.kind == "schedule":
        return _FILLED_SCHEDULE
    if part.component.kind in {"model", "loss", "metric", "callback"}:
        # A data set that states nothing may fill all that it can.
        return dataset.provides or part.info_parameters
    return ()


def _split_setting(setting: str) -> tuple[str, str, str]:
    target, equals, text = setting.partition("=")
    section, dot, name = target.strip().partition(".")
    section = _ALIASES.get(section, section)
    if not (equals and dot and name and section):
        raise ParameterError(f"--set {setting}: expected SECTION.PARAMETER=VALUE, where {_SECTIONS_IN_WORDS}")
    return section, name, text


def _chosen_part(section: str, name: str, parts: list[Component]) -> int:
    """Return which of the chosen metrics and callbacks a setting is for.

    Raises:
        ParameterError: If it is for none of them, or for several.
    """
    if section in SECTIONS:
        raise ParameterError(f"--set {section}.{name}: no {section} was chosen. Choose one with --{section}.")
    meant = [index for index, part in enumerate(parts) if is_called(part, section)]
    if not meant:
        raise ParameterError(f"--set {section}.{name}: there is no such section: {_SECTIONS_IN_WORDS}")
    if len(meant) > 1:
        raise ParameterError(
            f"--set {section}.{name}: {len(meant)} {parts[meant[0]].kind}s of that name were chosen. Set their "
            "parameters in the spec."
        )
    return meant[0]


def _check_metric_names(metrics: Iterable[ComponentSpec]) -> None:
    """Refuse two metrics that would be reported under one name."""
    seen = set()
    for metric in metrics:
        name = metric.parameters.get("name", metric.name.rpartition("/")[2])
        if name in seen:
            raise SpecError(
                f"Two metrics would be reported as {name!r}. Leave one out, or give it another `name` in the spec."
            )
        seen.add(name)


def _check_backend(backend: str) -> None:
    if importlib.util.find_spec(backend) is None:
        extra = _BACKEND_EXTRAS.get(backend)
        remedy = f' Install it with: pip install "kplug[{extra}]".' if extra else ""
        raise SpecError(f"The backend {backend} is not installed.{remedy}")


def _working(descriptions: dict[Component, Description]) -> dict[Component, Description]:
    for component, description in descriptions.items():
        if description.broken:
            raise BrokenComponentError(f"{component.in_words} is broken: {description.error}")
    return descriptions


def _check_fit(chosen: Mapping[str, Component], descriptions: Mapping[Component, Description]) -> None:
    model, dataset = descriptions[chosen["model"]], descriptions[chosen["dataset"]]
    if misfit(dataset, model) is not None:
        raise IncompatibleComponentsError(
            f"model {model.component.name} and data set {dataset.component.name} have no task in common: the model is "
            f"for {', '.join(model.tasks)}; the data set for {', '.join(dataset.tasks)}."
            + _fitting_data_sets(model.tasks)
        )
    if "loss" in chosen:
        loss = descriptions[chosen["loss"]]
        if model.own_loss:
            raise IncompatibleComponentsError(
                f"model {model.component.name} computes its loss itself and takes no other: leave out "
                f"--loss {loss.component.name}."
            )
        _check_part(loss, model, dataset)
    elif needs_loss(model):
        raise IncompatibleComponentsError(
            f"model {model.component.name} brings no loss of its own. Choose one with --loss NAME."
        )


def _check_part(part: Description, model: Description, dataset: Description) -> None:
    """Refuse a loss or metric that is for none of the tasks that model and data set have in common."""
    reason = misfit(part, model, dataset)
    if reason is not None:
        raise IncompatibleComponentsError(f"{part.component.kind} {part.component.name} is {reason}.")


def _tasks_of(model: Description | None, dataset: Description | None) -> tuple[set[str], str]:
    """Return what a model and a data set are for together, and what to call them; either may have yet to be chosen."""
    if model is None or dataset is None:
        return (set(model.tasks), f"model {model.component.name}") if model is not None else _tasks_of_data(dataset)
    tasks = _shared(model.tasks, dataset.tasks)
    return tasks or set(), f"model {model.component.name} on this data set"


def _tasks_of_data(dataset: Description | None) -> tuple[set[str], str]:
    return (set(dataset.tasks), f"data set {dataset.component.name}") if dataset is not None else (set(), "")


def _shared(first: Iterable[str], second: Iterable[str]) -> set[str] | None:
    """Return the tasks in common; `None` if one side states no task and so goes with all."""
    first, second = set(first), set(second)
    return first & second if first and second else None


def _fitting_data_sets(tasks: Iterable[str]) -> str:
    """Name the data sets that would fit, as far as their descriptions are known already."""
    found = known(components("dataset"))
    fitting = sorted(one.component.name for one in found.values() if set(one.tasks) & set(tasks))
    return f" Data sets that fit: {', '.join(fitting)}." if fitting else ""


def _check_required(spec: ComponentSpec, description: Description, section: str, dataset: Description) -> None:
    known_values = {*spec.parameters, *filled(description, dataset)}
    missing = [one.name for one in description.parameters if one.required and one.name not in known_values]
    if missing:
        raise ParameterError(
            f"{description.component.kind} {description.component.name} needs {', '.join(missing)}: "
            + " ".join(f"--set {section}.{name}=…" for name in missing)
        )
