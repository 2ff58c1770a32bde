"""What a run's fields are, and which runs a question's answer is yes for."""

from __future__ import annotations

import difflib
import operator
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeVar

from kplug.errors import QueryError
from kplug.runs.question import HELP, Comparison, Either, Every, Not, Question, fields_in, parse

Summary = Mapping[str, Any]
Predicate = Callable[[Summary], bool]
AnySummary = TypeVar("AnySummary", bound=Summary)

COMPONENTS = frozenset({"model", "dataset", "loss_name", "optimizer"})
"""The fields that hold a component's full id, and are compared with bare names too."""

_MISSING = object()
_ORDERS: dict[str, Callable[[Any, Any], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


def matching(summaries: Sequence[AnySummary], question: str) -> list[AnySummary]:
    """Return the runs for which a question's answer is yes.

    A field is one of a run's own (`id`, `name`, `state`, `model`, `dataset`, `epoch`, `tags`, …), a metric of its last
    epoch (`val_loss`), of its test split (`test.loss`), or a hyper-parameter (`model.latent_dim`, or `latent_dim` where
    no other component has one). A component is called by its full id or its bare name. A run that lacks a field is no
    answer to a comparison with it.

    Args:
        summaries: What `summary_of` returned of each run.
        question: The question.

    Raises:
        QueryError: If the question is none, or no run has one of its fields.
    """
    parsed = parse(question)
    insist_known(fields_in(parsed), summaries)
    predicate = predicate_of(parsed)
    return [summary for summary in summaries if predicate(summary)]


def ordered(summaries: Sequence[AnySummary], field: str) -> list[AnySummary]:
    """Return the runs sorted by a field, the smallest first; with `-` before the field, the largest first.

    Runs that lack the field, or were not finite there, come last.

    Raises:
        QueryError: If no run has the field.
    """
    insist_known([field.removeprefix("-")], summaries)
    return sorted_by(summaries, field)


def sorted_by(summaries: Sequence[AnySummary], field: str) -> list[AnySummary]:
    """Return the runs as `ordered` does, whether or not one of them has the field."""
    name = field.removeprefix("-")

    def has(summary: Summary) -> bool:
        return has_value(value_of(summary, name))

    def key(summary: Summary) -> tuple[bool, Any]:
        value = value_of(summary, name)
        return (False, value) if isinstance(value, int | float) else (True, str(value))

    known = sorted((one for one in summaries if has(one)), key=key, reverse=field.startswith("-"))
    return [*known, *(one for one in summaries if not has(one))]


def value_of(summary: Summary, field: str) -> Any:
    """Return a run's value of a field as `matching` understands it; `has_value` says whether it has one."""
    if field in summary and not isinstance(summary[field], Mapping):
        return summary[field]
    metrics, tests, parameters = (summary.get(name) or {} for name in ("metrics", "test_metrics", "parameters"))
    if field in metrics:
        return metrics[field]
    if field.startswith("metrics.") and field[8:] in metrics:
        return metrics[field[8:]]
    if field.startswith("test.") and field[5:] in tests:
        return tests[field[5:]]
    if field in parameters:
        return parameters[field]
    meant = [value for name, value in parameters.items() if name.rpartition(".")[2] == field]
    return meant[0] if len(meant) == 1 else _MISSING


def fields_of(summary: Summary) -> dict[str, Any]:
    """Return every field for which `value_of` finds something in a run, `None` among it, with what it finds."""
    metrics, tests, parameters = (summary.get(name) or {} for name in ("metrics", "test_metrics", "parameters"))
    last_parts = Counter(name.rpartition(".")[2] for name in parameters)
    return {
        **{part: value for name, value in parameters.items() if last_parts[part := name.rpartition(".")[2]] == 1},
        **parameters,
        **{f"test.{name}": value for name, value in tests.items()},
        **{f"metrics.{name}": value for name, value in metrics.items()},
        **metrics,
        **{name: value for name, value in summary.items() if not isinstance(value, Mapping)},
    }


def has_value(value: Any) -> bool:
    """Say whether `value_of` found something."""
    return value is not _MISSING and value is not None


def is_number(value: Any) -> bool:
    """Say whether a value is compared as a number."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def shown(value: Any) -> str:
    """Return a value as a person types it, case-folded."""
    return str(value).casefold()


def predicate_of(question: Question) -> Predicate:
    """Return what says of a run whether a question's answer is yes."""
    match question:
        case Comparison():
            return _comparing(question)
        case Not():
            inner = predicate_of(question.part)
            return lambda run: not inner(run)
        case Every():
            parts = [predicate_of(part) for part in question.parts]
            return lambda run: all(part(run) for part in parts)
        case Either():
            parts = [predicate_of(part) for part in question.parts]
            return lambda run: any(part(run) for part in parts)


def insist_known(fields: Iterable[str], summaries: Sequence[Summary]) -> None:
    """See to it that some run has each of the fields, if there are runs at all.

    Raises:
        QueryError: If none has one of them.
    """
    for field in fields:
        if not summaries or any(value_of(one, field) is not _MISSING for one in summaries):
            continue
        known = {name for one in summaries for name in _names_in(one)}
        close = difflib.get_close_matches(field, sorted(known), n=3)
        raise QueryError(
            f"No run has a field {field!r}." + (f" Did you mean {' or '.join(close)}?" if close else f" {HELP}")
        )


def _comparing(comparison: Comparison) -> Predicate:
    field, sign, wanted, number = comparison.field, comparison.operator, comparison.text, comparison.number

    def equal(value: Any) -> bool:
        if field == "tags":
            return any(shown(one) == wanted for one in value)
        if number is not None and is_number(value):
            return value == number
        text = shown(value)
        return text == wanted or (field in COMPONENTS and "/" not in wanted and text.endswith(f"/{wanted}"))

    def compare(value: Any) -> bool:
        if sign == "=":
            return equal(value)
        if sign == "!=":
            return not equal(value)
        if sign == "~":
            return any(wanted in shown(one) for one in value) if field == "tags" else wanted in shown(value)
        if number is not None:
            return is_number(value) and _ORDERS[sign](value, number)
        return isinstance(value, str) and _ORDERS[sign](shown(value), wanted)

    def predicate(run: Summary) -> bool:
        value = value_of(run, field)
        return has_value(value) and compare(value)

    return predicate


def _names_in(summary: Summary) -> Iterable[str]:
    for name, value in summary.items():
        if not isinstance(value, Mapping):
            yield name
    yield from summary.get("metrics") or {}
    yield from (f"test.{name}" for name in summary.get("test_metrics") or {})
    yield from summary.get("parameters") or {}
