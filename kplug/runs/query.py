"""Questions about runs: `val_loss<0.3 and model=vae`."""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from kplug.errors import QueryError

Summary = Mapping[str, Any]
Predicate = Callable[[Summary], bool]

_TOKEN = re.compile(
    r"""\s*(?:
        (?P<operator><=|>=|!=|==|=|<|>|~)
      | (?P<parenthesis>[()])
      | "(?P<double>[^"]*)" | '(?P<single>[^']*)'
      | (?P<word>[^\s()<>=!~"']+)
    )""",
    re.VERBOSE,
)
_COMPONENTS = ("model", "dataset", "loss_name", "optimizer")
_HELP = (
    "A question compares fields with values: val_loss<0.3 and model=vae. Operators: = != < <= > >= ~ (contains); "
    "and, or, not, parentheses."
)
_MISSING = object()


def matching(summaries: Sequence[Summary], question: str) -> list[Summary]:
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
    parser = _Parser(question)
    predicate = parser.parsed()
    _insist_known(parser.fields, summaries)
    return [summary for summary in summaries if predicate(summary)]


def ordered(summaries: Sequence[Summary], field: str) -> list[Summary]:
    """Return the runs sorted by a field, the smallest first; with `-` before the field, the largest first.

    Runs that lack the field, or were not finite there, come last.

    Raises:
        QueryError: If no run has the field.
    """
    name = field.removeprefix("-")
    _insist_known([name], summaries)

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


def has_value(value: Any) -> bool:
    """Say whether `value_of` found something."""
    return value is not _MISSING and value is not None


class _Parser:
    """Reads a question by recursive descent."""

    def __init__(self, question: str) -> None:
        self._question = question
        self._tokens = list(_tokens(question))
        self._next = 0
        self.fields: list[str] = []

    def parsed(self) -> Predicate:
        predicate = self._either()
        if self._next < len(self._tokens):
            raise self._error(f"unexpected {self._tokens[self._next][1]!r}")
        return predicate

    def _either(self) -> Predicate:
        parts = [self._both()]
        while self._take_word("or"):
            parts.append(self._both())
        return parts[0] if len(parts) == 1 else lambda run: any(part(run) for part in parts)

    def _both(self) -> Predicate:
        parts = [self._one()]
        while self._take_word("and"):
            parts.append(self._one())
        return parts[0] if len(parts) == 1 else lambda run: all(part(run) for part in parts)

    def _one(self) -> Predicate:
        if self._take_word("not"):
            inverted = self._one()
            return lambda run: not inverted(run)
        if self._take("parenthesis", "("):
            inner = self._either()
            if not self._take("parenthesis", ")"):
                raise self._error("a closing parenthesis is missing")
            return inner
        field = self._taken({"word"}, "a field")
        operator = self._taken({"operator"}, f"an operator after {field!r}")
        kind, text = self._tokens[self._next] if self._next < len(self._tokens) else ("end", "")
        value = self._taken({"word", "text"}, f"a value after {field}{operator}")
        self.fields.append(field)
        return _comparison(field, operator, text if kind == "text" else value, is_text=kind == "text")

    def _take(self, kind: str, text: str) -> bool:
        if self._next < len(self._tokens) and self._tokens[self._next] == (kind, text):
            self._next += 1
            return True
        return False

    def _take_word(self, word: str) -> bool:
        if self._next < len(self._tokens):
            kind, text = self._tokens[self._next]
            if kind == "word" and text.lower() == word:
                self._next += 1
                return True
        return False

    def _taken(self, kinds: set[str], what: str) -> str:
        if self._next >= len(self._tokens):
            raise self._error(f"it ends where {what} is expected")
        kind, text = self._tokens[self._next]
        if kind not in kinds:
            raise self._error(f"{text!r} stands where {what} is expected")
        self._next += 1
        return text

    def _error(self, what: str) -> QueryError:
        return QueryError(f"The question {self._question!r} cannot be read: {what}. {_HELP}")


def _tokens(question: str) -> Iterable[tuple[str, str]]:
    position, question = 0, question.rstrip()
    if not question:
        raise QueryError(f"The question is empty. {_HELP}")
    while position < len(question):
        found = _TOKEN.match(question, position)
        if found is None:
            raise QueryError(f"The question {question!r} cannot be read from {question[position:]!r} on. {_HELP}")
        kind = str(found.lastgroup)
        yield ("text" if kind in {"double", "single"} else kind), str(found[kind])
        position = found.end()


def _comparison(field: str, operator: str, text: str, is_text: bool) -> Predicate:
    number = None if is_text else _number(text)
    wanted = text.casefold()

    def equal(value: Any) -> bool:
        if field == "tags":
            return any(_shown(one) == wanted for one in value)
        if number is not None and isinstance(value, int | float) and not isinstance(value, bool):
            return value == number
        shown = _shown(value)
        if field in _COMPONENTS and "/" not in wanted:
            shown = shown.rpartition("/")[2]
        return shown == wanted

    def compare(value: Any) -> bool:
        if operator in {"=", "=="}:
            return equal(value)
        if operator == "!=":
            return not equal(value)
        if operator == "~":
            return any(wanted in _shown(one) for one in value) if field == "tags" else wanted in _shown(value)
        if number is not None:
            if not isinstance(value, int | float) or isinstance(value, bool):
                return False
            return _ORDERS[operator](value, number)
        return isinstance(value, str) and _ORDERS[operator](value.casefold(), wanted)

    def predicate(run: Summary) -> bool:
        value = value_of(run, field)
        return has_value(value) and compare(value)

    return predicate


_ORDERS: dict[str, Callable[[Any, Any], bool]] = {
    "<": lambda one, other: one < other,
    "<=": lambda one, other: one <= other,
    ">": lambda one, other: one > other,
    ">=": lambda one, other: one >= other,
}


def _shown(value: Any) -> str:
    """Return a value as a person types it."""
    if isinstance(value, bool):
        return str(value).lower()
    return str(value).casefold()


def _number(text: str) -> float | None:
    try:
        number = float(text)
    except ValueError:
        return None
    return None if math.isnan(number) else number


def _insist_known(fields: Sequence[str], summaries: Sequence[Summary]) -> None:
    for field in fields:
        if not summaries or any(value_of(one, field) is not _MISSING for one in summaries):
            continue
        known = {name for one in summaries for name in _fields_of(one)}
        close = difflib.get_close_matches(field, sorted(known), n=3)
        raise QueryError(
            f"No run has a field {field!r}." + (f" Did you mean {' or '.join(close)}?" if close else f" {_HELP}")
        )


def _fields_of(summary: Summary) -> Iterable[str]:
    for name, value in summary.items():
        if not isinstance(value, Mapping):
            yield name
    yield from summary.get("metrics") or {}
    yield from (f"test.{name}" for name in summary.get("test_metrics") or {})
    yield from summary.get("parameters") or {}
