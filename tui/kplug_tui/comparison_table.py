"""The table of runs side by side: its columns, and the same as CSV."""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from kplug.runs.comparison import differences, last_metrics
from kplug.runs.direction import higher_is_better
from kplug.runs.query import is_number
from kplug_tui.formatting import bare, duration, number
from kplug_tui.widgets.table import Column

Summary = Mapping[str, Any]
_WIDEST_VALUE = 16
_COMPONENTS = frozenset({"model", "dataset", "loss_name", "optimizer", "schedule"})


def comparison_csv(runs: Sequence[Summary]) -> str:
    """Return the table as CSV: a row for each run, with the settings in which they differ and their last metrics."""
    rows = {**differences(runs), **last_metrics(runs)}
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["id", "name", "state", *rows])
    for place, run in enumerate(runs):
        writer.writerow(
            [run["id"], run["name"] or "", run["state"], *("" if v[place] is None else v[place] for v in rows.values())]
        )
    return text.getvalue()


def is_finite(value: Any) -> bool:
    """Say whether a value is a number that can be ranked."""
    return is_number(value) and value - value == 0


def names_of(runs: Sequence[Summary]) -> dict[str, str]:
    """Return what to call the runs, so that they can be told apart."""
    names = {run["id"]: str(run["name"] or run["id"].partition("-")[2].partition("-")[2] or run["id"]) for run in runs}
    counts = Counter(names.values())
    return {
        run_id: f"{name} {run_id.rpartition('-')[2]}" if counts[name] > 1 else name for run_id, name in names.items()
    }


def shortened(name: str, room: int) -> str:
    """Return a name without its middle: what tells names apart is at their ends."""
    if len(name) <= room:
        return name
    end = room // 2
    return f"{name[: room - end - 1]}…{name[-end:]}"


def name_column(names: Mapping[str, str], best: str | None = None) -> Column:
    """Return a column of the runs' names, the best run marked."""

    def cell(run: Summary) -> str | tuple[str, str | None]:
        name = names.get(run["id"], run["id"])
        return (f"★ {name}", "good") if run["id"] == best else f"  {name}"

    longest = max((len(name) for name in names.values()), default=8)
    return Column("name", "  NAME", max(10, min(24, longest + 2)), cell)


def metric_column(name: str, values: Sequence[float | None], runs: Sequence[Summary]) -> Column:
    """Return a column of a metric, the best value marked."""
    finite = [value for value in values if value is not None and is_finite(value)]
    best = (max if higher_is_better(name) else min)(finite, default=None)
    by_run = {run["id"]: value for run, value in zip(runs, values, strict=True)}
    has = {run["id"]: name in run["metrics"] or name.removeprefix("test.") in run["test_metrics"] for run in runs}

    def cell(run: Summary) -> str | tuple[str, str | None]:
        value = by_run.get(run["id"])
        if value is None:
            return "nan" if has.get(run["id"]) else ""
        return (number(value), "good") if value == best and len(finite) > 1 else number(value)

    return Column(name, name.upper(), max(8, min(_WIDEST_VALUE, len(name))), cell, "right")


def value_column(name: str, values: Sequence[Any], runs: Sequence[Summary]) -> Column:
    """Return a column of a setting."""
    section = name.partition(".")[0]
    component = "loss_name" if section == "loss" else section
    # A run that leaves a parameter out has its default, if it has what another run set it for.
    having = {run.get(component) for run, value in zip(runs, values, strict=True) if value is not None}
    texts = [
        ("default" if "." in name and run.get(component) in having else "")
        if value is None
        else bare(value)
        if name in _COMPONENTS
        else _text(value)
        for run, value in zip(runs, values, strict=True)
    ]
    by_run = {run["id"]: text for run, text in zip(runs, texts, strict=True)}
    width = max(4, min(_WIDEST_VALUE, max(len(one) for one in (name, *texts))))
    return Column(name, name.upper(), width, lambda run: by_run.get(run["id"], ""))


def _text(value: Any) -> str:
    return number(value) if is_number(value) else str(value)


def took(run: Summary) -> str:
    """Return how long a run took."""
    begun, ended = run["started"], run["ended"]
    return duration(ended - begun) if is_number(begun) and is_number(ended) else ""
