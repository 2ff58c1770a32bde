"""What the form for a new run shows: its rows, what each takes, what is wrong, and what can be chosen."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from kplug.catalog.description import Description
from kplug.catalog.discovery import components
from kplug.catalog.facts import INFO_FIELDS
from kplug.catalog.parameters import Parameter, check_parameters, parse_value
from kplug.errors import KplugError, ParameterError
from kplug.runs.completion import LISTS, SECTIONS, default_optimizer, filled, misfit, needs_loss
from kplug.runs.labels import checked_name
from kplug_tui.formatting import bare
from kplug_tui.new_run_form import NewRunForm, Part, Place
from kplug_tui.run_fields import CHECKPOINTS, NAMING, TRAINING, backend_problem, choices_of, run_parameters
from kplug_tui.spec_text import text_of

Sort = Literal["title", "component", "choice", "text", "more"]

TITLES = {
    "model": "Model",
    "dataset": "Data set",
    "loss": "Loss",
    "optimizer": "Optimizer",
    "schedule": "Schedule",
    "launcher": "Launcher",
    "metrics": "Metric",
    "callbacks": "Callback",
}
_FREE = {"device": ("auto", "cpu", "gpu"), "best": ()}
"""Fields that offer values, and take others."""


@dataclass(frozen=True)
class Row:
    """One row of the form.

    Attributes:
        place: Where it stands in the form.
        sort: What it is: a title, a component, a choice among values, text, or more rows to unfold.
        label: What it is called.
        text: What was chosen or typed; empty for the default.
        default: What an empty text means.
        hint: What it takes, in words.
        problem: What is wrong with it.
        level: How far it is indented.
        choices: The values it takes, if they are few.
        free: Whether it takes others than those.
    """

    place: Place
    sort: Sort
    label: str
    text: str = ""
    default: str = ""
    hint: str = ""
    problem: str | None = None
    level: int = 0
    choices: tuple[str, ...] = ()
    free: bool = False


@dataclass(frozen=True)
class Candidate:
    """A component that may be chosen.

    Attributes:
        id: Its id; empty to choose none.
        title: What it is called.
        note: What it is, or why it does not fit.
        fits: Whether it can be chosen.
    """

    id: str
    title: str
    note: str
    fits: bool = True


def rows_of(form: NewRunForm) -> list[Row]:
    """Return the rows of a form, from top to bottom."""
    rows: list[Row] = []
    for section in SECTIONS:
        rows += _part_rows(form, (section,), form.sections[section])
    for name in LISTS:
        for serial, part in form.lists[name].items():
            rows += _part_rows(form, (name, serial), part)
        rows.append(Row((name,), "component", TITLES[name], default=_brought(form, name)))
    for title, fields in (("Training", TRAINING), ("Checkpoints", CHECKPOINTS), ("Name", NAMING)):
        rows.append(Row((f"title:{title}",), "title", title))
        rows += [_run_row(form, name) for name in fields]
    return rows


def problems_of(rows: Sequence[Row]) -> list[tuple[Place, str]]:
    """Return what is wrong in the rows, in words that name the field."""
    return [(row.place, _told(row)) for row in rows if row.problem]


def candidates_of(form: NewRunForm, place: Place) -> list[Candidate]:
    """Return the components of a place: first those that fit, then those that do not, with the reason."""
    head = str(place[0])
    kind = SECTIONS.get(head) or LISTS[head]
    found = []
    for component in components(kind):
        description = form.descriptions.get(component)
        title = bare(component.id)
        if component.fault is not None:
            found.append(Candidate(component.id, title, f"broken: {component.fault}", fits=False))
        elif description is None:
            found.append(Candidate(component.id, title, "…"))
        else:
            reason = _misfit(form, description)
            # A model decides what else fits: only a broken one cannot be chosen.
            fits = reason is None or (kind == "model" and not description.broken)
            note = _first_line(description.summary) if reason is None else reason
            found.append(Candidate(component.id, title, note, fits))
    found.sort(key=lambda one: (not one.fits, one.title))
    nothing = _nothing(form, place)
    return [Candidate("", "(none)" if head in LISTS else "(default)", nothing), *found] if nothing else found


def _part_rows(form: NewRunForm, place: Place, part: Part) -> Iterator[Row]:
    description = form.description(part)
    component = form.component(part)
    head = str(place[0])
    problem = _part_problem(form, place, part)
    text = bare(component.id) if part.name and component else part.name
    hint = "" if component is None or description is not None else "being read …"
    yield Row(place, "component", TITLES[head], text, _nothing(form, place), hint, problem)
    texts = form.texts(part)
    if description is None or description.broken:
        # What was typed is not lost from sight while nobody knows what it is for.
        yield from (Row((*place, name), "text", name, text, level=1) for name, text in texts.items())
        return
    provided = filled(description, form.dataset) if form.dataset else ()
    settable = [one for one in description.parameters if one.schema is not None]
    required = {one.name for one in settable if one.required and one.name not in provided}
    shown = [one for one in settable if part.unfolded or one is settable[0] or one.name in {*required, *texts}]
    if len(settable) - len(shown) == 1:
        shown = settable
    for parameter in shown:
        yield _parameter_row(form, place, parameter, parameter.name in provided, parameter.name in required)
    known = {one.name for one in description.parameters}
    for name, text in texts.items():
        if name not in known:
            problem = f"{bare(description.component.id)} has no such parameter: empty it"
            yield Row((*place, name), "text", name, text, problem=problem, level=1)
    if len(shown) < len(settable):
        yield Row((*place, "…more"), "more", f"{len(settable) - len(shown)} more", level=1)


def _parameter_row(form: NewRunForm, place: Place, parameter: Parameter, provided: bool, required: bool) -> Row:
    text = form.text((*place, parameter.name))
    kind = form.part(place).kind  # type: ignore[union-attr]
    default = "" if parameter.required else text_of(parameter.default, parameter.schema)
    if provided and kind == "schedule":
        default = "from the run"
    elif provided and parameter.name in INFO_FIELDS:
        default = "from the data set"
    problem = problem_with(parameter, text)
    if required and not text:
        problem = "required"
    choices = choices_of(parameter.schema)
    return Row(
        (*place, parameter.name),
        "choice" if choices else "text",
        parameter.name,
        text,
        default,
        "" if choices else parameter.type,
        problem,
        level=1,
        choices=choices,
    )


def _run_row(form: NewRunForm, name: str) -> Row:
    parameter = run_parameters()[name]
    text = form.text((name,))
    choices = _FREE.get(name) or choices_of(parameter.schema)
    default = "" if parameter.default is None else text_of(parameter.default, parameter.schema)
    if name == "best":
        choices = tuple(_reported(form))
    if name == "jit":
        choices, default = tuple(one for one in choices if one != "null"), "as Keras chooses"
    problem = problem_with(parameter, text.strip())
    if problem is None and name == "backend" and backend_problem(text or default):
        problem = backend_problem(text or default)
    if problem is None and name == "name" and text.strip():
        problem = _refusal(text.strip())
    hint = "" if choices else parameter.type.removesuffix(" or null")
    sort: Sort = "choice" if choices else "text"
    return Row((name,), sort, name, text, default, hint, problem, 1, choices, name in _FREE)


def problem_with(parameter: Parameter, text: str) -> str | None:
    """Say what is wrong with a text for a parameter, or return `None`; an empty text means the default."""
    if not text:
        return None
    try:
        check_parameters("", "", [parameter], {parameter.name: parse_value(text, parameter.schema)})
    except ParameterError:
        return f"expected {parameter.type}"
    return None


def _refusal(name: str) -> str | None:
    try:
        checked_name(name)
    except KplugError as error:
        return str(error)
    return None


def _part_problem(form: NewRunForm, place: Place, part: Part) -> str | None:
    head = str(place[0])
    if not part.name:
        if head in {"model", "dataset"}:
            return f"choose a {TITLES[head].lower()}"
        if head == "loss" and form.model is not None and needs_loss(form.model):
            return f"{form.model.component.name} brings none: choose one"
        return None
    if form.component(part) is None:
        return f"there is no {part.kind} of this name"
    description = form.description(part)
    if description is None or head == "model":
        return f"broken: {description.error}" if description is not None and description.broken else None
    return _misfit(form, description)


def _misfit(form: NewRunForm, description: Description) -> str | None:
    if form.model is not None and form.dataset is not None and misfit(form.dataset, form.model):
        # The data set is what is wrong; the rest is judged by the model alone.
        return misfit(description, form.model)
    return misfit(description, form.model, form.dataset)


def _nothing(form: NewRunForm, place: Place) -> str:
    """Say what it means that no component is chosen; empty where one must be."""
    head, model = str(place[0]), form.model
    if head in LISTS:
        return "none: take it away" if len(place) > 1 else ""
    if head == "optimizer":
        return f"{bare(default_optimizer(model))} (the model's)" if model is not None else "the model's own"
    if head == "loss":
        if model is None or model.own_loss:
            return "the model's own"
        return f"{model.loss} (the model's)" if model.loss else ""
    return {"schedule": "none: constant", "launcher": "this machine"}.get(head, "")


def _brought(form: NewRunForm, name: str) -> str:
    brought = form.model.metrics if form.model is not None and name == "metrics" else ()
    return f"besides {', '.join(brought)} (the model's)" if brought else ""


def _reported(form: NewRunForm) -> Iterator[str]:
    """Give names of metrics by which a best model can be known."""
    names = ["loss", *(form.model.metrics if form.model is not None else ())]
    names += [bare(part.name).rpartition("/")[2] for part in form.lists["metrics"].values()]
    yield from (f"val_{name}" for name in names)
    yield from names


def _told(row: Row) -> str:
    if row.sort == "component" and not row.text:
        return f"{str(row.problem)[0].upper()}{str(row.problem)[1:]}."
    named = f"{row.label.lower()} {row.text}: " if row.sort == "component" else f"{_owner(row)}{row.label}: "
    return f"{named}{row.problem}."


def _owner(row: Row) -> str:
    head = str(row.place[0])
    if len(row.place) < 2:
        return ""
    return f"{TITLES[head].lower()}'s "


def _first_line(text: str) -> str:
    return " ".join(text.split())
