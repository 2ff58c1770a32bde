"""What explains a row of the form for a new run."""

from __future__ import annotations

from kplug.catalog.component import KINDS
from kplug.catalog.description import Description
from kplug.runs.completion import LISTS, SECTIONS
from kplug_tui.formatting import bare
from kplug_tui.new_run_form import NewRunForm
from kplug_tui.new_run_rows import TITLES, Row
from kplug_tui.spec_text import text_of

_CHOICES = {
    "model": "What is trained. It decides what else fits.",
    "dataset": "What it is trained on.",
    "loss": "What is made small, where the model's own is not wanted.",
    "optimizer": "How the weights are changed, where the model's own is not wanted.",
    "schedule": "How the learning rate changes from step to step. It stays as it is by default.",
    "launcher": "What starts the run. This machine does by default; plugins bring others, for clusters say.",
    "metrics": "What is reported besides what the model brings. Several can be added.",
    "callbacks": "What is done between batches and epochs, in this order. Several can be added.",
}


def documentation_of(form: NewRunForm, row: Row) -> tuple[str, str]:
    """Return the title and the text that explain a row."""
    if row.sort == "component":
        return _of_component(form, row)
    if row.sort == "more":
        return row.label, "Enter shows all parameters of this component; ← on its name hides them again."
    parameter, part = form.parameter(row.place), form.part(row.place)
    if parameter is None:
        return row.label, row.problem or ""
    component = form.component(part) if part is not None else None
    whose = f" of {bare(component.id)}" if component is not None else ""
    if row.default.startswith("from the "):
        default = row.default
    elif parameter.required:
        default = "must be given"
    else:
        default = f"default {text_of(parameter.default, parameter.schema)}"
    return f"{parameter.name}{whose}", f"{parameter.type} · {default}\n{parameter.help}"


def plural_of(head: str) -> str:
    """Return what the components of a place are called together."""
    return KINDS[SECTIONS.get(head) or LISTS[head]].replace("datasets", "data sets")


def _of_component(form: NewRunForm, row: Row) -> tuple[str, str]:
    head, part = str(row.place[0]), form.part(row.place)
    component = form.component(part) if part is not None else None
    if part is None or component is None:
        return TITLES[head], f"{_CHOICES[head]} Enter lists the {plural_of(head)}; typing searches them."
    title = f"{TITLES[head]}: {bare(component.id)}"
    description = form.description(part)
    return title, _about(description) if description is not None else "Its description is being read …"


def _about(description: Description) -> str:
    component = description.component
    lines = [f"{component.distribution} {component.version}"]
    if description.tasks:
        lines[0] += f" · for {', '.join(description.tasks)}"
    if description.broken:
        return f"{lines[0]}\nbroken: {description.error}"
    python_only = [one.name for one in description.parameters if one.schema is None]
    if python_only:
        lines.append(f"Set from Python only: {', '.join(python_only)}.")
    return "\n".join([description.documentation or description.summary, "", *lines])
